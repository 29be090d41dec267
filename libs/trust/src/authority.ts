/**
 * The cluster's certificate authority, and the certificates it gives out: ECDSA P-256, made with node's own WebCrypto. The
 * X.509 library is loaded when the first certificate is made: a cluster on one machine's loopback needs none.
 */
import {createECDH, createHash, randomBytes, webcrypto, X509Certificate} from 'node:crypto';
import type * as X509 from '@peculiar/x509';

export interface Authority {
  /** PEM. Public: it is what others trust. */
  readonly certificate: string;
  /** PKCS #8, PEM. Whoever holds it can be anybody in this cluster. */
  readonly key: string;
}

export interface AuthorityOptions {
  /** The cluster's id; in the subject of the authority and of every certificate. */
  readonly cluster: string;
  /** ms since the epoch. */
  readonly now: number;
  /** 32 secret bytes that its key follows from; random when absent. */
  readonly seed?: Buffer;
}

export interface CertificateRequest {
  /** Common name: a node, or a service. */
  readonly name: string;
  /** IP addresses it is reached at. */
  readonly addresses?: readonly string[];
  /** Host names it is reached at. */
  readonly dns?: readonly string[];
  /** Default: both, as every process of a cluster is. */
  readonly usages?: readonly ('server' | 'client')[];
  /** Validity; default 30 days. */
  readonly days?: number;
  /** ms since the epoch. */
  readonly now: number;
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #8, PEM. */
  readonly key: string;
}

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
const CERTIFICATE_DAYS = 30;
/** Machines' clocks differ: what is made now is valid on one that is this much behind. */
const CLOCK_SKEW_MS = 3_600_000;
const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'};

/** A new authority: nothing that another one signed is trusted with it. */
export async function createAuthority({cluster, now, seed = randomBytes(32)}: AuthorityOptions): Promise<Authority> {
  const x509 = await library();
  const keys = await keysFrom(seed);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{O: [cluster]}, {CN: ['Hivemind cluster CA']}],
    ...validity(now, AUTHORITY_DAYS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      // It signs leaves only.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {certificate: pem(certificate), key: await privateKeyPem(keys.privateKey)};
}

/** A fresh key, and a certificate for it. */
export async function issueCertificate(authority: Authority, request: CertificateRequest): Promise<IssuedCertificate> {
  const {name, addresses = [], dns = [], usages = ['server', 'client'], days = CERTIFICATE_DAYS, now} = request;
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const alternatives = [...addresses.map((value) => ({type: 'ip' as const, value})), ...dns.map((value) => ({type: 'dns' as const, value}))];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{O: issuer.subjectName.getField('O')}, {CN: [name]}],
    issuer: issuer.subjectName,
    ...validity(now, days),
    publicKey: keys.publicKey,
    signingKey: await authorityKey(authority),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage === 'server' ? 'serverAuth' : 'clientAuth'])),
      ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return {certificate: pem(certificate), key: await privateKeyPem(keys.privateKey)};
}

/** SHA-256 of a certificate's public key, base64url: 43 characters, the same for a renewed certificate of that key. */
export function authorityHash(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({type: 'spki', format: 'der'});
  return createHash('sha256').update(key).digest('base64url');
}

/** When a certificate is to be replaced, ms since the epoch: two thirds into its validity. */
export function renewAt(certificate: string): number {
  const {validFrom, validTo} = new X509Certificate(certificate);
  const from = Date.parse(validFrom);
  return from + ((Date.parse(validTo) - from) * 2) / 3;
}

/** The order of P-256's group. */
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

/** A private key is any number from 1 to below the order. */
async function keysFrom(seed: Buffer): Promise<{readonly publicKey: webcrypto.CryptoKey; readonly privateKey: webcrypto.CryptoKey}> {
  const scalar = (BigInt(`0x${seed.toString('hex')}`) % (ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(d);
  const point = ecdh.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((coordinate) => coordinate.toString('base64url'));
  const open = {kty: 'EC', crv: 'P-256', x, y};
  const [publicKey, privateKey] = await Promise.all([
    webcrypto.subtle.importKey('jwk', open, algorithm, true, ['verify']),
    webcrypto.subtle.importKey('jwk', {...open, d: d.toString('base64url')}, algorithm, true, ['sign']),
  ]);
  return {publicKey, privateKey};
}

let loaded: Promise<typeof X509> | undefined;

/** Its container of dependencies needs the metadata API to be there first. */
function library(): Promise<typeof X509> {
  return (loaded ??= import('reflect-metadata').then(() => import('@peculiar/x509')).then((x509) => {
    x509.cryptoProvider.set(webcrypto);
    return x509;
  }));
}

function validity(now: number, days: number): {notBefore: Date; notAfter: Date} {
  return {notBefore: new Date(now - CLOCK_SKEW_MS), notAfter: new Date(now + days * DAY_MS)};
}

/** 127 random bits, hex: never negative, never the same twice. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pem(certificate: X509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

function authorityKey({key}: Authority): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(key.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
