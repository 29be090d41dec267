import {defineErrors} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import type {Description} from '@hivemind/sidecar/client';
import {version} from '@hivemind/contracts/version';
import {keepSidecar} from './keeper.ts';
import type {SidecarSettings} from './settings.ts';

const settings: SidecarSettings = {name: 'n1', bind: '10.0.0.1:7946', advertise: '', keyFile: '/k', seeds: [], socket: '/s', dataDir: '/d'};
const clientErrors = defineErrors({'sidecar-absent': {status: 503, title: 'No sidecar answers'}});
const absent = (cause: string) => clientErrors['sidecar-absent']('none', {cause: new Error(cause)});

describe('the keeper of a sidecar', () => {
  let clock: FakeClock;
  /** What answers: one that can describe itself, one of an earlier release, or none. */
  let found: Description | 'earlier' | undefined;
  let launched: number;
  let left: number;
  let lost: number;
  let startable: boolean;
  let die: () => void;
  let stop: () => Promise<void>;

  const running = (fields: Partial<Description> = {}): Description => ({name: 'n1', version, pid: 1, bind: settings.bind, advertise: '', keyFile: '/k', ...fields});
  const begin = () => {
    const keeper = keepSidecar({
      settings, clock,
      logger: {info: () => undefined, warn: () => undefined},
      client: {
        async describe() {
          if (found === undefined) throw absent('14 UNAVAILABLE');
          if (found === 'earlier') throw absent('12 UNIMPLEMENTED: no such method');
          return found;
        },
        async leave() {
          left += 1;
          found = undefined;
        },
        async *watch(signal) {
          yield {whole: undefined, change: '', member: undefined};
          await new Promise<void>((resolve) => {
            die = resolve;
            signal.addEventListener('abort', () => resolve(), {once: true});
          });
        },
      },
      launch: async () => {
        launched += 1;
        if (startable) found = running();
        return {pid: 2, ended: startable ? new Promise<string>(() => undefined) : Promise.resolve('it ended with 1')};
      },
      onReply: () => undefined,
      onLost: () => (lost += 1),
    });
    stop = () => keeper.stop();
  };
  beforeEach(() => {
    [clock, found, launched, left, lost, startable, die] = [new FakeClock(), undefined, 0, 0, 0, true, () => undefined];
  });
  afterEach(() => stop());

  it('adopts the one that runs', async () => {
    found = running();
    begin();
    await clock.advance(10_000);
    expect({launched, left, lost}).toEqual({launched: 0, left: 0, lost: 0});
  });

  it.each([running({version: '0.0.1'}), running({bind: '10.0.0.2:7946'}), running({keyFile: '/other'}), 'earlier' as const])('replaces one that is not as wanted: %o', async (other) => {
    found = other;
    begin();
    await clock.advance(1_000);
    expect({launched, left, found}).toEqual({launched: 1, left: 1, found: running()});
  });

  it('starts one that ended again, and says that it was lost', async () => {
    begin();
    await clock.advance(1_000);
    found = undefined;
    die();
    await clock.advance(1_000);
    expect({launched, lost, found}).toEqual({launched: 2, lost: 1, found: running()});
  });

  it('tries again the later, the more often it fails', async () => {
    startable = false;
    begin();
    await clock.advance(60_000);
    const soon = launched;
    await clock.advance(60_000);
    expect(soon).toBeGreaterThan(6);
    expect(launched - soon).toBeLessThanOrEqual(2);
    startable = true;
    await clock.advance(30_000);
    expect(found).toEqual(running());
  });
});
