/** `hivemind completion`: what a shell offers after Tab, made from the tree of commands itself. */
import type {Command} from 'commander';
import * as z from 'zod';
import {type Host, leaf} from './define.ts';

/** Words that may follow `words` (without `hivemind`): a branch's commands, and flags. */
interface Completion {
  readonly words: string;
  readonly commands: readonly {readonly name: string; readonly summary: string}[];
  readonly flags: readonly string[];
}

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'completion <shell>',
    summary: 'Print shell completion for bash, zsh or fish',
    example: ['completion bash > /etc/bash_completion.d/hivemind', 'completion zsh > "${fpath[1]}/_hivemind"', 'completion fish > ~/.config/fish/completions/hivemind.fish'],
    args: z.tuple([z.enum(['bash', 'zsh', 'fish'], 'is not a shell known here; use bash, zsh or fish')]),
    options: z.object({}),
    async run(session, [shell]) {
      const [{buildProgram}, {branches}] = await Promise.all([import('../program.ts'), import('../branches.ts')]);
      const tree = collect(await buildProgram(branches, undefined, host), '');
      session.output.print({bash, zsh, fish}[shell](tree));
    },
  });
}

function collect(command: Command, words: string): readonly Completion[] {
  const children = command.commands.filter((child) => child.name() !== 'help');
  const flags = command.options.flatMap(({short, long}) => [short, long]).filter((flag) => flag !== undefined && flag !== null);
  const own: Completion = {words, commands: children.map((child) => ({name: child.name(), summary: child.description()})), flags: [...flags, '--help']};
  return [own, ...children.flatMap((child) => collect(child, `${words} ${child.name()}`.trim()))];
}

function flagsOf(tree: readonly Completion[], {words, flags}: Completion): readonly string[] {
  return words === '' ? flags : [...flags, ...(tree[0]?.flags ?? [])].filter((flag, index, all) => all.indexOf(flag) === index);
}

function bash(tree: readonly Completion[]): string {
  const cases = tree.map((node) => `    "${node.words}") words="${[...node.commands.map(({name}) => name), ...flagsOf(tree, node)].join(' ')}" ;;`).join('\n');
  return `# bash completion for hivemind
_hivemind() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path="" word words="" index
  for ((index = 1; index < COMP_CWORD && index < 3; index++)); do
    word="\${COMP_WORDS[index]}"
    [[ "$word" == -* ]] && break
    path="\${path:+$path }$word"
  done
  case "$path" in
${cases}
  esac
  # Past the words that are known: flags of the first one.
  if [[ -z "$words" ]]; then
    case "\${path%% *}" in
${tree.filter(({words}) => words !== '' && !words.includes(' ')).map((node) => `      "${node.words}") words="${flagsOf(tree, node).join(' ')}" ;;`).join('\n')}
    esac
  fi
  if [[ "$cur" == -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else COMPREPLY=($(compgen -W "\${words//-[^ ]*/}" -- "$cur") $(compgen -f -- "$cur")); fi
}
complete -F _hivemind hivemind
`;
}

function zsh(tree: readonly Completion[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`;
  const cases = tree.map((node) => `    "${node.words}") commands=(${node.commands.map(({name, summary}) => quoted(name).slice(0, -1) + ':' + quoted(summary).slice(1)).join(' ')}); flags=(${flagsOf(tree, node).join(' ')}) ;;`).join('\n');
  return `#compdef hivemind
_hivemind() {
  local path="" word
  local -a commands flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ "$word" == -* || \${#\${(z)path}} -ge 2 ]] && break
    path="\${path:+$path }$word"
  done
  case "$path" in
${cases}
  esac
  if [[ "$PREFIX" == -* ]]; then compadd -- $flags
  elif ((\${#commands})); then _describe command commands
  else _files; fi
}
compdef _hivemind hivemind
`;
}

function fish(tree: readonly Completion[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = tree.flatMap(({words, commands, flags}) => {
    const parts = words === '' ? [] : words.split(' ');
    const condition = parts.length === 0 ? '__fish_use_subcommand' : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ');
    const unseen = parts.length === 1 && commands.length > 0 ? `; and not __fish_seen_subcommand_from ${commands.map(({name}) => name).join(' ')}` : '';
    return [
      ...commands.map(({name, summary}) => `complete -c hivemind -n ${quoted(condition + unseen)} -f -a ${name} -d ${quoted(summary)}`),
      ...flags.map((flag) => `complete -c hivemind${parts.length === 0 ? '' : ` -n ${quoted(condition)}`} ${flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`}`),
    ];
  });
  return `# fish completion for hivemind\n${lines.join('\n')}\n`;
}
