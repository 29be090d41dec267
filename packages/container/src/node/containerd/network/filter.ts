/**
 * Where an engine, or a person, drops whatever is forwarded: two rules in iptables' filter table let through what concerns
 * the driver's bridges. An engine leaves DOCKER-USER to others.
 */
import {run} from './command.ts';

const RULES = ['-i hmb+ -j ACCEPT', '-o hm+ -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT'];

/** A machine without iptables has nobody who would drop it there. */
export async function letThrough(): Promise<void> {
  const saved = await rules();
  const hook = saved.includes('-N DOCKER-USER') ? 'DOCKER-USER' : saved.includes('-P FORWARD DROP') ? 'FORWARD' : undefined;
  if (hook === undefined) return;
  for (const rule of RULES) if (!saved.includes(`-A ${hook} ${rule}`)) await run('iptables', ['-w', '-I', hook, ...rule.split(' ')]);
}

export async function letThroughNoMore(): Promise<void> {
  const saved = await rules();
  for (const hook of ['DOCKER-USER', 'FORWARD']) {
    for (const rule of RULES) if (saved.includes(`-A ${hook} ${rule}`)) await run('iptables', ['-w', '-D', hook, ...rule.split(' ')]).catch(() => undefined);
  }
}

/** Lines of `iptables -S`; none where there is no iptables. */
async function rules(): Promise<readonly string[]> {
  return run('iptables', ['-w', '-S']).then((text) => text.split('\n'), () => []);
}
