/** runc's refusals of what could not be executed, in words. It says the same below Docker and containerd. */
export function missingCommand(said: string): string | undefined {
  const match = /exec: \\?"(.*?)\\?": (executable file not found in \$PATH|stat .*?: no such file or directory|no such file or directory|permission denied|is a directory)/.exec(said);
  if (match) return `the command ${match[1]} cannot be run in the image: ${match[2]?.replace(/^stat .*: /, '')}. Check command and args.`;
  const format = /exec format error/.exec(said);
  return format ? 'the image is for another kind of processor (exec format error).' : undefined;
}
