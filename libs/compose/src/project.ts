/**
 * A Compose project as Hivemind resources: the project is a namespace, each service an app that the others reach by its
 * name, named volumes are volumes, configs and secrets what they say. What cannot be honoured is a notice, by name.
 */
import {basename, dirname, join, resolve} from 'node:path';
import {type AppSpecInput, fieldErrors} from '@hivemind/contracts';
import {type ComposeBuild, readBuild} from './build.ts';
import {composeErrors} from './errors.ts';
import {Findings, type Notice} from './findings.ts';
import type {Lookup} from './interpolation.ts';
import {Loader, type Surroundings} from './load.ts';
import {dnsLabel, Names, projectLabel} from './names.ts';
import {ComposeFile, isExternal, type Service} from './schema.ts';
import {Scope} from './scope.ts';
import {type NamedSection, type ProjectView, readService} from './service.ts';
import {type Contents, type Kind, readSource} from './sources.ts';
import {reportUnread} from './support.ts';
import {locate, pathIn, toPlain, type Tree} from './tree.ts';

export interface ComposeInput extends Surroundings {
  /** Each is merged over the ones before; the first one's directory is where relative paths start. */
  readonly files: readonly string[];
  /** In place of that directory. */
  readonly projectDirectory?: string;
  /** `-p`: wins over `COMPOSE_PROJECT_NAME`, the file's `name` and the directory's. */
  readonly projectName?: string;
  /** Beside those of `COMPOSE_PROFILES`; `*` is all. */
  readonly profiles?: readonly string[];
  /** Files of variables in place of the project directory's `.env`. */
  readonly envFiles?: readonly string[];
  /** Variables of the process: they win over `.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Bodies for POST and PUT. */
export interface ComposeResource<Spec> {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Spec;
}

export interface ComposeProject {
  /** The namespace. */
  readonly name: string;
  readonly apps: readonly ComposeResource<AppSpecInput>[];
  readonly volumes: readonly ComposeResource<Readonly<Record<string, never>>>[];
  readonly configs: readonly ComposeResource<Contents>[];
  readonly secrets: readonly ComposeResource<Contents>[];
  readonly builds: readonly ComposeBuild[];
  readonly notices: readonly Notice[];
}

/** Every resource of a project carries it, so that `--prune` finds what left the file. */
export const projectLabelKey = 'hivemind.io/project';

/**
 * @throws `file-missing` (404), `yaml-malformed` (400), `compose-invalid` (422): with a field error for every wrong place
 */
export async function readComposeProject(input: ComposeInput): Promise<ComposeProject> {
  const findings = new Findings();
  const loader = new Loader(input, findings);
  const files = input.files.map((file) => resolve(input.workingDirectory, file));
  const directory = input.projectDirectory === undefined ? dirname(files[0] ?? input.workingDirectory) : resolve(input.workingDirectory, input.projectDirectory);
  const variables = await projectVariables(input, loader, directory);
  const lookup: Lookup = (name) => input.env[name] ?? variables.get(name);
  const tree = await loader.load(files, directory, (name) => (name === 'COMPOSE_PROJECT_NAME' ? projectName(input, lookup, undefined, directory) : lookup(name)));
  reportUnread(tree, findings);
  const parsed = ComposeFile.safeParse(toPlain(tree));
  if (!parsed.success) {
    for (const {path: dotted, message} of fieldErrors(parsed.error, ComposeFile, toPlain(tree))) {
      const path = pathIn(tree, dotted);
      findings.error(path, locate(tree, path), message);
    }
  }
  // Unknown keys do not hide what is wrong with the known ones: all is named in the end.
  if (!parsed.success) {
    findings.check('The Compose file');
    throw composeErrors['compose-invalid']('The Compose file is not valid');
  }
  return new Translation(input, loader, tree, parsed.data, lookup, findings).run(projectName(input, lookup, parsed.data.name, directory));
}

async function projectVariables(input: ComposeInput, loader: Loader, directory: string): Promise<ReadonlyMap<string, string>> {
  const outside: Lookup = (name) => input.env[name];
  if (input.envFiles === undefined) return (await loader.variables(join(directory, '.env'), outside)) ?? new Map();
  const all = new Map<string, string>();
  for (const file of input.envFiles) {
    const variables = await loader.variables(resolve(input.workingDirectory, file), outside);
    if (variables === undefined) throw composeErrors['file-missing'](`There is no file ${file}`);
    for (const [name, value] of variables) all.set(name, value);
  }
  return all;
}

/** @throws `compose-invalid` when a name that was asked for cannot be one. */
function projectName(input: ComposeInput, lookup: Lookup, inFile: string | null | undefined, directory: string): string {
  const written = input.projectName ?? lookup('COMPOSE_PROJECT_NAME') ?? inFile ?? undefined;
  if (written !== undefined && written !== '') {
    const name = dnsLabel(written);
    if (!/^[a-z0-9][a-z0-9_-]*$/.test(written) || name === '') {
      const message = `${JSON.stringify(written)} is not a project name: use lower-case letters, digits, hyphens and underscores, beginning with a letter or digit`;
      throw composeErrors['compose-invalid'](message, {errors: [{path: 'name', message}]});
    }
    return name;
  }
  return projectLabel(basename(directory)) || 'default';
}

class Translation {
  readonly #input: ComposeInput;
  readonly #loader: Loader;
  readonly #file: ComposeFile;
  readonly #lookup: Lookup;
  readonly #findings: Findings;
  readonly #root: Scope;
  readonly #names = {services: new Names(), volumes: new Names(), networks: new Names(), configs: new Names(), secrets: new Names()};
  readonly #usedVolumes = new Map<string, Readonly<Record<string, string>>>();

