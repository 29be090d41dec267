/** What memberlist 0.5 sends at rest with DefaultLANConfig, by its own encoding. */
const text = (length: number): number => length + (length < 32 ? 1 : 3);
const key = (name: string): number => name.length + 1;

/** Bytes a second a member, without UDP's and TCP's own headers; names of 10 bytes, IPv4, so much metadata. */
export function memberlistAtRest(members: number, metaBytes: number): {readonly packets: number; readonly streams: number} {
  const name = 10;
  const checksum = 5;
  const seq = key('SeqNo') + 3;
  const source = key('SourceAddr') + text(4) + key('SourcePort') + 3 + key('SourceNode') + text(name);
  const ping = checksum + 2 + seq + key('Node') + text(name) + source;
  const ack = checksum + 2 + seq + key('Payload') + 1;
  const row =
    1 + key('Name') + text(name) + key('Addr') + text(4) + key('Port') + 3 + key('Meta') + text(metaBytes) + key('Incarnation') + 1 +
    key('State') + 1 + key('Vsn') + text(6);
  const view = 2 + key('Nodes') + 3 + key('UserStateLen') + 1 + key('Join') + 1 + members * row;
  const every = members <= 32 ? 30 : 30 * (Math.ceil(Math.log2(members) - Math.log2(32)) + 1);
  // Each member opens one exchange in that time and answers one.
  return {packets: ping + ack, streams: (2 * view) / every};
}
