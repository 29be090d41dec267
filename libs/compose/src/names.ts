/** Compose allows dots, underscores and capitals in names; a Hivemind resource is named by a DNS label. */
import type {Scope} from './scope.ts';

/** The nearest DNS label: `my_db.1` → `my-db-1`. Empty when nothing of the name is left. */
export function dnsLabel(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-').slice(0, 63).replaceAll(/^-+|-+$/g, '');
}

/** The name of a project from its directory, as Compose makes it, then as a DNS label. */
export function projectLabel(name: string): string {
  return dnsLabel(name.toLowerCase().replaceAll(/[^a-z0-9_-]/g, ''));
}

/** Names of one kind of resource: each is reported when it is changed, and two that become one are an error. */
export class Names {
  readonly #taken = new Map<string, string>();

  resolve(written: string, scope: Scope): string {
    const name = dnsLabel(written);
    const other = this.#taken.get(name);
    if (name === '') scope.error(`${JSON.stringify(written)} has no letter or digit that a name could be made of`);
    else if (other !== undefined && other !== written) scope.error(`${written} and ${other} would both be named ${name}`);
    this.#taken.set(name, written);
    if (name !== written && other === undefined && name !== '') scope.info(`is named ${name} here`);
    return name;
  }
}