  constructor(input: ComposeInput, loader: Loader, tree: Tree, file: ComposeFile, lookup: Lookup, findings: Findings) {
    this.#input = input;
    this.#loader = loader;
    this.#file = file;
    this.#lookup = lookup;
    this.#findings = findings;
    this.#root = new Scope(tree, findings);
  }

  async run(project: string): Promise<ComposeProject> {
    const services = Object.fromEntries(Object.entries(this.#file.services ?? {}).map(([name, service]) => [name, service ?? {}]));
    const inactive = this.#inactive(services);
    const active = Object.entries(services).filter(([name]) => !inactive.has(name));
    if (Object.keys(services).length === 0) this.#root.at('services').error('there is no service in the file');
    const view = this.#view(services, inactive, active);
    const resource = <Spec>(name: string, spec: Spec, labels: Readonly<Record<string, string>> = {}, annotations: Readonly<Record<string, string>> = {}): ComposeResource<Spec> => ({
      name, namespace: project, labels: {...labels, [projectLabelKey]: project}, annotations, spec,
    });
    const apps: ComposeResource<AppSpecInput>[] = [];
    const builds: ComposeBuild[] = [];
    for (const [name, service] of active) {
      const scope = this.#root.at('services', name);
      const image = service.image ?? (service.build ? `${project}-${dnsLabel(name)}` : undefined);
      if (image === undefined) scope.error('needs an image, or a build to make one');
      const build = readBuild(dnsLabel(name), service, image ?? '', this.#lookup, scope);
      if (build) builds.push(build);
      const input = {name, service, image: image ?? '', built: build !== undefined, environment: await this.#environment(service, scope), containerLabels: await this.#labels(service, scope)};
      const app = readService(input, view, scope);
      apps.push(resource(app.name, app.spec, app.labels, app.annotations));
    }
    this.#refuseCycles(active, inactive);
    this.#noticeNetworks(active);
    const contents = async (kind: Kind): Promise<ComposeResource<Contents>[]> => [...(await this.#contents(kind, active))].map(([name, spec]) => resource(name, spec));
    const [configs, secrets] = [await contents('config'), await contents('secret')];
    const volumes = [...this.#usedVolumes].map(([name, labels]) => resource(name, {}, labels));
    this.#findings.check('The Compose file');
    return {name: project, apps, volumes, configs, secrets, builds, notices: this.#findings.notices};
  }

  #inactive(services: Readonly<Record<string, Service>>): ReadonlySet<string> {
    const asked = new Set([...(this.#input.profiles ?? []), ...(this.#lookup('COMPOSE_PROFILES') ?? '').split(',').map((profile) => profile.trim()).filter((profile) => profile !== '')]);
    return new Set(Object.entries(services).filter(([, {profiles}]) => profiles && profiles.length > 0 && !asked.has('*') && !profiles.some((profile) => asked.has(profile))).map(([name]) => name));
  }

  #view(services: Readonly<Record<string, Service>>, inactive: ReadonlySet<string>, active: readonly (readonly [string, Service])[]): ProjectView {
    const linkAliases = new Map<string, Set<string>>();
    const awaited = new Set<string>();
    for (const [name, service] of active) {
      for (const [dependency, {condition}] of Object.entries(service.depends_on ?? {})) if (condition === 'service_completed_successfully') awaited.add(dependency);
      for (const [index, link] of (service.links ?? []).entries()) {
        const [target = '', alias] = link.split(':');
        const scope = this.#root.at('services', name, 'links', index);
        if (services[target] === undefined) scope.error(`there is no service ${target}`);
        if (alias === undefined) continue;
        scope.info(`the name ${alias} reaches ${target} from every service of the project`);
        linkAliases.set(target, (linkAliases.get(target) ?? new Set()).add(alias));
      }
    }
    return {
      services, inactive, awaited, linkAliases,
      nameOf: (section, written) => this.#nameOf(section, written),
      networks: new Set(Object.keys(this.#file.networks ?? {})),
      defaultIsNamed: active.some(([, service]) => Object.keys(service.networks ?? {}).length > 1 && Object.hasOwn(service.networks ?? {}, 'default')),
      configs: this.#file.configs ?? {},
      secrets: this.#file.secrets ?? {},
      volumes: {declared: (written, scope) => this.#volume(written, scope), anonymous: (name) => void this.#usedVolumes.set(name, {})},
    };
  }

  /** What lives outside the file may have a name of its own there. */
  #nameOf(section: NamedSection, written: string): string {
    const source = section === 'configs' || section === 'secrets' ? this.#file[section]?.[written] : undefined;
    const outside = source !== undefined && isExternal(source.external) ? source.name : undefined;
    return this.#names[section].resolve(outside ?? written, this.#root.at(section, written));
  }

  #volume(written: string, scope: Scope): string | undefined {
    const declared = this.#file.volumes?.[written];
    if (declared === undefined) {
      scope.error(`there is no volume ${written} under volumes of the file${written.includes('/') ? '; a path begins with ./, ~ or /' : ''}`);
      return undefined;
    }
    const place = this.#root.at('volumes', written);
    const known = [...this.#usedVolumes.keys()];
    const name = this.#names.volumes.resolve(written, place);
    if (known.includes(name)) return name;
    const labels = Object.fromEntries(Object.entries(declared?.labels ?? {}).map(([key, value]) => [key, value ?? '']));
    this.#usedVolumes.set(name, labels);
    if (declared && isExternal(declared.external)) place.at('external').unsupported(`volumes of the engine that Hivemind did not make are not mounted: ${name} of this namespace is`);
    else if (declared?.name !== undefined) place.at('name').info(`a volume belongs to its project: it is ${name} there`);
    if (declared?.driver !== undefined && declared.driver !== 'local') place.at('driver').unsupported(`the driver ${declared.driver} is not there: it is a local volume`);
    return name;
  }

  /** Variables of a service: files first, then `environment`; what has no value takes it from outside, or is left out. */
  async #environment(service: Service, scope: Scope): Promise<Record<string, string>> {
    const result: Record<string, string> = Object.create(null);
    for (const [index, file] of (service.env_file ?? []).entries()) {
      const variables = await this.#loader.variables(file.path, this.#lookup, file.format === 'raw');
      if (variables === undefined && file.required) scope.at('env_file', index).error(`there is no file ${file.path}`);
      for (const [name, value] of variables ?? []) result[name] = value;
    }
    for (const [name, written] of Object.entries(service.environment ?? {})) {
      const value = written ?? this.#lookup(name);
      if (value === undefined) delete result[name];
      else result[name] = value;
    }
    return {...result};
  }

  async #labels(service: Service, scope: Scope): Promise<Record<string, string>> {
    const result: Record<string, string> = {};
    for (const [index, file] of (service.label_file ?? []).entries()) {
      const labels = await this.#loader.variables(file, this.#lookup);
      if (labels === undefined) scope.at('label_file', index).error(`there is no file ${file}`);
      for (const [name, value] of labels ?? []) result[name] = value;
    }
    for (const [name, value] of Object.entries(service.labels ?? {})) result[name] = value ?? '';
    return result;
  }

  async #contents(kind: Kind, active: readonly (readonly [string, Service])[]): Promise<ReadonlyMap<string, Contents>> {
    const section = kind === 'config' ? 'configs' : 'secrets';
    const used = new Set(active.flatMap(([, service]) => (service[section] ?? []).map(({source}) => source)));
    const result = new Map<string, Contents>();
    for (const [written, source] of Object.entries(this.#file[section] ?? {})) {
      if (!used.has(written)) continue;
      const scope = this.#root.at(section, written);
      const contents = await readSource(source, this.#lookup, this.#input.readFile, scope);
      if (contents !== undefined) result.set(this.#nameOf(section, written), contents);
    }
    return result;
  }

  /** Services that wait for one another would wait for ever. */
  #refuseCycles(active: readonly (readonly [string, Service])[], inactive: ReadonlySet<string>): void {
    const dependencies = new Map(active.map(([name, service]) => [name, Object.keys(service.depends_on ?? {}).filter((other) => !inactive.has(other))]));
    const done = new Set<string>();
    const visit = (name: string, within: readonly string[]): void => {
      if (done.has(name)) return;
      if (within.includes(name)) {
        this.#root.at('services', name, 'depends_on').error(`waits for itself: ${[...within.slice(within.indexOf(name)), name].join(' → ')}`);
        done.add(name);
        return;
      }
      for (const other of dependencies.get(name) ?? []) visit(other, [...within, name]);
      done.add(name);
    };
    for (const [name] of active) visit(name, []);
  }

  #noticeNetworks(active: readonly (readonly [string, Service])[]): void {
    const used = new Set(active.flatMap(([, service]) => Object.keys(service.networks ?? {})));
    for (const [name, network] of Object.entries(this.#file.networks ?? {})) {
      const scope = this.#root.at('networks', name);
      if (!used.has(name) && name !== 'default') continue;
      if (network && isExternal(network.external)) scope.at('external').unsupported('networks that Hivemind did not make are not joined: it is a network of this project');
      if (network?.driver !== undefined && network.driver !== 'bridge' && network.driver !== 'overlay') scope.at('driver').unsupported(`the driver ${network.driver} is not there: it is a bridge`);
    }
  }
}
