/**
 * Flows of UDP that are led to a container which is gone. A connection of TCP ends with its container; a flow of UDP goes on for
 * as long as somebody sends, and the kernel leads it where it did. Pure.
 */

/** As `conntrack -L` prints it: what was asked, then who answers. */
const FLOW = /^udp\s.*? src=\S+ dst=\S+ .*? src=(\S+) dst=\S+ /;

/** Containers that translated flows go to, each once. @param isThere whether a container has the address, in rotation or not; @param isContainers whether it could be one's */
export function leftBehind(listing: string, isThere: (address: string) => boolean, isContainers: (address: string) => boolean): readonly string[] {
  const led = listing.split('\n').flatMap((line) => FLOW.exec(line)?.[1] ?? []);
  return [...new Set(led)].filter((address) => isContainers(address) && !isThere(address));
}
