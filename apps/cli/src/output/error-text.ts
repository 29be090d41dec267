/** Errors as people read them: what failed in one line, then each wrong field. */
import {isError} from '@hivemind/contracts';
import {clean, cleanLines} from './table.ts';

export function errorText(error: unknown): string {
  if (!isError(error)) return `hivemind: ${error instanceof Error ? cleanLines(error.message) : String(error)}\n`;
  // With one field error the line says it all.
  const details = error.errors.length > 1 || (error.errors.length === 1 && !error.message.includes(error.errors[0]?.message ?? '')) ? error.errors : [];
  return [`hivemind: ${cleanLines(error.message)}`, ...details.map(({path, message}) => `  ${clean(path)}: ${clean(message)}`)].join('\n') + '\n';
}

export function printError(error: unknown, to: NodeJS.WritableStream): void {
  to.write(errorText(error));
}
