import {X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {connect, createServer, type TLSSocket} from 'node:tls';
import {authorityHash, createAuthority, issueCertificate, renewAt, type Authority, type IssuedCertificate} from './index.ts';

const now = Date.now();
const DAY = 86_400_000;

describe('the cluster authority', () => {
  let authority: Authority;
  beforeAll(async () => {
    authority = await createAuthority({cluster: 'c1', now});
  });

  it('signs certificates that name the cluster, where they are reached and what they are for', async () => {
    const issued = await issueCertificate(authority, {name: 'gateway', addresses: ['10.1.2.3', 'fd00::1'], dns: ['gateway.local'], days: 30, now});
    const ca = new X509Certificate(authority.certificate);
    const certificate = new X509Certificate(issued.certificate);
    expect(ca.ca).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkIssued(ca)).toBe(true);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.subject).toBe('O=c1\nCN=gateway');
    expect(certificate.checkIP('10.1.2.3')).toBe('10.1.2.3');
    expect(certificate.checkIP('fd00::1')).toBe('fd00::1');
    expect(certificate.checkHost('gateway.local')).toBe('gateway.local');
    expect(certificate.checkHost('elsewhere')).toBeUndefined();
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(issued.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  it('never gives the same serial number twice, and none is negative', async () => {
    const serials = await Promise.all(Array.from({length: 8}, async () => new X509Certificate((await issueCertificate(authority, {name: 'n', now})).certificate).serialNumber));
    expect(new Set(serials).size).toBe(8);
    expect(serials.every((serial) => /^[4-7][0-9A-F]{31}$/.test(serial))).toBe(true);
  });

  it('is known by the hash of its key', async () => {
    const other = await createAuthority({cluster: 'c1', now});
    expect(authorityHash(authority.certificate)).toMatch(/^[\w-]{43}$/);
    expect(authorityHash(authority.certificate)).not.toBe(authorityHash(other.certificate));
  });

  it('has certificates renewed two thirds into their life', async () => {
    const {certificate} = await issueCertificate(authority, {name: 'n', days: 30, now});
    expect(Math.abs(renewAt(certificate) - (now + 20 * DAY))).toBeLessThan(3_600_000);
  });

  it('lets both ends of a connection know each other, and refuses strangers', async () => {
    const other = await createAuthority({cluster: 'c1', now});
    const [server, client, stranger, served] = await Promise.all([
      issueCertificate(authority, {name: 'app', addresses: ['127.0.0.1'], now}),
      issueCertificate(authority, {name: 'gateway', usages: ['client'], now}),
      issueCertificate(other, {name: 'gateway', usages: ['client'], now}),
      issueCertificate(authority, {name: 'app', addresses: ['127.0.0.1'], usages: ['client'], now}),
    ]);
    expect(await greet(authority, server, authority, client)).toBe('gateway');
    expect(await greet(authority, server, authority, stranger)).toBe('refused');
    expect(await greet(authority, server, other, client)).toMatch(/unable to verify|self-signed|signature/i);
    // A client's certificate serves nobody.
    expect(await greet(authority, served, authority, client)).toMatch(/purpose/);
  });
});

/** What the server sees of the client, or why there was no connection. */
async function greet(serverCa: Authority, serverPair: IssuedCertificate, clientCa: Authority, clientPair: IssuedCertificate): Promise<string> {
  const server = createServer({ca: serverCa.certificate, cert: serverPair.certificate, key: serverPair.key, requestCert: true, rejectUnauthorized: true}, (socket: TLSSocket) => {
    socket.on('error', () => undefined);
    socket.end(String(socket.getPeerCertificate().subject.CN));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  try {
    const socket = connect({host: '127.0.0.1', port: typeof address === 'object' ? address?.port : undefined, ca: clientCa.certificate, cert: clientPair.certificate, key: clientPair.key});
    let heard = '';
    for await (const chunk of socket) heard += String(chunk);
    // By the server: its verdict comes after the client's own.
    return heard === '' ? 'refused' : heard;
  } catch (error) {
    return String(error);
  } finally {
    server.close();
  }
}
