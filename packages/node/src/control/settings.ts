/** The times that machines are given, as stored or by default. */
import {NodeSettings, SETTINGS_KEY} from '@hivemind/contracts';
import {tempoOf, type Tempo} from '../core/tempo.ts';
import type {Tables} from './tables.ts';

const defaults = NodeSettings.parse({});

export function settingsOf({settings}: Pick<Tables, 'settings'>): NodeSettings {
  return settings.get(SETTINGS_KEY)?.value ?? defaults;
}

/** Answers the tempo of now; counts the machines only when some came or went. */
export function pacemaker(tables: Pick<Tables, 'settings' | 'nodes'>): () => Tempo {
  let tempo: Tempo | undefined;
  const forget = (): void => void (tempo = undefined);
  tables.settings.onChange(forget);
  tables.nodes.onChange((_key, before, after) => {
    if ((before === undefined) !== (after === undefined)) forget();
  });
  return () => (tempo ??= tempoOf(settingsOf(tables), tables.nodes.list().length));
}
