/** Where the machine's sidecar answers names, as `--dns-listen` says it. */
import {isIP} from 'node:net';
import * as z from 'zod';

const DNS_PORT = 53;

/** To `ip:port` each; undefined: one of them is no address. */
function addressesOf(text: string): readonly string[] | undefined {
  const addresses = text.split(',').map((word) => {
    const family = isIP(word);
    if (family !== 0) return family === 6 ? `[${word}]:${DNS_PORT}` : `${word}:${DNS_PORT}`;
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(word) ?? [];
    return isIP(v6 ?? v4 ?? '') === (v6 === undefined ? 4 : 6) && Number(port) >= 1 && Number(port) <= 65_535 ? word : undefined;
  });
  return addresses.every((address) => address !== undefined) ? addresses : undefined;
}

export const dnsListen = z.string().transform((text, context) => {
  const addresses = addressesOf(text);
  if (addresses) return addresses;
  context.addIssue({code: 'custom', message: 'is no IP address: write one or more with commas between, as in 172.17.0.1 or 127.0.0.1:5353'});
  return z.NEVER;
});
