/** What reading a file found: errors, which stop it, and notices, which a person should know of. */
import {dottedPath, type FieldError, type HivemindError} from '@hivemind/contracts';
import {composeErrors} from './errors.ts';
import {type Position, positionText} from './tree.ts';

/** `unsupported`: it asks for something that will not happen. `info`: it happens in another way, or nothing is lost. */
export interface Notice {
  readonly level: 'unsupported' | 'info';
  /** Dotted, as in `services.web.ports[0]`. */
  readonly path: string;
  readonly message: string;
  readonly at: Position;
}

export class Findings {
  readonly notices: Notice[] = [];
  readonly errors: FieldError[] = [];

  notice(level: Notice['level'], path: readonly PropertyKey[], at: Position, message: string): void {
    this.notices.push({level, path: dottedPath(path), message, at});
  }

  error(path: readonly PropertyKey[], at: Position, message: string): void {
    this.errors.push({path: dottedPath(path), message: `${message} (${positionText(at)})`});
  }

  /** @throws `compose-invalid` (422) when there is any error, naming them all. */
  check(what: string): void {
    if (this.errors.length > 0) throw invalid(what, this.errors);
  }
}

function invalid(what: string, errors: readonly FieldError[]): HivemindError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return composeErrors['compose-invalid'](`${what} is not valid: ${first?.path ?? ''} ${first?.message ?? ''}${more}`, {errors});
}
