/** From files to one tree: YAML, interpolation, canonical forms, `include`, `extends`, then the files merged in order. */
import {dirname, relative} from 'node:path';
import {canonicalInclude, canonicalService, canonicalSource, type Places} from './canonical.ts';
import {DotenvError, parseDotenv, parseRawDotenv} from './dotenv.ts';
import {composeErrors} from './errors.ts';
import type {Findings} from './findings.ts';
import {interpolate, InterpolationError, type Lookup} from './interpolation.ts';
import {mergeFiles, mergeService} from './merge.ts';
import {entry, type MapTree, mapScalars, type Position, positionText, toPlain, type Tree, withEntry} from './tree.ts';
import {parseYaml} from './yaml.ts';

export interface Surroundings {
  /** Contents of an absolute path; undefined when there is no such file. */
  readonly readFile: (path: string) => Promise<Uint8Array | undefined>;
  readonly home: string;
  /** Paths are shown relative to it. */
  readonly workingDirectory: string;
}

/** Sections whose entries are resources: two included files may not both define one. */
const sections = ['services', 'volumes', 'networks', 'configs', 'secrets'] as const;

export class Loader {
  readonly #surroundings: Surroundings;
  readonly #findings: Findings;
  readonly #missing = new Set<string>();

  constructor(surroundings: Surroundings, findings: Findings) {
    this.#surroundings = surroundings;
    this.#findings = findings;
  }

  /**
   * @param files absolute paths, each over the ones before
   * @throws `file-missing`, `yaml-malformed`, `compose-invalid`
   */
  async load(files: readonly string[], directory: string, lookup: Lookup, within: readonly string[] = []): Promise<MapTree> {
    let whole: MapTree | undefined;
    for (const file of files) {
      for (const document of await this.#documents(file, directory, lookup)) {
        const resolved = await this.#withExtends(await this.#withIncludes(document, file, directory, lookup, within), file, directory, lookup);
        const merged: Tree = whole === undefined ? mergeFiles(emptyMap(document.at), resolved) : mergeFiles(whole, resolved);
        if (merged.kind === 'map') whole = merged;
      }
    }
    return whole ?? emptyMap({file: this.#shown(files[0] ?? ''), line: 1, column: 1});
  }

  /** Variables of a `.env` or `env_file`. Undefined when it is not there. */
  async variables(file: string, outside: Lookup, raw = false): Promise<ReadonlyMap<string, string> | undefined> {
    const bytes = await this.#surroundings.readFile(file);
    if (bytes === undefined) return undefined;
    const text = new TextDecoder().decode(bytes);
    try {
      return raw ? parseRawDotenv(text) : parseDotenv(text, outside);
    } catch (error) {
      if (!(error instanceof DotenvError)) throw error;
      throw composeErrors['compose-invalid'](`${this.#shown(file)}:${error.line} ${error.message}`, {errors: [{path: `${this.#shown(file)}:${error.line}`, message: error.message}]});
    }
  }

  async #documents(file: string, directory: string, lookup: Lookup): Promise<readonly MapTree[]> {
    const bytes = await this.#surroundings.readFile(file);
    if (bytes === undefined) throw composeErrors['file-missing'](`There is no file ${this.#shown(file)}`);
    const places = {directory, home: this.#surroundings.home};
    return parseYaml(new TextDecoder().decode(bytes), this.#shown(file)).map((tree) => {
      if (tree.kind !== 'map') throw composeErrors['compose-invalid'](`${positionText(tree.at)} A Compose file is a mapping with the key services`);
      return canonicalFile(this.#interpolated(tree, lookup), places);
    });
  }

  #interpolated(tree: MapTree, lookup: Lookup): MapTree {
    const result = mapScalars(tree, (value, path) => {
      if (typeof value.value !== 'string' || !value.value.includes('$')) return value;
      try {
        return {...value, value: interpolate(value.value, lookup, (name) => this.#noteMissing(name, path, value.at))};
      } catch (error) {
        if (!(error instanceof InterpolationError)) throw error;
        this.#findings.error(path, value.at, error.message);
        return value;
      }
    });
    this.#findings.check('The Compose file');
    return result.kind === 'map' ? result : tree;
  }

  #noteMissing(name: string, path: readonly PropertyKey[], at: Position): void {
    if (this.#missing.has(name)) return;
    this.#missing.add(name);
    this.#findings.notice('info', path, at, `the variable ${name} is not set: it counts as empty`);
  }

  async #withIncludes(document: MapTree, file: string, directory: string, lookup: Lookup, within: readonly string[]): Promise<MapTree> {
    const include = entry(document, 'include');
    if (include?.kind !== 'list') return document;
    let result = withEntry(document, 'include', undefined);
    for (const item of include.items) {
      const paths = texts(entry(item, 'path'));
      const first = paths[0];
      if (first === undefined) throw this.#invalid(item.at, 'an include needs a path');
      if (within.includes(first) || first === file) throw this.#invalid(item.at, `${this.#shown(first)} includes itself`);
      const own = texts(entry(item, 'project_directory'))[0] ?? dirname(first);
      const variables = await this.#includeVariables(texts(entry(item, 'env_file')), own, lookup);
      const included = await this.load(paths, own, (name) => lookup(name) ?? variables.get(name), [...within, file]);
      for (const section of sections) result = this.#union(result, section, entry(included, section));
    }
    return result;
  }

  async #includeVariables(files: readonly string[], directory: string, lookup: Lookup): Promise<ReadonlyMap<string, string>> {
    const all = new Map<string, string>();
    for (const file of files.length > 0 ? files : [`${directory}/.env`]) {
      for (const [name, value] of (await this.variables(file, lookup)) ?? []) all.set(name, value);
    }
    return all;
  }

  #union(document: MapTree, section: string, more: Tree | undefined): MapTree {
    if (more?.kind !== 'map') return document;
    const mine = entry(document, section);
    const entries = new Map(mine?.kind === 'map' ? mine.entries : []);
    for (const [name, value] of more.entries) {
      const other = entries.get(name);
      // The same thing included twice, over two ways, is one thing.
      if (other !== undefined && JSON.stringify(toPlain(other)) !== JSON.stringify(toPlain(value))) throw this.#invalid(value.at, `${section}.${name} is defined in ${positionText(other.at)} too`);
      entries.set(name, value);
    }
    return withEntry(document, section, {kind: 'map', entries, at: mine?.at ?? more.at});
  }

