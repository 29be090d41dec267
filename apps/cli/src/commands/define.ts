/** How a command is declared: its words, flags, an example, and zod schemas for what commander hands over as text. */
import {type Command, Option} from 'commander';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import {formats} from '../output/output.ts';
import {openSession, type Session} from '../session.ts';
import type {Terminal} from '../terminal.ts';

/** `repeat`: may be given several times. */
export type Flag = readonly [flags: string, description: string, repeat?: 'repeat'];

export interface Leaf<Args extends z.ZodType, Options extends z.ZodType> {
  /** As commander takes it: `scale <app> <replicas>`. */
  readonly use: string;
  readonly summary: string;
  /** One or more lines, without the leading `hivemind`. */
  readonly example: string | readonly string[];
  readonly alias?: string;
  readonly flags?: readonly Flag[];
  /** A tuple, one a word of `use`. */
  readonly args: Args;
  readonly options: Options;
  /** Answers the exit status where it is not 0. */
  run(session: Session, args: z.output<Args>, options: z.output<Options>): Promise<number | void>;
}

/** What every command is registered with. */
export interface Host {
  readonly terminal: Terminal;
  exit(status: number): void;
}

export const GlobalOptionsSchema = z.object({
  output: z.enum(formats, `is not a format; use one of ${formats.join(', ')}`).default('table'),
  namespace: z.string().optional(),
  server: z.string().optional(),
  token: z.string().optional(),
  dataDir: z.string().optional(),
  ca: z.string().optional(),
});

/** No words, no flags. */
export const noArgs = z.tuple([]);
export const noOptions = z.object({});
export const oneArg = z.tuple([z.string()]);

/** A whole number on the command line. */
export const wholeNumber = z.string().regex(/^\d+$/, 'is not a whole number').transform(Number);
/** `60s`, `5m`, in ms; a bare number is seconds. */
export const durationFlag = z.string().regex(/^\d+(\.\d+)?(ms|s|m|h)?$/, 'is not a duration: write it as in 60s or 5m').transform((text) => Number.parseFloat(text) * ({ms: 1, s: 1000, m: 60_000, h: 3_600_000}[/[a-z]+$/.exec(text)?.[0] ?? 's'] ?? 1000));

export function leaf<Args extends z.ZodType, Options extends z.ZodType>(parent: Command, host: Host, definition: Leaf<Args, Options>): void {
  const command = parent.command(definition.use).description(definition.summary);
  if (definition.alias !== undefined) command.alias(definition.alias);
  for (const [flags, description, repeat] of definition.flags ?? []) {
    const option = new Option(flags, description);
    command.addOption(repeat === undefined ? option : option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]));
  }
  command.addHelpText('after', exampleText(definition.example));
  command.action(async () => {
    const args = checked(definition.args, command.processedArgs, (index) => command.registeredArguments[Number(index)]?.name() ?? 'argument');
    const options = checked(definition.options, command.opts(), (name) => `--${kebab(String(name))}`);
    const globals = checked(GlobalOptionsSchema, command.optsWithGlobals(), (name) => `--${kebab(String(name))}`);
    const session = await openSession(globals, host.terminal);
    host.exit((await definition.run(session, args, options)) ?? 0);
  });
}

export function exampleText(example: string | readonly string[]): string {
  const lines = typeof example === 'string' ? [example] : example;
  return `\n${lines.length > 1 ? 'Examples' : 'Example'}:\n${lines.map((line) => `  $ ${line.includes("hivemind ") ? "" : "hivemind "}${line}\n`).join('')}`;
}

/** @throws `wrong-usage` naming what is wrong with `nameOf` of its key */
export function checked<S extends z.ZodType>(schema: S, value: unknown, nameOf: (key: PropertyKey) => string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const [key] = issue?.path ?? [];
  throw cliErrors['wrong-usage'](`${key === undefined ? '' : `${nameOf(key)} `}${issue?.message ?? 'cannot be read'}`);
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
