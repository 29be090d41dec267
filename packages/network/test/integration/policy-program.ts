/**
 * The node half that keeps policies, on a machine of the tests, beside a control plane that says what each line of standard input
 * says; `"done"` a line on standard output. Run by hand: node packages/network/test/integration/policy-program.ts FILE
 */
import {createInterface} from 'node:readline';
import {createEmbeddedBus, emit, serve} from '@hivemind/bus';
import {getPolicies, policiesChanged, type PolicyMembers, type ResolvedPolicy} from '@hivemind/contracts';
import {systemClock} from '@hivemind/controller';
import {pino} from 'pino';
import {type LocalContainer, MachinePolicies} from '../../src/node/policies.ts';

export interface PolicyOrder {
  readonly told?: {readonly version: string; readonly policies: readonly ResolvedPolicy[]; readonly members: readonly PolicyMembers[]};
  readonly admit?: LocalContainer;
}

const [path = ''] = process.argv.slice(2);
const bus = createEmbeddedBus();
let told: PolicyOrder['told'] = {version: '0', policies: [], members: []};
/** A page each, as if they were many. */
await serve(bus, getPolicies, {}, async ({after}) => {
  const {version, policies, members} = told!;
  const index = after === undefined ? 0 : Number(after);
  return {version, policies: index === 0 ? [...policies] : [], members: members.slice(index, index + 1), next: index + 1 < members.length ? String(index + 1) : null};
});
const policies = new MachinePolicies({
  bus, node: 'm1', cluster: 'c1', path, session: {current: () => 1, onRegistered: () => () => undefined}, bridge: 'hm0', present: async () => [],
  clock: systemClock, logger: pino({level: process.env.LOG ?? 'silent'}, pino.destination(2)),
});
await policies.start();
async function obey(order: PolicyOrder): Promise<void> {
  if (order.admit) return policies.admit(order.admit);
  told = order.told;
  await emit(bus, policiesChanged, {}, {version: told!.version});
}
createInterface({input: process.stdin})
  .on('line', (line) => void obey(JSON.parse(line)).then(() => process.stdout.write('"done"\n')))
  .on('close', () => process.exit());