  async #withExtends(document: MapTree, file: string, directory: string, lookup: Lookup): Promise<MapTree> {
    const services = entry(document, 'services');
    if (services?.kind !== 'map') return document;
    const entries = new Map<string, Tree>();
    for (const name of services.entries.keys()) entries.set(name, await this.#extended(document, name, file, directory, lookup, []));
    return withEntry(document, 'services', {...services, entries});
  }

  async #extended(document: MapTree, name: string, file: string, directory: string, lookup: Lookup, within: readonly string[]): Promise<Tree> {
    const service = entry(entry(document, 'services'), name);
    const clause = entry(service, 'extends');
    if (service?.kind !== 'map' || clause?.kind !== 'map') return service ?? emptyMap(document.at);
    const key = `${file}#${name}`;
    if (within.includes(key)) throw this.#invalid(clause.at, `the service ${name} extends itself`);
    const base = texts(entry(clause, 'service'))[0];
    const otherFile = texts(entry(clause, 'file'))[0] ?? file;
    if (base === undefined) throw this.#invalid(clause.at, 'extends needs the name of a service');
    const otherDirectory = otherFile === file ? directory : dirname(otherFile);
    const other = otherFile === file ? document : (await this.#documents(otherFile, otherDirectory, lookup))[0];
    if (other === undefined || entry(entry(other, 'services'), base) === undefined) throw this.#invalid(clause.at, `there is no service ${base} in ${this.#shown(otherFile)}`);
    const inherited = await this.#extended(other, base, otherFile, otherDirectory, lookup, [...within, key]);
    return mergeService(inherited, withEntry(service, 'extends', undefined));
  }

  #invalid(at: Position, message: string) {
    return composeErrors['compose-invalid'](`${positionText(at)} ${message}`, {errors: [{path: positionText(at), message}]});
  }

  #shown(file: string): string {
    const shown = relative(this.#surroundings.workingDirectory, file);
    return shown === '' || shown.startsWith('..') ? file : shown;
  }
}

function canonicalFile(tree: MapTree, places: Places): MapTree {
  let result = tree;
  const each = (section: string, change: (value: Tree) => Tree): void => {
    const value = entry(result, section);
    if (value?.kind === 'map') result = withEntry(result, section, {...value, entries: new Map([...value.entries].map(([name, item]) => [name, change(item)]))});
  };
  each('services', (service) => (service.kind === 'map' ? canonicalService(service, places) : service));
  for (const section of ['configs', 'secrets']) each(section, (source) => canonicalSource(source, places));
  const include = entry(result, 'include');
  return include === undefined ? result : withEntry(result, 'include', canonicalInclude(include, places));
}

function texts(tree: Tree | undefined): readonly string[] {
  if (tree === undefined) return [];
  if (tree.kind === 'scalar') return tree.value === null ? [] : [String(tree.value)];
  return tree.kind === 'list' ? tree.items.flatMap(texts) : [];
}

function emptyMap(at: Position): MapTree {
  return {kind: 'map', entries: new Map(), at};
}
