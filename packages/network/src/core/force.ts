/** What of what the control plane says can be in force on a machine where containers have addresses already. Pure. */
import type {NetworkPeer, NetworkView} from '@hivemind/contracts';

/** The network as it is looked after. */
export interface InForce {
  readonly view: Pick<NetworkView, 'spec' | 'peers' | 'virtualIps'>;
  readonly self: NetworkPeer;
}

export interface Decision {
  /** Undefined: the machine has no network of ours. */
  readonly inForce: InForce | undefined;
  /** New containers get an address of it. */
  readonly open: boolean;
  /** Why it is not what the control plane says; empty where it is. */
  readonly because: string;
}

/** @param addresses how many containers have one. What they have is never taken from under them */
export function decide(latest: NetworkView, before: InForce | undefined, addresses: number): Decision {
  const {self, spec, peers, virtualIps} = latest;
  if (self === null) {
    if (before === undefined || addresses === 0) return {inForce: undefined, open: false, because: ''};
    return {inForce: before, open: false, because: `${addresses} containers still have addresses of ${before.self.subnet}: they keep them until they are replaced`};
  }
  if (before === undefined || before.self.subnet === self.subnet || addresses === 0) return {inForce: {view: {spec, peers, virtualIps}, self}, open: true, because: ''};
  return {inForce: {view: {spec: before.view.spec, peers, virtualIps}, self: before.self}, open: false, because: `this machine is to have ${self.subnet}, and ${addresses} containers have addresses of ${before.self.subnet}: drain it`};
}
