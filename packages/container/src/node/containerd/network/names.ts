/** A container's `/etc/hosts` where nobody answers names: those who run on a network with it. Pure. */
import type {Attachment} from './attachment.ts';

const BEGIN = '# Others, as they come and go';
const END = '# Up to here';

/**
 * The text with the others' names in it. What the container wrote itself stays.
 * @param search domains that names are looked up in; a file is looked up as it is, so it has the short ones too
 */
export function withNames(text: string, own: readonly Attachment[], others: readonly Attachment[], search: readonly string[]): string {
  const [domain] = search;
  const networks = new Set(own.map(({network}) => network));
  const lines = others.filter(({network}) => networks.has(network)).flatMap(({address, aliases}) => {
    const short = aliases.flatMap((alias) => (domain !== undefined && alias.endsWith(`.${domain}`) ? [alias.slice(0, -domain.length - 1)] : []));
    const names = [...new Set([...short, ...aliases])];
    return names.length === 0 ? [] : [`${address}\t${names.join(' ')}\n`];
  });
  const block = `${BEGIN}\n${[...new Set(lines)].toSorted().join('')}${END}\n`;
  const begin = text.indexOf(`${BEGIN}\n`);
  const end = text.indexOf(`${END}\n`, begin);
  if (begin < 0 || end < 0) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${block}`;
  return text.slice(0, begin) + block + text.slice(end + END.length + 1);
}
