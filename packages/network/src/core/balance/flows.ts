/**
 * What the kernel goes on to lead to a container that left. A connection of TCP ends with its container. A flow of UDP goes on for as
 * long as somebody sends, and so does one of TCP that was never answered: its first packet was lost, and is sent again. Pure.
 */

/** As `conntrack -L` prints it: what was asked, then who answers. */
const FLOW = /^(?:udp\s|tcp\s.*? SYN_SENT ).*? ?src=\S+ dst=\S+ .*? src=(\S+) dst=\S+ /;

/** Containers that translated flows go to, each once. @param isThere whether the kernel may lead to an address; @param isContainers whether it could be a container's */
export function leftBehind(listing: string, isThere: (address: string) => boolean, isContainers: (address: string) => boolean): readonly string[] {
  const led = listing.split('\n').flatMap((line) => FLOW.exec(line)?.[1] ?? []);
  return [...new Set(led)].filter((address) => isContainers(address) && !isThere(address));
}
