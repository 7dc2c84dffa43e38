// cache.ts: what was fetched once for all, by its address; and what of it goes.
//
// A file is made under another name and renamed when it is whole, so what is there is right. Two tasks that want the same
// wait for one.

import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Instant } from '../../../schedules/clock.ts';
import { isGone } from '../processes.ts';
import { atMost } from './download.ts';

export type Cache = {
  readonly cache: string;
  readonly now: Instant;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** What is being fetched or inflated, by its place. */
const under_way = new Map<string, Promise<void>>();

export async function cached(
  name: string,
  { cache, now, say, signal }: Cache,
  make: (part: string) => Promise<void>,
): Promise<string> {
  const place = join(cache, createHash('sha256').update(name).digest('hex'));
  if (existsSync(place)) {
    say('it is in the cache');
    utimesSync(place, now / 1000, now / 1000); // Still wanted: see `sweepFetched` and `makeRoom`.
    return place;
  }
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  await once(place, signal, make);
  return place;
}

/** What many tasks unpack is inflated for the first of them, and kept beside the archive: it costs more than all the rest. */
export async function inflated(source: string, { now, signal, say }: Cache, bytes_max: number): Promise<string> {
  const place = `${source}.tar`;
  if (existsSync(place)) {
    utimesSync(place, now / 1000, now / 1000);
    return place;
  }
  try {
    await once(place, signal, part =>
      pipeline(createReadStream(source), createGunzip(), atMost(bytes_max), createWriteStream(part)),
    );
    return place;
  } catch (error) {
    signal.throwIfAborted();
    // It is called what it is not, or there is no room: whoever unpacks it looks for himself, and has words of his own.
    say(`Not kept unpacked: ${error instanceof Error ? error.message : String(error)}`);
    return source;
  }
}

/** Makes a file, whole or not at all, for all who want it. Whoever is killed while he waits does not take it from the others. */
async function once(place: string, signal: AbortSignal, make: (part: string) => Promise<void>): Promise<void> {
  let making = under_way.get(place);
  if (making === undefined) {
    const part = `${place}.part`;
    making = make(part).then(
      () => renameSync(part, place),
      error => {
        rmSync(part, { force: true });
        throw error;
      },
    );
    under_way.set(place, making);
    const over = () => under_way.delete(place);
    making.then(over, over);
  }
  await Promise.race([making, aborted(signal)]);
}

/** Removes what was cached and has been wanted by nobody for so long, and what somebody began who was killed over it. */
export function sweepFetched(cache: string, age_ms_max: number, now: Instant): number {
  const old = kept(cache).filter(({ place, wanted_at }) => place.endsWith('.part') || now - wanted_at > age_ms_max);
  for (const { place } of old) rmSync(place, { force: true });
  return old.length;
}

/** From being asked for to being opened: so long what was wanted surely stays. */
const fresh_ms = 60_000;

/** What was wanted longest ago goes first. */
export function makeRoom(cache: string, bytes_max: number, now: Instant): void {
  const there = kept(cache).sort((a, b) => b.wanted_at - a.wanted_at);
  let bytes = 0;
  for (const { place, size, wanted_at } of there) {
    bytes += size;
    if (bytes > bytes_max && now - wanted_at > fresh_ms) rmSync(place, { force: true });
  }
}

/** What is whole, and what was given up. */
function kept(cache: string): { place: string; size: number; wanted_at: Instant }[] {
  if (!existsSync(cache)) return [];
  return readdirSync(cache).flatMap(name => {
    const place = join(cache, name);
    if (under_way.has(place.replace(/\.part$/, ''))) return [];
    try {
      const { size, mtimeMs } = statSync(place);
      return [{ place, size, wanted_at: mtimeMs }];
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  });
}

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
