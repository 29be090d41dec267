/** Streams of JSON, one value a line: the engine's events and progress, and what nodes send. */

/** Lines that are not JSON are passed over. */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, {stream: true});
    let newline: number;
    while ((newline = rest.indexOf('\n')) >= 0) {
      const value = parse(rest.slice(0, newline));
      rest = rest.slice(newline + 1);
      if (value !== undefined) yield value;
    }
  }
  const last = parse(rest);
  if (last !== undefined) yield last;
}

function parse(line: string): unknown {
  if (line.trim() === '') return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
