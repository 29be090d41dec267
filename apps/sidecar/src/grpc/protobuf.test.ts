import {join} from 'node:path';
import {loadSync} from '@grpc/proto-loader';
import fc from 'fast-check';
import {MembershipService, SidecarService} from './messages.ts';
import {field, messageType, text} from '@hivemind/protobuf';

const proto = loadSync(['membership', 'sidecar'].map((name) => join(import.meta.dirname, `../../proto/${name}.proto`)), {keepCase: false, longs: Number, enums: String, defaults: true, arrays: true, objects: true, bytes: Buffer});
const services = {...MembershipService, ...SidecarService};
const reference = {...proto['hivemind.membership.v1.Membership'], ...proto['hivemind.sidecar.v1.Sidecar']} as unknown as Record<string, {path: string; responseStream: boolean; requestSerialize(value: object): Buffer; requestDeserialize(bytes: Buffer): object; responseSerialize(value: object): Buffer; responseDeserialize(bytes: Buffer): object}>;

const count = fc.oneof(fc.nat(), fc.maxSafeInteger().map(Math.abs));
const uint32 = fc.integer({min: 0, max: 0xffffffff});
const name = fc.string({unit: 'grapheme', maxLength: 20});
const counts = fc.dictionary(name.filter((key) => key !== '__proto__'), count, {maxKeys: 4, noNullPrototype: true});
const enumOf = (prefix: string, names: readonly string[]) => ({ours: fc.constantFrom(...names), theirs: (value: string) => `${prefix}_${value.toUpperCase()}`});
const state = enumOf('STATE', ['alive', 'suspect', 'dead', 'left']);
const change = enumOf('CHANGE', ['joined', 'suspected', 'cleared', 'died', 'left', 'updated']);
const member = fc.record({
  name, host: name, port: uint32, state: state.ours, incarnation: uint32, sinceMs: count, rttMs: fc.option(fc.double({noNaN: true}), {nil: undefined}),
  described: fc.boolean(), zone: name, agentVersion: name, api: name, tags: fc.dictionary(name.filter((key) => key !== '__proto__'), name, {maxKeys: 3, noNullPrototype: true}),
});
const list = fc.record({members: fc.array(member, {maxLength: 3}), self: name});

/** The form that the reference library wants: enums by their full names. */
const theirMember = (value: {state: string}) => ({...value, state: state.theirs(value.state)});
const theirList = (value: {members: readonly {state: string}[]}) => ({...value, members: value.members.map(theirMember)});
const same = <T>(value: T): T => value;

interface Case {
  readonly method: keyof typeof services;
  readonly side: 'request' | 'response';
  readonly values: fc.Arbitrary<object>;
  readonly theirs?: (value: never) => object;
}

const cases: readonly Case[] = [
  {method: 'listMembers', side: 'response', values: list, theirs: theirList},
  {method: 'watch', side: 'response', values: fc.record({whole: fc.constant(undefined), change: change.ours, member}), theirs: (value: {change: string; member: {state: string}}) => ({...value, change: change.theirs(value.change), member: theirMember(value.member)})},
  {method: 'watch', side: 'response', values: fc.record({whole: list, change: fc.constant(''), member: fc.constant(undefined)}), theirs: (value: {whole: {members: readonly {state: string}[]}}) => ({whole: theirList(value.whole)})},
  {method: 'join', side: 'request', values: fc.record({addresses: fc.array(name)})},
  {method: 'join', side: 'response', values: fc.record({joined: uint32})},
  {method: 'installKey', side: 'request', values: fc.record({key: fc.uint8Array({maxLength: 40})})},
  {method: 'useKey', side: 'request', values: fc.record({fingerprint: name})},
  {method: 'listKeys', side: 'response', values: fc.record({fingerprints: fc.array(name)})},
  {method: 'getStatistics', side: 'response', values: fc.record({health: uint32, members: counts, packetsIn: count, packetsOut: count, bytesIn: count, bytesOut: count, dropped: counts, probes: count, probeFailures: count, pushPulls: count, metricsAddress: name, residentMemory: count, bus: name})},
  {method: 'getLeader', side: 'response', values: fc.record({name, node: name, since: name, epoch: name, revision: count, provisional: fc.boolean()})},
  {method: 'describe', side: 'response', values: fc.record({name, version: name, pid: uint32, bind: name, advertise: name, keyFile: name})},
  {method: 'renew', side: 'request', values: fc.record({cluster: name, engine: name, bootId: name, heardAtMs: count, agent: name})},
  {method: 'applyNames', side: 'request', values: fc.record({node: name, listen: fc.array(name), virtualIps: fc.boolean(), epoch: name, from: count, n: count, whole: fc.boolean(), part: uint32, more: fc.boolean(), items: fc.uint8Array({maxLength: 40})})},
  {method: 'applyNames', side: 'response', values: fc.record({epoch: name, n: count})},
  {method: 'applyIngress', side: 'response', values: fc.record({version: name, running: fc.boolean(), problem: name})},
  {method: 'hearLeader', side: 'request', values: fc.record({name, node: name, since: name, epoch: name, revision: count, renewal: count, leaseMs: count})},
];

describe('the messages of the socket', () => {
  it('are all of proto/, by the same names and paths', () => {
    const shape = (methods: Record<string, {path: string; responseStream: boolean}>) => Object.fromEntries(Object.entries(methods).map(([, {path, responseStream}]) => [path, responseStream]));
    expect(shape(services)).toEqual(shape(reference));
  });

  it.each(cases)('$method $side: read and written as another library does', ({method, side, values, theirs = same}) => {
    const ours = services[method];
    const other = reference[method[0]!.toUpperCase() + method.slice(1)]!;
    const encode = (side === 'request' ? ours.requestSerialize : ours.responseSerialize) as (value: object) => Buffer;
    const decode = side === 'request' ? ours.requestDeserialize : ours.responseDeserialize;
    const [serialize, deserialize] = side === 'request' ? [other.requestSerialize, other.requestDeserialize] : [other.responseSerialize, other.responseDeserialize];
    fc.assert(fc.property(values, (value) => {
      const reading = theirs as (given: object) => object;
      expect(deserialize(encode(value))).toEqual(deserialize(serialize(reading(value))));
      expect(decode(serialize(reading(value)))).toEqual(value);
    }), {numRuns: 100});
  });

  it('is either read or refused, whatever the bytes', () => {
    const decode = MembershipService.listMembers.responseDeserialize;
    const whole = MembershipService.listMembers.responseSerialize({self: 'a', members: []});
    fc.assert(fc.property(fc.uint8Array({maxLength: 200}), (noise) => {
      try {
        expect(decode(Buffer.concat([whole, noise]))).toMatchObject({members: expect.any(Array)});
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }), {numRuns: 500});
  });

  it('skips the fields of a later release', () => {
    const later = messageType({name: field(1, text), more: field(90, text)});
    expect(messageType({name: field(1, text)}).decode(later.encode({name: 'a', more: 'b'}))).toEqual({name: 'a'});
  });
});
