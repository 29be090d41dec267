/** Compose projects from text, for tests: files in memory, no environment of the machine. */
import {isError, type HivemindError} from '@hivemind/contracts';
import {type ComposeInput, type ComposeProject, readComposeProject} from '../project.ts';

export interface ProjectFixture extends Partial<Omit<ComposeInput, 'readFile'>> {
  /** Beside the Compose file, by path relative to /work/shop. */
  readonly tree?: Readonly<Record<string, string | Uint8Array>>;
}

/** `text` is /work/shop/docker-compose.yml. */
export function project(text: string, {tree = {}, ...input}: ProjectFixture = {}): Promise<ComposeProject> {
  const files = new Map(Object.entries({'docker-compose.yml': text, ...tree}).map(([path, content]) => [path.startsWith('/') ? path : `/work/shop/${path}`, content]));
  return readComposeProject({
    files: ['docker-compose.yml'],
    env: {},
    home: '/home/me',
    workingDirectory: '/work/shop',
    ...input,
    readFile: async (path) => {
      const content = files.get(path);
      return typeof content === 'string' ? new TextEncoder().encode(content) : content;
    },
  });
}

/** The app made of the one service of `text`, which is written without `services: {web: …}` around it. */
export async function service(body: string, fixture: ProjectFixture = {}): Promise<ComposeProject['apps'][number]['spec']> {
  const text = `services:\n  web:\n    image: nginx\n${body.replaceAll(/^(?=.)/gm, '    ')}\n`;
  const {apps} = await project(text, fixture);
  return apps[0]!.spec;
}

/** The error that reading fails with. */
export async function refusal(reading: Promise<unknown>): Promise<HivemindError> {
  const error: unknown = await reading.then(() => new Error('it was accepted'), (reason: unknown) => reason);
  if (!isError(error)) throw error;
  return error;
}

/** `path: message` of each notice of a level. */
export function notices({notices: all}: ComposeProject, level: 'unsupported' | 'info'): readonly string[] {
  return all.filter((notice) => notice.level === level).map(({path, message}) => `${path}: ${message}`);
}

/** Where there are notices of a level, sorted. */
export function paths({notices: all}: ComposeProject, level: 'unsupported' | 'info'): readonly string[] {
  return all.filter((notice) => notice.level === level).map(({path}) => path).sort();
}
