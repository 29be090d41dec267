/** Ids of containers: the app's name, and five characters that tell its containers apart for ever. */

/** Lower-case base32 without what is easily confused. */
const ALPHABET = '23456789abcdefghjkmnpqrstuvwxyz2';
const SUFFIX = 5;
const MAX_APP = 50;

/** A DNS label. `random` answers in [0, 1). That it is new is compared when it is committed. */
export function containerId(app: string, random: () => number): string {
  const suffix = Array.from({length: SUFFIX}, () => ALPHABET[Math.floor(random() * ALPHABET.length)] ?? '2').join('');
  return `${app.slice(0, MAX_APP).replace(/-+$/, '')}-${suffix}`;
}
