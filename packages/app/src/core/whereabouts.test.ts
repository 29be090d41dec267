import type {AppSpecInput, NodeSpec} from '@hivemind/contracts';
import type * as z from 'zod';
import {aContainer, anApp, aStatus, at, epoch} from '../testing/builders.ts';
import {whereaboutsOf, type MachineView, type Surroundings} from './whereabouts.ts';

const machine = (fields: Partial<MachineView> = {}, spec: Partial<z.infer<typeof NodeSpec>> = {}): MachineView => ({
  node: {name: 'n1', labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address: '', ...spec}, meta: {uid: 'u', generation: 1, createdAt: at(0), updatedAt: at(0)}},
  state: 'ready', confirmedDead: false, silentMs: undefined, ...fields,
});
const located = (spec: Partial<AppSpecInput>, surroundings: Partial<Surroundings>) =>
  whereaboutsOf({record: aContainer(anApp(spec)), status: aStatus()}, {machine: machine(), global: spec.mode === 'global', braked: false, localVolume: undefined, now: epoch, ...surroundings});
const dead = machine({state: 'dead', silentMs: 5_000});

describe('where a container stands with its machine', () => {
  it.each<[string, Partial<AppSpecInput>, Partial<Surroundings>, object]>([
    ['a machine that is there', {}, {}, {kind: 'settled'}],
    ['a machine that nobody knows', {}, {machine: undefined}, {kind: 'gone'}],
    ['an unreachable machine: kept', {}, {machine: machine({state: 'unreachable', silentMs: 60_000})}, {kind: 'settled'}],
    ['a dead machine', {}, {machine: dead}, {kind: 'lost'}],
    ['a dead machine that has just registered', {}, {machine: machine({state: 'dead'})}, {kind: 'settled'}],
    ['a dead machine among many', {}, {machine: dead, braked: true}, {kind: 'waiting', reason: 'ReplacementPaused'}],
    ['a dead machine among many, vouched for', {}, {machine: {...dead, confirmedDead: true}, braked: true}, {kind: 'lost'}],
    ['a dead machine with its data', {}, {machine: dead, localVolume: 'data'}, {kind: 'waiting', reason: 'VolumeOnDeadNode'}],
    ['the same, vouched for: data is data', {}, {machine: {...dead, confirmedDead: true}, localVolume: 'data'}, {kind: 'waiting', reason: 'VolumeOnDeadNode'}],
    ['a singleton that may still run', {singleton: true}, {machine: dead}, {kind: 'waiting', reason: 'Fenced', againInMs: 37_400}],
    ['a singleton, silent but not ruled on', {singleton: true}, {machine: machine({silentMs: 100})}, {kind: 'waiting', reason: 'Fenced'}],
    ['a singleton that has stopped itself', {singleton: true}, {machine: machine({state: 'unreachable', silentMs: 42_400})}, {kind: 'lost'}],
    ['a shorter lease', {fencing: {lease: '5s'}, stop: {grace: '1s'}}, {machine: machine({state: 'unreachable', silentMs: 8_060})}, {kind: 'lost'}],
    ['a singleton that runs on', {singleton: true, fencing: {onIsolation: 'keep'}}, {machine: machine({state: 'dead', silentMs: 1e9})}, {kind: 'waiting', reason: 'Fenced'}],
    ['the same, vouched for', {singleton: true, fencing: {onIsolation: 'keep'}}, {machine: machine({state: 'dead', silentMs: 10, confirmedDead: true})}, {kind: 'lost'}],
    ['a drained machine', {}, {machine: machine({}, {drain: {since: at(0), stopLocal: false}})}, {kind: 'leaving', atOnce: false}],
    ['its time is up', {}, {machine: machine({}, {drain: {since: at(0), stopLocal: false, deadlineAt: at(0)}})}, {kind: 'leaving', atOnce: true}],
    ['a run of a job is left to its end', {mode: 'job'}, {machine: machine({}, {drain: {since: at(0), stopLocal: false, deadlineAt: at(9)}})}, {kind: 'settled', until: epoch + 9}],
    ['as long as there is time', {mode: 'job'}, {machine: machine({}, {drain: {since: at(0), stopLocal: false, deadlineAt: at(0)}})}, {kind: 'leaving', atOnce: true}],
    ['drained, with its data', {}, {machine: machine({}, {drain: {since: at(0), stopLocal: false}}), localVolume: 'data'}, {kind: 'settled'}],
    ['drained, users of data too', {}, {machine: machine({}, {drain: {since: at(0), stopLocal: true}}), localVolume: 'data'}, {kind: 'leaving', atOnce: true}],
    ['a taint NoExecute', {}, {machine: machine({}, {taints: [{key: 'gpu', effect: 'NoExecute'}]})}, {kind: 'leaving', atOnce: false}],
    ['a taint NoExecute that it tolerates', {placement: {tolerations: [{key: 'gpu'}]}}, {machine: machine({}, {taints: [{key: 'gpu', effect: 'NoExecute'}]})}, {kind: 'settled'}],
    ['a taint NoSchedule: it is there already', {}, {machine: machine({}, {taints: [{key: 'gpu', effect: 'NoSchedule'}]})}, {kind: 'settled'}],
    ['one a machine: a drain leaves it', {mode: 'global'}, {machine: machine({}, {drain: {since: at(0), stopLocal: true}})}, {kind: 'settled'}],
    ['one a machine: maintenance does not', {mode: 'global'}, {machine: machine({}, {maintenance: true})}, {kind: 'unwanted'}],
    ['one a machine, where the machine is dead', {mode: 'global'}, {machine: dead}, {kind: 'settled'}],
  ])('%s', (_what, spec, surroundings, expected) => {
    expect(located(spec, surroundings)).toMatchObject(expected);
  });

  it('leaves what has run to its end in peace', () => {
    const record = aContainer(anApp({mode: 'job'}));
    expect(whereaboutsOf({record, status: aStatus({phase: 'exited', exitCode: 0, ready: false})}, {machine: dead, global: false, braked: false, localVolume: undefined, now: epoch})).toEqual({kind: 'settled'});
  });
});
