/** How services, containers and machines are called. Pure. */

/** As in the contracts, without loading their schemas. */
export const DOMAIN = 'hive';
export const SERVICES = `svc.${DOMAIN}`;
export const NODES = `nodes.${DOMAIN}`;

/** Whole name of a service, or of an alias of it. */
export const serviceName = (namespace: string, name: string): string => `${name}.${namespace}.${SERVICES}`;
export const replicaName = (namespace: string, service: string, container: string): string => `${container}.${serviceName(namespace, service)}`;

/** Everything that a service is reached by: whole names first, then those within its namespace. */
export function namesOf({namespace, name, domain, aliases}: {readonly namespace: string; readonly name: string; readonly domain?: string | undefined; readonly aliases: readonly string[]}): readonly string[] {
  const own = [name, ...aliases.filter((alias) => alias !== name)];
  return [...own.map((one) => serviceName(namespace, one)), ...(domain === undefined ? [] : [domain]), ...own.map((one) => `${one}.${namespace}`), ...own];
}
