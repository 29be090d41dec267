import {read} from './news.ts';

/** As iproute2 6.1 prints them. */
const container = [
  '10517: vethb455beb@veth8ea0bc8: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN group default \\    link/ether b2:82:76:60:b3:a6 brd ff:ff:ff:ff:ff:ff',
  'Deleted 10516: veth8ea0bc8@vethb455beb: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default \\    link/ether a6:1e:8f:2f:23:62 brd ff:ff:ff:ff:ff:ff new-netnsid 1 new-ifindex 10516',
  '10518: hmv12ab@if3: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default \\    link/ether b2:82:76:60:b3:a6 brd ff:ff:ff:ff:ff:ff',
  'multicast ff00::/8 dev vethb455beb table local proto kernel metric 256 pref medium',
  'fe80::/64 dev hm0 proto kernel metric 256 pref medium',
  '12: hm0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever',
];
const machine = [
  'Deleted 12: hm0: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN group default \\    link/ether 0a:58:0a:f4:00:01 brd ff:ff:ff:ff:ff:ff',
  'Deleted 10.244.2.0/24 via 10.244.2.0 dev hm-vx proto 244 onlink',
  'Deleted 12: hm0    inet 10.244.0.1/24 scope global hm0\\       valid_lft forever preferred_lft forever',
  '2: eth0    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever preferred_lft forever',
  'default via 10.0.0.1 dev eth0',
];

describe('news of the kernel', () => {
  it('are of concern where they are about the machine, and not about a container that starts', () => {
    expect(container.map((line) => read(line).isOfConcern)).toEqual(container.map(() => false));
    expect(machine.map((line) => read(line).isOfConcern)).toEqual(machine.map(() => true));
  });

  it('tell who is on the bridge', () => {
    expect(read('10517: vethb455beb@if10516: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master hm0 state UP group default \\    link/ether b2:82:76:60:b3:a6').member).toBe('vethb455beb');
    expect([...container, ...machine, '7: veth1@if6: <UP> mtu 1500 master br-ca04 state UP'].map((line) => read(line).member)).toEqual(Array.from({length: 12}));
  });
});
