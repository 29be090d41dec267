/** esbuild, and what it has to be told so that an app works from one file. */
import {readFile, stat} from 'node:fs/promises';
import {dirname, join, resolve, sep} from 'node:path';
import {build} from 'esbuild';
import ts from 'typescript';
import {root} from '../setup/enter.mjs';

/** CommonJS packages in the bundle still call `require` for Node's own modules. */
const requireShim = (base) => `import {createRequire as __createRequire} from 'node:module'; const require = __createRequire(${base});`;
const dirnameShim = "import {fileURLToPath as __toPath} from 'node:url'; const __filename = __toPath(import.meta.url), __dirname = __toPath(new URL('.', import.meta.url));";

const shared = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
};

/** Bundles `entry` with all it imports into `outfile`; answers the size in bytes. */
export default async function bundle({entry, outfile, logLevel = 'warning'}) {
  await build({...program, entryPoints: [entry], outfile, logLevel});
  checkAscii(await readFile(outfile));
  return (await stat(outfile)).size;
}

/**
 * Bundles programs that stay in memory on every machine into `<outdir>/<name>.js` and the parts that they share: what is imported
 * when it is needed is a file of its own, and takes no memory before. A package in CommonJS that is imported so has its default
 * export alone.
 */
export async function bundlePrograms({programs, outdir}) {
  const {metafile} = await build({...program, entryPoints: programs, outdir, splitting: true, metafile: true, chunkNames: 'parts/[name]-[hash]', logLevel: 'warning'});
  for (const file of Object.keys(metafile.outputs)) {
    if (file.endsWith('.js')) checkAscii(await readFile(join(root, file)));
  }
}

/**
 * V8 holds a source with one other character at two bytes each: megabytes of every process. esbuild escapes them but in regular
 * expressions and raw templates.
 */
function checkAscii(source) {
  const at = source.findIndex((byte) => byte > 0x7f);
  if (at >= 0) throw new Error(`A character beyond ASCII doubles what the program takes in memory; write it as \\u and four digits: …${source.subarray(Math.max(0, at - 40), at + 40)}…`);
}

/**
 * Parts of dependencies that are loaded at start and never used: they cost a quarter of a second, or
 * need native binaries that one file cannot carry. Using one says so.
 */
const unused = [
  {package: 'dockerode', path: /^\.\/(session|buildkit)$/, what: 'BuildKit sessions'},
  {package: 'docker-modem', path: /^ssh2$/, what: 'Docker engines over ssh://'},
  // Channelz and load reports by .proto files, which nobody asks for; with protobufjs a third of gRPC's text.
  {package: '@grpc/grpc-js', path: /^@grpc\/proto-loader$/, what: 'gRPC services by .proto files'},
  // A gateway's connections to services are Node's own.
  {package: '@fastify/reply-from', path: /^undici$/, what: 'connections by undici'},
];

const leaveOut = {
  name: 'leave-out',
  setup({onResolve, onLoad}) {
    for (const {package: owner, path, what} of unused) {
      onResolve({filter: path}, ({importer}) =>
        importer.includes(`${sep}node_modules${sep}${owner.replace('/', sep)}${sep}`) ? {path: what, namespace: 'unused'} : undefined,
      );
    }
    onLoad({filter: /.*/, namespace: 'unused'}, ({path}) => ({
      contents: `module.exports = new Proxy(function () {}, {
        get: (target, key) => (typeof key === 'symbol' || key in target ? target[key] : module.exports),
        apply() { throw new Error(${JSON.stringify(`${path} are not supported by the bundled hivemind`)}); },
        construct() { throw new Error(${JSON.stringify(`${path} are not supported by the bundled hivemind`)}); },
      });`,
      loader: 'js',
    }));
    // Its messages in fifty languages: English is spoken here.
    onLoad({filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/}, () => ({contents: 'export {default as en} from "./en.js";', loader: 'js'}));
    onResolve({filter: /\.node$/}, ({path}) => ({errors: [{text: `${path}: a native binary cannot be bundled`}]}));
  },
};

