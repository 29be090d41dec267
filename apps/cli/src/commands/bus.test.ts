import {hivemind} from '../../test/command.ts';

describe('hivemind bus config', () => {
  it.each([
    ['', 2, '--store redis://HOST:PORT'],
    ['--store redis://127.0.0.1:1 --route x:1', 2, '--cluster-listen'],
    ['--store redis://127.0.0.1:1', 1, '--advertise'],
    ['--store redis://127.0.0.1:1 --advertise a --listen 4222', 1, 'HOST:PORT'],
    ['--store redis://127.0.0.1:1 --advertise a --cluster-listen 0.0.0.0:6222 --route b', 1, 'HOST:PORT'],
  ])('with "%s" says what is wrong before it does anything', async (words, status, said) => {
    expect(await hivemind(`bus config /nowhere/nats --data-dir /nowhere/data ${words}`)).toEqual({status, out: '', err: expect.stringContaining(said)});
  });
});
