/** Several computers out of one: tests of clusters see real addresses, engines and power cuts. */
import {mkdirSync} from 'node:fs';
import {assembleBusyboxImage, busyboxImage, type BusyboxImage} from '../busybox.ts';
import {removeTempDir, tempDir} from '../temp.ts';
import {claimNetwork, releaseNetwork} from './claims.ts';
import {type EngineOptions} from './engine.ts';
import {Machine} from './machine.ts';
import {Switch} from './switch.ts';

export interface MachinesOptions {
  /** A Docker Engine on each, and how; `machine.engine.start()` starts one later. Default false. */
  engines?: boolean | EngineOptions;
}

export interface Machines extends AsyncDisposable {
  readonly hosts: readonly Machine[];
  /** The test's own address in their network: what listens there is reachable from every machine. */
  readonly address: string;
  /** Assembles an image on every engine, `hivemind-test/busybox:1` unless another is wanted; its name. */
  loadImage(image?: BusyboxImage): Promise<string>;
  /** Removes everything: processes, containers, network, directories. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Boots `count` machines in a network of their own; several test runs may have some at once. Needs root
 * and the Debian packages iproute2, nftables and docker.io. What the test process leaves behind when it
 * dies is removed by the next run.
 */
export async function machines(count: number, {engines = false}: MachinesOptions = {}): Promise<Machines> {
  if (process.getuid?.() !== 0) throw new Error('machines need root, for network namespaces and engines: run the tests as root');
  const dir = tempDir('machines');
  const network = claimNetwork(dir);
  const atExit = () => releaseNetwork(network.name);
  process.once('exit', atExit);
  let lan: Switch | undefined;
  let stopped: Promise<void> | undefined;
  const stop = () =>
    (stopped ??= (async () => {
      lan?.close();
      releaseNetwork(network.name);
      process.off('exit', atExit);
      await removeTempDir(dir);
    })());
  try {
    const plugged = (lan = new Switch(network));
    const hosts = Array.from({length: count}, (_, index) => {
      const machine = new Machine(network, plugged, index + 1, dir, typeof engines === 'object' ? engines : {});
      mkdirSync(machine.dir);
      return machine;
    });
    const boot = async (machine: Machine) => {
      await machine.powerOn();
      if (engines) await machine.engine.start();
    };
    await Promise.all(hosts.map(boot));
    const loadImage = async (image?: BusyboxImage) => {
      const names = await Promise.all(hosts.map(({engine}) => (image ? assembleBusyboxImage(engine.docker, image) : busyboxImage(engine.docker))));
      return names[0] ?? '';
    };
    return {hosts, address: plugged.address, loadImage, stop, [Symbol.asyncDispose]: stop};
  } catch (error) {
    await stop();
    throw error;
  }
}
