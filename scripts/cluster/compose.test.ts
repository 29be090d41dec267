import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {serviceNames} from '@hivemind/service-host';
import {parse} from 'yaml';
import * as z from 'zod';
import {machines} from './lifecycle.mjs';

const Service = z.looseObject({
  image: z.string(),
  build: z.unknown().optional(),
  command: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.union([z.array(z.string()), z.record(z.string(), z.object({condition: z.string()})).transform((conditions) => Object.keys(conditions))]).default([]),
});
const text = readFileSync(join(import.meta.dirname, '../../docker-compose.yml'), 'utf8');
const file = z.looseObject({services: z.record(z.string(), Service), volumes: z.record(z.string(), z.unknown())}).parse(parse(text, {merge: true}));
const services = Object.entries(file.services);

describe('docker-compose.yml', () => {
  it('has a container for the gateway and for each manager there is, found under its own name', () => {
    const found = services.filter(([, {command}]) => command[0] === 'service');
    expect(found.map(([, {command}]) => command[1]).toSorted()).toEqual(serviceNames.toSorted());
    expect(found.map(([name, {environment}]) => [name, environment.HIVEMIND_ADVERTISE])).toEqual(found.map(([, {command}]) => [command[1], command[1]]));
  });

  it('has three machines, that share nothing that they can write to', () => {
    expect(services.filter(([, {image}]) => image.includes('machine')).map(([name]) => name)).toEqual(machines);
    const volumes = machines.flatMap((name) => file.services[name]!.volumes).filter((volume) => !volume.endsWith(':ro'));
    expect(volumes.filter((volume) => volume.endsWith(':/var/lib/docker')).length).toBe(3);
    expect(new Set(volumes.map((volume) => volume.split(':')[0])).size).toBe(volumes.length);
  });

  it('keeps every acknowledged write, and evicts none', () => {
    expect(file.services.redis!.command.join(' ')).toMatch(/--appendonly yes --appendfsync always --maxmemory-policy noeviction/);
    expect(file.services.nats!.command).toContain('-js');
  });

  it('is understood by docker-compose 1.29, which builds an image only before those who depend on its builder', () => {
    expect(Object.keys(file).filter((key) => !/^x-/.test(key)).toSorted()).toEqual(['services', 'volumes']);
    const builders = new Map(services.filter(([, {build}]) => build !== undefined).map(([name, {image}]) => [image, name]));
    for (const [name, {image, build, depends_on: dependsOn}] of services) {
      const builder = builders.get(image);
      if (builder !== undefined && build === undefined) expect([name, dependsOn]).toEqual([name, expect.arrayContaining([builder])]);
    }
  });
});
