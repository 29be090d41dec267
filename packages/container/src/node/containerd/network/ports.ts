/** Ports of the machine that containers are published at. nftables leads them on; nobody listens, so that others could. */
import {createSocket} from 'node:dgram';
import {createServer} from 'node:net';
import {hostPortsClash, type PortBinding} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {errnoOf} from '../errno.ts';
import type {PublishedPort} from './attachment.ts';

const TRIES = 50;

/** With a host port each; those that want any are given one. @param taken by other containers, running or not */
export async function chosenPorts(ports: readonly PortBinding[], taken: readonly PublishedPort[]): Promise<readonly PublishedPort[]> {
  const chosen: PublishedPort[] = [];
  for (const {container, protocol, host, address} of ports) {
    if (host === undefined) continue;
    const at = address === undefined ? {} : {address};
    chosen.push({container, protocol, host: host === 0 ? await freePort(protocol, [...taken, ...chosen]) : host, ...at});
  }
  return chosen;
}

/** @param taken by containers that run. @throws `port-in-use`; `start-failed` where the machine has no such address */
export async function checkPorts(ports: readonly PublishedPort[], taken: readonly PublishedPort[]): Promise<void> {
  for (const port of ports) {
    const inUse = (): Error => runtimeErrors['port-in-use'](`Port ${port.host}/${port.protocol} of this machine is taken.`);
    if (taken.some((other) => hostPortsClash(port, other))) throw inUse();
    try {
      await listenOnce(port.protocol, port.host, port.address);
    } catch (error) {
      if (errnoOf(error) === 'EADDRINUSE') throw inUse();
      throw runtimeErrors['start-failed'](`Port ${port.host}/${port.protocol} cannot be published at ${port.address ?? 'this machine'}: ${error instanceof Error ? error.message : String(error)}.`, {cause: error});
    }
  }
}

async function freePort(protocol: PublishedPort['protocol'], taken: readonly PublishedPort[]): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const host = await listenOnce(protocol, 0, undefined);
    if (!taken.some((other) => hostPortsClash({host, protocol}, other))) return host;
  }
  throw runtimeErrors['port-in-use']('This machine has no free port left to publish at.');
}

/** @returns the port. IPv4 alone: nothing else is led on */
function listenOnce(protocol: PublishedPort['protocol'], port: number, address = '0.0.0.0'): Promise<number> {
  return new Promise((resolve, reject) => {
    if (protocol === 'tcp') {
      const server = createServer().once('error', reject);
      server.listen({port, host: address, exclusive: true}, () => {
        const bound = server.address();
        server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : port));
      });
    } else {
      const socket = createSocket('udp4').once('error', reject);
      socket.bind({port, address, exclusive: true}, () => {
        const bound = socket.address();
        socket.close(() => resolve(bound.port));
      });
    }
  });
}
