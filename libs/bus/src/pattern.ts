/** Subjects (`a.b.c`) and patterns over them: `*` is one token, `>` as the last token is one or more. */
import {busErrors} from './errors.ts';

const token = /^[^\s.*>]+$/;

/** @throws `invalid-subject` */
export function checkSubject(subject: string): void {
  if (!subject.split('.').every((part) => token.test(part))) {
    throw busErrors['invalid-subject'](`"${subject}" is not a subject: tokens between dots, without spaces or wildcards.`);
  }
}

/** @throws `invalid-subject` */
export function checkPattern(pattern: string): void {
  const parts = pattern.split('.');
  const valid = parts.every((part, index) => part === '*' || (part === '>' && index === parts.length - 1) || token.test(part));
  if (!valid) throw busErrors['invalid-subject'](`"${pattern}" is not a pattern: tokens between dots, "*" for one token, ">" only at the end.`);
}

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('>');
}

export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const parts = subject.split('.');
  for (const [index, part] of wanted.entries()) {
    if (part === '>') return parts.length > index;
    if (index >= parts.length || (part !== '*' && part !== parts[index])) return false;
  }
  return wanted.length === parts.length;
}
