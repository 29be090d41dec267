/** Manifests of one kind, from a file or standard input. */
import {readFile} from 'node:fs/promises';
import {resolve} from 'node:path';
import {parseAllDocuments} from 'yaml';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';

/** As much of it as says where it goes; the server looks at the rest. */
const Manifest = z.looseObject({kind: z.string().optional(), name: z.string(), namespace: z.string().optional()});

/** @throws `failed` where it cannot be read, `wrong-usage` where it holds something else */
export async function manifestsOf(file: string, kind: string, terminal: {readonly cwd: string; readonly in: AsyncIterable<unknown>}): Promise<readonly z.infer<typeof Manifest>[]> {
  let text = '';
  if (file === '-') for await (const chunk of terminal.in) text += String(chunk);
  else {
    text = await readFile(resolve(terminal.cwd, file), 'utf8').catch((error: unknown) => {
      throw cliErrors.failed(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
    });
  }
  return parseAllDocuments(text).map((document, index) => {
    const manifest = Manifest.safeParse(document.errors.length > 0 ? undefined : document.toJS());
    if (!manifest.success || (manifest.data.kind ?? kind) !== kind) throw cliErrors['wrong-usage'](`document ${index + 1} of ${file} is no ${kind}: it has a name and a spec, and its kind is ${kind}`);
    return manifest.data;
  });
}
