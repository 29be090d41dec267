/** Real registries with one image each: one for everybody, one behind a password. */
import {once} from 'node:events';
import {busyboxImage, startRegistry} from '@hivemind/testkit';
import type Docker from 'dockerode';
import type {RuntimeUnderTest} from '../../src/testing/contract.ts';

export async function startRegistries(docker: Docker): Promise<{readonly images: RuntimeUnderTest['registry']; stop(): Promise<void>}> {
  const credentials = {username: 'ann', password: 'pa$$ w+/rd'};
  const [open, closed] = await Promise.all([startRegistry(), startRegistry({auth: credentials})]);
  const stop = async (): Promise<void> => {
    for (const host of [open.host, closed.host]) await docker.getImage(`${host}/busybox:1`).remove({force: true}).catch(() => undefined);
    await Promise.all([open.stop(), closed.stop()]);
  };
  try {
    await push(docker, open.host, 'busybox');
    await push(docker, closed.host, 'busybox', credentials);
  } catch (error) {
    await stop();
    throw error;
  }
  return {images: {open: `${open.host}/busybox:1`, closed: `${closed.host}/busybox:1`, missing: `${open.host}/missing:1`, credentials}, stop};
}

/** Leaves it in the registry alone. */
export async function push(docker: Docker, host: string, name: string, credentials?: {readonly username: string; readonly password: string}): Promise<void> {
  const repository = `${host}/${name}`;
  await docker.getImage(await busyboxImage(docker)).tag({repo: repository, tag: '1'});
  const image = docker.getImage(`${repository}:1`);
  const progress = await image.push(credentials ? {authconfig: {...credentials, serveraddress: host}} : {authconfig: {username: '', password: '', serveraddress: host}});
  let said = '';
  progress.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(progress, 'end');
  if (said.includes('"error"')) throw new Error(`cannot push to ${host}: ${said}`);
  await image.remove();
}
