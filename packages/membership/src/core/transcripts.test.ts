/** Stories of a ring, told as text. `REWRITE=1` writes what comes of them now; the diff is for a person to judge. */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {commandsOf, play} from '../testing/transcript.ts';

const folder = join(import.meta.dirname, 'transcripts');

test.each(readdirSync(folder))('%s', (file) => {
  const path = join(folder, file);
  const written = readFileSync(path, 'utf8');
  const played = play(commandsOf(written));
  if (process.env.REWRITE) writeFileSync(path, played);
  else expect(played).toBe(written);
});
