import {existsSync} from 'node:fs';
import {busyboxImage, busyboxImageName, dockerEngine, startDockerEngine, startRegistry, waitFor} from '../../src/index.ts';
import type Docker from 'dockerode';

async function finished(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
  });
}

describe('busyboxImage', () => {
  it('is assembled once and runs a shell and a web server', async () => {
    const docker = await dockerEngine();
    expect(await busyboxImage(docker)).toBe(busyboxImageName);
    const first = await docker.getImage(busyboxImageName).inspect();
    await busyboxImage(docker);
    expect((await docker.getImage(busyboxImageName).inspect()).Id).toBe(first.Id);

    const container = await docker.createContainer({
      Image: busyboxImageName,
      Cmd: ['sh', '-c', 'echo hello > /tmp/index.html && exec httpd -f -p 80 -h /tmp'],
      ExposedPorts: {'80/tcp': {}},
      HostConfig: {PortBindings: {'80/tcp': [{HostIp: '127.0.0.1', HostPort: '0'}]}},
    });
    try {
      await container.start();
      const port = (await container.inspect()).NetworkSettings.Ports['80/tcp']?.[0]?.HostPort;
      const page = await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/`)).text(), {what: 'the page'});
      expect(page).toBe('hello\n');
    } finally {
      await container.remove({force: true});
    }
  });
});

describe('startRegistry', () => {
  it('takes and gives images, to those who have the password', async () => {
    const docker = await dockerEngine();
    const authconfig = {username: 'ann', password: 'pa$$ word', serveraddress: ''};
    await using registry = await startRegistry({auth: authconfig});
    const repository = `${registry.host}/busybox`;
    await docker.getImage(await busyboxImage(docker)).tag({repo: repository, tag: '1'});
    const image = docker.getImage(`${repository}:1`);
    try {
      await finished(docker, await image.push({authconfig: {...authconfig, serveraddress: registry.host}}));
      await image.remove();
      await expect(docker.pull(`${repository}:1`)).rejects.toMatchObject({statusCode: 500, message: /no basic auth|unauthorized/});
      await finished(docker, await docker.pull(`${repository}:1`, {authconfig: {...authconfig, serveraddress: registry.host}}));
      expect((await image.inspect()).RepoTags).toContain(`${repository}:1`);
    } finally {
      await image.remove().catch(() => undefined);
    }
  });
});

describe('startDockerEngine', () => {
  it('runs containers that outlive its restart, apart from the machine\'s engine, and leaves nothing', async () => {
    const engine = await startDockerEngine({liveRestore: true});
    let containerPid = 0;
    try {
      const Image = await busyboxImage(engine.docker);
      const container = await engine.docker.createContainer({Image, Cmd: ['sleep', '1000']});
      await container.start();
      containerPid = (await container.inspect()).State.Pid;
      const machine = await dockerEngine();
      expect(await machine.getNetwork('bridge').inspect()).toMatchObject({Options: {'com.docker.network.bridge.name': 'docker0'}});
      expect(existsSync('/sys/class/net/docker0')).toBe(true);
      await expect(machine.getContainer(container.id).inspect()).rejects.toMatchObject({statusCode: 404});

      await engine.terminate();
      await expect(engine.docker.ping()).rejects.toThrow();
      await engine.start();
      expect((await container.inspect()).State.Pid).toBe(containerPid);
      // Killed, it cannot be asked to remove the container any more: stop must do without it.
      await engine.kill();
    } finally {
      await engine.stop();
    }
    await waitFor(() => !existsSync(`/proc/${containerPid}`), {what: 'the container to end'});
    expect(existsSync(engine.dir)).toBe(false);
  }, 60_000);
});
