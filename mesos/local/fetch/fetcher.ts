// fetcher.ts: brings into a sandbox what a command asks for, and unpacks it there, before anything of the command runs.
//
// One after the other, as Mesos does it, whoever asks: a plain task, a container, an executor. What is cached was fetched
// once for all and is never asked for again: whoever changes it must change its address. Nothing lands outside of the
// sandbox, and nothing that lands in it points outside.

import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import type { Instant } from '../../../schedules/clock.ts';
import type { Uri } from '../../protocol.ts';
import type { User } from '../limits/users.ts';
import { isGone } from '../processes.ts';
import { cached, inflated, makeRoom } from './cache.ts';
import { download, isLocal } from './download.ts';
import { gzipped, unpack, unpacks } from './unpack.ts';

export type FetchTerms = {
  /** What one address may bring. */
  readonly bytes_max: number;
  /** What one archive may hold, unpacked. */
  readonly unpacked_bytes_max: number;
  readonly files_max: number;
  /** How many fetch at a time on one machine; the others stand in line. */
  readonly at_once_max: number;
  /** What is kept for the next; beyond it goes what was wanted longest ago. */
  readonly cache_bytes_max: number;
};
export const fetch_defaults: FetchTerms = {
  bytes_max: 8 * 2 ** 30,
  unpacked_bytes_max: 32 * 2 ** 30,
  files_max: 1_000_000,
  at_once_max: 64,
  cache_bytes_max: 2 * 2 ** 30,
};

export type Fetch = {
  readonly sandbox: string;
  /** Where what is cached lies. */
  readonly cache: string;
  readonly now: Instant;
  /** As whom files of this machine are read: the agent may read more than its tasks. */
  readonly user?: User | undefined;
  readonly terms?: FetchTerms;
  /** A line for the sandbox's stderr: the only place where the details stand. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

let fetching = 0;
const line: (() => void)[] = [];

/** Throws when one of them cannot be had, or is not to be had in this way. */
export async function fetchAll(uris: readonly Uri[], fetch: Fetch): Promise<void> {
  if (uris.length === 0) return;
  const { at_once_max } = fetch.terms ?? fetch_defaults;
  if (fetching >= at_once_max) await new Promise<void>(resolve => line.push(resolve));
  else fetching++;
  try {
    fetch.signal.throwIfAborted();
    await fetchEach(uris, fetch);
  } finally {
    const next = line.shift();
    if (next === undefined) fetching--;
    else next();
  }
}

async function fetchEach(uris: readonly Uri[], fetch: Fetch): Promise<void> {
  for (const uri of uris) {
    fetch.say(`Fetching URI '${uri.value}'`);
    try {
      await fetchOne(uri, fetch);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      fetch.say(`Failed to fetch '${uri.value}': ${why}`);
      throw error;
    }
    fetch.say(`Fetched '${uri.value}'`);
  }
}

async function fetchOne(uri: Uri, fetch: Fetch): Promise<void> {
  const { sandbox, signal, user, terms = fetch_defaults } = fetch;
  const name = uri.output_file ?? nameIn(uri.value);
  if (!isInside(name)) throw new Error(`output file "${name}": expected a relative path that stays in the sandbox`);
  const place = join(sandbox, name);
  makeWay(sandbox, name);
  const opens = uri.executable !== true && uri.extract !== false && unpacks(name);
  let source = place;
  if (uri.cache === true) {
    // Who may read a file is not the same for everybody.
    const whose = isLocal(uri.value) && user !== undefined ? `\nas ${user.uid}` : '';
    source = await cached(`${uri.value}${whose}`, fetch, part => download(uri.value, part, { ...terms, user }));
    if (!opens) await copyFile(source, place);
    else if (gzipped.test(name)) source = await inflated(source, fetch, terms.unpacked_bytes_max);
    makeRoom(fetch.cache, terms.cache_bytes_max, fetch.now);
  } else await download(uri.value, place, { ...terms, user, signal });
  if (uri.executable === true) chmodSync(place, 0o755);
  if (opens) {
    const files = await unpack(source, { sandbox, name, terms, signal });
    fetch.say(`Unpacked ${files} files`);
  }
}

/** The last part of the path, without what follows a question mark. */
function nameIn(value: string): string {
  const path = isAbsolute(value) ? value : new URL(value).pathname;
  return decodeURIComponent(basename(path));
}

const isInside = (path: string) =>
  path !== '' && path !== '.' && !isAbsolute(path) && !path.split('/').includes('..') && !path.includes('\0');

/** The folders on the way; what stands where the file is to be goes, so that nothing is written through a link. */
function makeWay(sandbox: string, name: string): void {
  const folder = dirname(join(sandbox, name));
  mkdirSync(folder, { recursive: true });
  for (let at = folder; at.startsWith(sandbox + sep); at = dirname(at))
    if (!lstatSync(at).isDirectory()) throw new Error(`output file "${name}": ${basename(at)} is not a folder`);
  try {
    if (!lstatSync(join(sandbox, name)).isDirectory()) rmSync(join(sandbox, name));
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
