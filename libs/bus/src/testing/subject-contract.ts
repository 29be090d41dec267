/** The part of the contract that is about typed subjects. */
import * as z from 'zod';
import {defineMessage, defineRequest, defineStream} from '@hivemind/contracts';
import {call, emit, listen, open, serve, serveStream} from '../subject.ts';
import {codeOf, collect, eventually} from './observe.ts';
import type {Bus} from '../bus.ts';

const Stop = defineRequest({
  subject: 'test.{node}.stop.{name}',
  request: z.object({grace: z.number().min(0)}),
  reply: z.object({stopped: z.boolean()}),
});
const Changed = defineMessage({subject: 'test.{node}.changed', message: z.object({count: z.number().int()})});
const Shell = defineStream({
  subject: 'test.{node}.shell',
  params: z.object({tty: z.boolean().default(true)}),
  controlIn: z.object({width: z.number()}),
  controlOut: z.object({exitCode: z.number()}),
});

export function subjectContract(buses: () => {left: Bus; right: Bus}): void {
  describe('typed subjects', () => {
    it('carry tokens of any text', async () => {
      const {left, right} = buses();
      const name = 'a.b *>=é/{x}';
      await serve(right, Stop, {node: 'n1'}, async ({grace}, {tokens}) => {
        expect(tokens).toEqual({node: 'n1', name});
        return {stopped: grace === 1};
      });
      expect(await call(left, Stop, {node: 'n1', name}, {grace: 1})).toEqual({stopped: true});
      expect(await codeOf(call(left, Stop, {node: 'n2', name}, {grace: 1}))).toBe('no-responders');
      expect(await codeOf(call(left, Stop, {node: '', name}, {grace: 1}))).toBe('invalid-subject');
    });

    it('refuse a request that does not fit, naming the field, at both ends', async () => {
      const {left, right} = buses();
      await serve(right, Stop, {}, async () => ({stopped: true}));
      const refusal = {code: 'invalid-message', status: 400, errors: [{path: 'grace', message: expect.any(String)}]};
      await expect(call(left, Stop, {node: 'n', name: 'x'}, {grace: -1})).rejects.toMatchObject(refusal);
      await expect(left.request('test.n.stop.x', {grace: -1})).rejects.toMatchObject(refusal);
    });

    it('ignore fields they do not know', async () => {
      const {left, right} = buses();
      await right.respond('test.n.stop.x', async () => ({stopped: true, since: 'later release'}));
      expect(await call(left, Stop, {node: 'n', name: 'x'}, {grace: 1})).toEqual({stopped: true});
    });

    it('refuse a reply that does not fit, at both ends', async () => {
      const {left, right} = buses();
      await right.respond('test.n.stop.x', async () => ({stopped: 'yes'}));
      expect(await codeOf(call(left, Stop, {node: 'n', name: 'x'}, {grace: 1}))).toBe('invalid-reply');
      const wrong: unknown = 'yes';
      const Loose = {...Stop, reply: z.object({stopped: z.custom<boolean>((value) => value === true)})};
      await serve(right, Loose, {node: 'm'}, async () => ({stopped: wrong === 'no'}));
      expect(await codeOf(left.request('test.m.stop.x', {grace: 1}))).toBe('invalid-reply');
    });

    it('emit and listen; what does not fit is dropped', async () => {
      const {left, right} = buses();
      const seen: unknown[] = [];
      await listen(right, Changed, {}, ({count}, {tokens}) => void seen.push([tokens.node, count]));
      await left.publish('test.n1.changed', {count: 'many'});
      await emit(left, Changed, {node: 'n.1'}, {count: 2});
      await eventually(() => seen.length > 0);
      expect(seen).toEqual([['n.1', 2]]);
      expect(await codeOf(emit(left, Changed, {node: 'n1'}, {count: 0.5}))).toBe('invalid-message');
    });

    it('open streams with parameters and control messages', async () => {
      const {left, right} = buses();
      await serveStream(right, Shell, {}, async (stream, params, {tokens}) => {
        expect([params, tokens]).toEqual([{tty: true}, {node: 'n1'}]);
        for await (const {width} of stream.controls) await stream.send({exitCode: width});
      });
      const stream = await open(left, Shell, {node: 'n1'}, {});
      await stream.send({width: 7});
      await stream.end();
      expect(await collect(stream.controls)).toEqual([{exitCode: 7}]);
      await stream.closed;
    });

    it('cancel a stream whose parameters or controls do not fit', async () => {
      const {left, right} = buses();
      await serveStream(right, Shell, {}, async (stream) => {
        for await (const {width} of stream.controls) await stream.send({exitCode: width});
      });
      const badParams = await left.openStream('test.n1.shell', {tty: 'maybe'});
      expect(await codeOf(badParams.closed)).toBe('invalid-message');
      const badControl = await left.openStream('test.n1.shell', {});
      await badControl.send({width: 'wide'});
      expect(await codeOf(badControl.closed)).toBe('invalid-message');
    });
  });
}
