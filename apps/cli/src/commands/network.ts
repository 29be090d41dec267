/** `hivemind network …`: how containers of different machines reach each other. */
import {Ipam, Network, networkBackends, Overlay, WIREGUARD_PORT} from '@hivemind/contracts';
import {networkOwner, removeNetwork} from '@hivemind/network/node';
import {endIngress} from '@hivemind/sidecar/ingress';
import type {EngineOptions} from '@hivemind/agent';
import type {Command} from 'commander';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import {bytes} from '../output/quantities.ts';
import {fields} from '../output/table.ts';
import type {Session} from '../session.ts';
import {engineAddressesOf, engineAddressFlags, engineAddressOptions} from './engine-flags.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, wholeNumber} from './define.ts';

const CLUSTER = '/networks/cluster';

export function register(parent: Command, host: Host): void {
  const network = parent.command('network').description('The network of containers across machines').addHelpText('after', exampleText(['network info', 'network set --backend vxlan', 'network overlay']));
  leaf(network, host, {
    use: 'info', summary: 'How packets are carried, and of which range addresses are', example: 'network info', args: noArgs, options: noOptions,
    async run(session) {
      const {data: {spec, status}, raw} = await session.api.get(CLUSTER, Network);
      await session.output.one(raw, () => fields([
        ['Back-end', spec.backend], ['Range', spec.cidr], ['A machine\'s part', `/${spec.nodePrefix}`], ['Parts', `${status.subnets.used} of ${status.subnets.total} taken`],
        ['MTU', spec.mtu === undefined ? 'as the machines\' own' : String(spec.mtu)], ['VXLAN', `id ${spec.vxlan.id}, UDP ${spec.vxlan.port}`], ['WireGuard', `UDP ${spec.wireguard?.port ?? WIREGUARD_PORT}`],
      ]));
    },
  });
  leaf(network, host, {
    use: 'set', summary: 'Change it; containers that run keep their addresses until they are replaced', example: ['network set --backend vxlan', 'network set --backend auto --cidr 10.50.0.0/16 --mtu 9000'], args: noArgs,
    flags: [
      ['--backend <name>', `how packets go from machine to machine: ${networkBackends.join(', ')}`],
      ['--cidr <range>', 'the range of all containers\' addresses'],
      ['--node-prefix <bits>', 'length of the prefix of a machine\'s part'],
      ['--mtu <bytes>', 'most bytes of a packet between machines'],
    ],
    options: z.object({backend: z.string().optional(), cidr: z.string().optional(), nodePrefix: wholeNumber.optional(), mtu: wholeNumber.optional()}),
    async run(session, _args, spec) {
      if (Object.values(spec).every((value) => value === undefined)) throw cliErrors['wrong-usage']('say what is to change: --backend, --cidr, --node-prefix or --mtu');
      const {data, raw} = await session.api.call('PATCH', CLUSTER, Network, {body: {spec}});
      await session.output.one(raw, () => `network/cluster: back-end ${data.spec.backend}, ${data.spec.cidr}\n`);
    },
  });
  leaf(network, host, {
    use: 'ipam', summary: 'Which addresses each machine gives to its containers', example: 'network ipam', args: noArgs, options: noOptions,
    async run(session) {
      const {data, raw} = await session.api.get('/networks/ipam', Ipam);
      await session.output.list([...data.items, ...data.without.map((node) => ({node, subnet: '-', gateway: '-'}))], itemsOf(raw), [
        {title: 'NODE', value: ({node}) => node}, {title: 'SUBNET', value: ({subnet}) => subnet}, {title: 'GATEWAY', value: ({gateway}) => gateway},
      ], 'There is no machine.');
    },
  });
  leaf(network, host, {
    use: 'overlay', summary: 'How machines reach each other: loss and round trips', example: 'network overlay', args: noArgs, options: noOptions,
    async run(session) {
      const {data, raw} = await session.api.get('/networks/overlay', Overlay);
      const ways = data.items.flatMap(({node, device, peers}) => peers.map((peer) => ({from: node, device, ...peer})));
      await session.output.list(ways, itemsOf(raw), [
        {title: 'FROM', value: ({from}) => from}, {title: 'TO', value: ({node}) => node}, {title: 'VIA', value: ({via}) => via},
        {title: 'LOSS', value: ({loss}) => (loss === null ? '-' : `${Math.round(loss * 100)}%`)},
        {title: 'ROUND TRIP', value: ({roundTrip}) => (roundTrip === null ? '-' : `${roundTrip.mean} µs`)},
        {title: 'SENT', value: ({device}) => (device === null ? '-' : bytes(device.sentBytes))},
      ], data.backend !== 'none' && data.items.length + data.silent.length < 2 ? `Back-end ${data.backend}: there is no other machine.` : `Back-end ${data.backend}: no machine reaches another one's containers.`);
      if (data.because !== undefined) session.output.note(`${data.because}: containers are on networks of the engine's own; where that has changed: hivemind network set --backend auto`);
      for (const {node, backend, wireguard} of data.items) if (backend === 'wireguard' && wireguard !== undefined && 'by' in wireguard && wireguard.by === 'wireguard-go') session.output.note(`${node}: encrypted by wireguard-go, which is slower than WireGuard of the kernel`);
      for (const {node, problems} of data.items) for (const problem of problems) session.output.note(`${node}: ${problem}`);
      if (data.silent.length > 0) session.output.note(`no answer from ${data.silent.join(', ')}`);
    },
  });
  leaf(network, host, {
    use: 'down', summary: 'Remove bridge, overlay, routes, rules and HAProxy from this machine; an agent that runs here puts them back', example: 'network down', args: noArgs,
    flags: engineAddressFlags, options: z.object(engineAddressOptions),
    async run(session, _args, engine) {
      if (process.getuid?.() !== 0) throw cliErrors['wrong-usage']('network down takes root: it changes this machine\'s interfaces, routes and rules');
      await endIngress(session.dataDir);
      await forgetBridge(session, engineAddressesOf(engine, session.terminal.env));
      session.output.say((await removeNetwork()) ? 'the network of containers is gone from this machine' : 'this machine has no network of containers');
    },
  });
}

/** An engine lets no other cluster have a network on the bridge while it knows of one there. */
async function forgetBridge({dataDir, output, terminal}: Session, engine: EngineOptions): Promise<void> {
  const cluster = await networkOwner();
  if (cluster === undefined) return;
  const [{likelyEngines, openRuntime}, {default: pino}] = await Promise.all([import('@hivemind/agent'), import('pino')]);
  for (const name of await likelyEngines(engine, dataDir)) {
    const runtime = await openRuntime(name, engine, {cluster, node: 'local', logger: pino({level: 'silent'}), now: () => terminal.now()});
    await runtime.pruneNetworks().catch((error: unknown) => output.note(`${name} could not be asked to forget its network: ${error instanceof Error ? error.message : String(error)}`)).finally(() => runtime.close());
  }
}

function itemsOf(raw: unknown): readonly unknown[] {
  return z.object({items: z.array(z.unknown())}).parse(raw).items;
}
