/** A datagram that nobody can answer, as whoever may write raw packets can send it; a container may, as a rule. */

const program = `
  use Socket;
  my ($host, $port, $hex) = @ARGV;
  my $bytes = pack 'H*', $hex;
  socket my $raw, AF_INET, SOCK_RAW, 17 or die $!;
  send $raw, pack('nnnn', 0, $port, 8 + length $bytes, 0) . $bytes, 0, sockaddr_in(0, inet_aton $host) or die $!;`;

/** A command, for root, that sends `bytes` from UDP port 0. */
export function fromPortZero({host, port}: {readonly host: string; readonly port: number}, bytes: Uint8Array): readonly [command: string, args: readonly string[]] {
  return ['perl', ['-e', program, host, String(port), Buffer.from(bytes).toString('hex')]];
}
