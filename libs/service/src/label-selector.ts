/** Label selectors: `app=web,tier!=db,zone in (a,b),disk notin (hdd),gpu,!spot`. All terms must hold. */
import {commonErrors} from '@hivemind/contracts';

export type LabelMatcher = (labels: Readonly<Record<string, string>>) => boolean;

const TERM = /^(?:(?<absent>!)\s*(?<gone>[^\s=!,()]+)|(?<key>[^\s=!,()]+)(?:\s*(?<operator>==|=|!=)\s*(?<value>[^\s=!,()]*)|\s+(?<set>in|notin)\s*\((?<values>[^()]*)\))?)$/;

/** @throws `invalid-input` 422 that names the term which cannot be read */
export function parseLabelSelector(selector: string): LabelMatcher {
  const matchers = splitTerms(selector).map(parseTerm);
  return (labels) => matchers.every((matcher) => matcher(labels));
}

/** Commas inside parentheses separate values, not terms. */
function splitTerms(selector: string): readonly string[] {
  return selector.split(/,(?![^(]*\))/).map((term) => term.trim()).filter((term) => term !== '');
}

function parseTerm(term: string): LabelMatcher {
  const groups = TERM.exec(term)?.groups;
  if (!groups) {
    const message = `"${term.slice(0, 80)}" is not a label term: write key, !key, key=value, key!=value, key in (a,b) or key notin (a,b)`;
    throw commonErrors['invalid-input'](`The label selector cannot be read: ${message}.`, {errors: [{path: 'labelSelector', message}]});
  }
  const {gone, key = '', operator, value = '', set, values = ''} = groups;
  if (gone !== undefined) return (labels) => !Object.hasOwn(labels, gone);
  if (set !== undefined) {
    const wanted = new Set(values.split(',').map((part) => part.trim()));
    return set === 'in' ? (labels) => Object.hasOwn(labels, key) && wanted.has(labels[key] ?? '') : (labels) => !Object.hasOwn(labels, key) || !wanted.has(labels[key] ?? '');
  }
  if (operator === undefined) return (labels) => Object.hasOwn(labels, key);
  if (operator === '!=') return (labels) => labels[key] !== value;
  return (labels) => Object.hasOwn(labels, key) && labels[key] === value;
}
