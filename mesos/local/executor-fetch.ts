// executor-fetch.ts: brings into a sandbox what a command asks for, and unpacks it there.
//
// Files of this machine and http(s) addresses, one after the other. What is cached was fetched once for all and is never
// asked for again: whoever changes it must change its address. An archive that names a place outside of the sandbox is
// refused before any of it is unpacked.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
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
import { copyFile } from 'node:fs/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGunzip } from 'node:zlib';
import type { Instant } from '../../schedules/clock.ts';
import type { Uri } from '../protocol.ts';

const redirects_max = 5;
/** Half a minute in which nothing comes is the end of a download. */
const stall_ms = 30_000;
const gzipped = /\.(tgz|tar\.gz)$/;
const archive = /\.(tar|tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz)$/;

export type Fetch = {
  readonly sandbox: string;
  /** Where what is cached lies. */
  readonly cache: string;
  readonly now: Instant;
  /** A line for the sandbox's stderr: the only place where the details stand. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** Throws when one of them cannot be had, or is not to be had in this way. */
export async function fetchAll(uris: readonly Uri[], fetch: Fetch): Promise<void> {
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
  const name = uri.output_file ?? nameIn(uri.value);
  if (!isInside(name)) throw new Error(`output file "${name}": expected a relative path that stays in the sandbox`);
  const place = join(fetch.sandbox, name);
  const unpacks = uri.executable !== true && uri.extract !== false && archive.test(name);
  mkdirSync(dirname(place), { recursive: true });
  let source = place;
  if (uri.cache === true) {
    source = await cached(uri.value, fetch);
    if (!unpacks) await copyFile(source, place);
    else if (gzipped.test(name)) source = await inflated(source, fetch);
  } else await download(uri.value, place, fetch.signal);
  if (uri.executable === true) chmodSync(place, 0o755);
  if (unpacks) await unpack(source, fetch);
}

/** The last part of the path, without what follows a question mark. */
function nameIn(value: string): string {
  const path = isAbsolute(value) ? value : new URL(value).pathname;
  return decodeURIComponent(basename(path));
}

const isInside = (path: string) =>
  path !== '' && path !== '.' && !isAbsolute(path) && !path.split('/').includes('..') && !path.includes('\0');

/** What is being fetched or inflated, by its place: two executors that want the same wait for one. */
const under_way = new Map<string, Promise<void>>();

async function cached(value: string, { cache, now, say, signal }: Fetch): Promise<string> {
  const place = join(cache, createHash('sha256').update(value).digest('hex'));
  if (existsSync(place)) {
    say(`'${value}' is in the cache`);
    utimesSync(place, now / 1000, now / 1000); // Still wanted: see `sweepFetched`.
    return place;
  }
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  await once(place, signal, part => download(value, part, undefined));
  return place;
}

/** What many tasks unpack is inflated for the first of them, and kept beside the archive: it costs more than all the rest. */
async function inflated(source: string, { now, signal, say }: Fetch): Promise<string> {
  const place = `${source}.tar`;
  if (existsSync(place)) {
    utimesSync(place, now / 1000, now / 1000);
    return place;
  }
  try {
    await once(place, signal, part => pipeline(createReadStream(source), createGunzip(), createWriteStream(part)));
    return place;
  } catch (error) {
    signal.throwIfAborted();
    // It is called what it is not, or there is no room: tar looks for itself, and has words of its own.
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

/** Removes what was cached and has been wanted by nobody for so long. */
export function sweepFetched(cache: string, age_ms_max: number, now: Instant): number {
  if (!existsSync(cache)) return 0;
  const old = readdirSync(cache).filter(
    name =>
      !under_way.has(join(cache, name.replace(/\.part$/, ''))) &&
      now - statSync(join(cache, name)).mtimeMs > age_ms_max,
  );
  for (const name of old) rmSync(join(cache, name), { force: true });
  return old.length;
}

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

async function download(value: string, place: string, signal: AbortSignal | undefined): Promise<void> {
  if (isAbsolute(value) || value.startsWith('file:')) {
    await copyFile(isAbsolute(value) ? value : fileURLToPath(value), place);
    signal?.throwIfAborted();
    return;
  }
  try {
    const response = await get(value, signal, redirects_max);
    response.setTimeout(stall_ms, () => response.destroy(new Error(`nothing came for ${stall_ms} ms`)));
    await pipeline(response, createWriteStream(place, { mode: 0o644 }), {
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.complete) throw new Error('the connection ended before the file did');
  } catch (error) {
    rmSync(place, { force: true });
    throw error;
  }
}

function get(value: string, signal: AbortSignal | undefined, redirects: number): Promise<http.IncomingMessage> {
  const url = new URL(value);
  const { get: ask } = url.protocol === 'https:' ? https : http;
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return Promise.reject(new Error(`scheme "${url.protocol}": expected http:, https:, file: or an absolute path`));
  return new Promise((resolve, reject) => {
    const request = ask(url, { agent: false, ...(signal === undefined ? {} : { signal }) }, response => {
      const { statusCode: status = 0, headers } = response;
      if (status === 200) {
        resolve(response);
        return;
      }
      response.destroy();
      if (status >= 300 && status < 400 && headers.location !== undefined && redirects > 0)
        resolve(get(new URL(headers.location, url).href, signal, redirects - 1));
      else reject(new Error(`the server answered ${status}: expected 200`));
    });
    request.setTimeout(stall_ms, () => request.destroy(new Error(`no answer came for ${stall_ms} ms`)));
    request.on('error', reject);
  });
}

async function unpack(source: string, { sandbox, say, signal }: Fetch): Promise<void> {
  const names = (await tar(['-tf', source], sandbox, signal)).split('\n').filter(name => name !== '');
  const stranger = names.find(name => isAbsolute(name) || name.split('/').includes('..'));
  if (stranger !== undefined)
    throw new Error(`the archive holds "${stranger}": expected only paths that stay in the sandbox`);
  // Links are made last of all, so that nothing is written through one.
  await tar(['-xf', source, '--no-same-owner', '--delay-directory-restore'], sandbox, signal);
  say(`Unpacked ${names.length} files`);
}

function tar(words: readonly string[], cwd: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/tar', words, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      signal,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', part => out.push(part));
    child.stderr.on('data', part => err.push(part));
    child.on('error', reject);
    child.on('close', code => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else reject(new Error(`tar exited with ${code}: ${Buffer.concat(err).toString().trim().slice(0, 500)}`));
    });
  });
}
