/** Looking into an image without mounting it: its layers lie on the machine, one above the other. */
import {lstat, readFile, readlink} from 'node:fs/promises';
import {join} from 'node:path';
import type {Mount} from './api/messages.ts';

const MOST_LINKS = 20;
const LARGEST_FILE = 4 * 2 ** 20;

/** The layers of a snapshot, the topmost first. */
export function layersOf([mount]: readonly Mount[]): readonly string[] {
  if (mount === undefined) return [];
  if (mount.type !== 'overlay') return [mount.source];
  const named = (name: string): readonly string[] => mount.options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1).split(':') ?? [];
  return [...named('upperdir'), ...named('lowerdir')];
}

/** What is at a path: the places that hold it (several for a directory), and the path without links. */
export interface Found {
  readonly path: string;
  readonly places: readonly string[];
  readonly isDirectory: boolean;
}

/**
 * Follows links within the image only, as the container would. undefined: there is no such thing. Whiteouts count; a
 * directory that an upper layer emptied as a whole (overlay's "opaque") shows what it hid.
 */
export async function findInLayers(layers: readonly string[], path: string): Promise<Found | undefined> {
  let wanted = path.split('/').filter((part) => part !== '' && part !== '.');
  let at: Found = {path: '/', places: layers, isDirectory: true};
  for (let links = 0; ; ) {
    const [part, ...rest] = wanted;
    if (part === undefined) return at;
    if (!at.isDirectory) return undefined;
    wanted = rest;
    if (part === '..') {
      // From the top again: what is above is not kept.
      wanted = [...at.path.split('/').filter(Boolean).slice(0, -1), ...rest];
      at = {path: '/', places: layers, isDirectory: true};
      continue;
    }
    const entry = await lookUp(at.places, part);
    if (entry === undefined) return undefined;
    if (entry.link !== undefined) {
      if (++links > MOST_LINKS) return undefined;
      wanted = [...(entry.link.startsWith('/') ? [] : at.path.split('/').filter(Boolean)), ...entry.link.split('/').filter((word) => word !== '' && word !== '.'), ...rest];
      at = {path: '/', places: layers, isDirectory: true};
      continue;
    }
    at = {path: join(at.path, part), ...entry};
  }
}

/** A file's text; empty where there is none. */
export async function readInLayers(layers: readonly string[], path: string): Promise<string> {
  const found = await findInLayers(layers, path);
  const [file] = found?.places ?? [];
  if (file === undefined || found?.isDirectory === true) return '';
  const info = await lstat(file);
  return info.isFile() && info.size <= LARGEST_FILE ? readFile(file, 'utf8') : '';
}

async function lookUp(places: readonly string[], part: string): Promise<{readonly places: readonly string[]; readonly isDirectory: boolean; readonly link?: string} | undefined> {
  const directories: string[] = [];
  for (const place of places) {
    const path = join(place, part);
    const info = await lstat(path).catch(() => undefined);
    if (info === undefined) continue;
    if (info.isDirectory()) {
      directories.push(path);
      continue;
    }
    // A whiteout, or something that hides the directories below it.
    if (directories.length > 0 || (info.isCharacterDevice() && info.rdev === 0)) break;
    if (info.isSymbolicLink()) return {places: [path], isDirectory: false, link: await readlink(path)};
    return {places: [path], isDirectory: false};
  }
  return directories.length > 0 ? {places: directories, isDirectory: true} : undefined;
}