/**
 * Node's own modules by `require`. An `import` of one reads every export for its namespace, and reading those of `node:http`
 * loads Node's whole fetch client: a tenth of a second of the start.
 */
const builtins = {
  name: 'builtins',
  setup({onResolve, onLoad}) {
    onResolve({filter: /^node:/}, ({path, kind}) => (kind === 'require-call' || kind === 'dynamic-import' ? {path, external: true} : {path, namespace: 'builtin'}));
    onLoad({filter: /.*/, namespace: 'builtin'}, ({path}) => ({contents: `module.exports = require(${JSON.stringify(path)});`, loader: 'js'}));
  },
};

const workerUrl = /new URL\(\s*(['"])(\.{1,2}\/[^'"]+\.worker\.ts)\1\s*,\s*import\.meta\.url\s*\)/g;

/**
 * Inlines `new URL('./x.worker.ts', import.meta.url)` as a data: URL of the bundled worker, which
 * Node runs as a module; and refuses anything else that looks for a file beside the source.
 */
/** Files that hold schemas and nothing that happens when they are loaded. */
const schemas = /[\\/]libs[\\/]contracts[\\/]src[\\/][^\\/]+\.ts$/;

/**
 * Lets the bundler leave out what no program uses of them: it cannot know that `z.string().min(1)` changes nothing elsewhere, and
 * each schema takes one or two kilobytes of a process.
 */
function withDroppableConstants(source) {
  const file = ts.createSourceFile('schemas.ts', source, ts.ScriptTarget.Latest);
  const values = file.statements.filter(ts.isVariableStatement).flatMap(({declarationList}) => declarationList.declarations.flatMap(({initializer}) => initializer ?? []));
  return values.toReversed().reduce((text, {pos, end}) => `${text.slice(0, pos)} /* @__PURE__ */ (() => (${text.slice(pos, end)}))()${text.slice(end)}`, source);
}

const ownSources = {
  name: 'own-sources',
  setup({onLoad}) {
    onLoad({filter: /\.ts$/}, async ({path}) => {
      if (path.includes(`${sep}node_modules${sep}`)) return undefined;
      const source = await readFile(path, 'utf8');
      if (schemas.test(path)) return {contents: withDroppableConstants(source), loader: 'ts'};
      if (!source.includes('import.meta.')) return undefined;
      const workers = new Map();
      for (const [, , relative] of source.matchAll(workerUrl)) {
        workers.set(relative, await workerDataUrl(resolve(dirname(path), relative)));
      }
      const contents = source.replace(workerUrl, (_all, _quote, relative) => `new URL(${JSON.stringify(workers.get(relative))})`);
      // `createRequire` only asks for packages, and whoever does so must expect that there are none.
      const code = contents.replace(/\/\*[\s\S]*?\*\/|\/\/.*|createRequire\(import\.meta\.url\)/g, '');
      const left = /import\.meta\.(url|dirname|filename)/.exec(code);
      if (left) {
        return {errors: [{text: `${left[0]} is no place of its own in a bundle: import the file, or name a worker *.worker.ts`, location: {file: path}}]};
      }
      return {contents, loader: 'ts'};
    });
  },
};

/** What is written to disk. */
const program = {
  ...shared,
  absWorkingDir: root,
  legalComments: 'external',
  // Read and hashed at every start: half the size, with the names that a stack trace shows, and lines that say where.
  minifyWhitespace: true,
  lineLimit: 240,
  banner: {js: `${requireShim('import.meta.url')} ${dirnameShim}`},
  plugins: [leaveOut, builtins, ownSources],
};

async function workerDataUrl(entry) {
  const {outputFiles} = await build({
    ...shared,
    entryPoints: [entry],
    write: false,
    logLevel: 'warning',
    minify: true,
    legalComments: 'none',
    banner: {js: requireShim("'file:///'")},
    plugins: [leaveOut],
    absWorkingDir: root,
  });
  return `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`;
}
