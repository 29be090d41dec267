import {leftBehind} from './flows.ts';

/** As conntrack 1.4.7 prints them. */
const listing = [
  'udp      17 28 src=10.244.0.5 dst=10.96.0.5 sport=40001 dport=5353 src=10.244.0.2 dst=10.244.0.5 sport=5353 dport=40001 mark=0 use=1',
  'udp      17 117 src=10.244.0.6 dst=10.96.0.5 sport=40002 dport=5353 src=10.244.0.3 dst=10.244.0.6 sport=5353 dport=40002 [ASSURED] mark=0 use=1',
  'udp      17 3 src=192.0.2.7 dst=192.0.2.1 sport=40003 dport=53 [UNREPLIED] src=10.244.0.3 dst=10.244.0.1 sport=53 dport=40003 mark=0 use=1',
  'udp      17 3 src=192.0.2.7 dst=192.0.2.1 sport=40003 dport=54 [UNREPLIED] src=172.17.0.3 dst=192.0.2.7 sport=53 dport=40003 mark=0 use=1',
  'tcp      6 431999 ESTABLISHED src=10.244.0.5 dst=10.96.0.5 sport=40001 dport=80 src=10.244.0.4 dst=10.244.0.5 sport=80 dport=40001 [ASSURED] mark=0 use=1',
  '',
].join('\n');

describe('flows to who is gone', () => {
  it('are those that lead to a container\'s address which nobody has', () => {
    const isContainers = (address: string): boolean => address.startsWith('10.244.');
    expect(leftBehind(listing, (address) => address === '10.244.0.2', isContainers)).toEqual(['10.244.0.3']);
    expect(leftBehind(listing, () => true, isContainers)).toEqual([]);
    expect(leftBehind('tcp      6 118 SYN_SENT src=10.244.0.5 dst=10.96.0.5 sport=40001 dport=80 [UNREPLIED] src=10.244.0.4 dst=10.244.0.5 sport=80 dport=40001 mark=0 use=1\n', () => false, isContainers)).toEqual(['10.244.0.4']);
  });
});
