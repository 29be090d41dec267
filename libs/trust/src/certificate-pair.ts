/** Whether a certificate and a key belong together. */
import {createPrivateKey, X509Certificate} from 'node:crypto';

/**
 * @param certificate PEM, its chain after it.
 * @param key PEM, without a passphrase.
 * @returns why they are no pair, or the certificate is over by `now` (ms since 1970); empty: all is well
 */
export function pairProblem(certificate: string, key: string, now: number): string {
  let read: X509Certificate;
  try {
    read = new X509Certificate(certificate);
  } catch {
    return 'the certificate cannot be read: it is to be PEM, the server\'s own first';
  }
  try {
    if (!read.checkPrivateKey(createPrivateKey(key))) return 'certificate and key do not belong together';
  } catch {
    return 'the key cannot be read: it is to be PEM, without a passphrase';
  }
  return read.validToDate.getTime() <= now ? `the certificate ended at ${read.validToDate.toISOString()}` : '';
}
