// url-cache.ts: what was downloaded, kept for all who ask for it, never half and never older than its server says.
//
//   FOLDER/ADDRESS/now.json        which version is the newest, and what the server called it
//   FOLDER/ADDRESS/VERSION/NAME    the program, under a name that it could have at home; never changed once it is there
//   FOLDER/ADDRESS/part-*          being written by whoever holds FOLDER/ADDRESS/lock
//
// ADDRESS and VERSION are checksums of the address and of the program. A version is written beside its place and renamed,
// the newest is named afterwards: whoever is killed, at whatever moment, leaves what was there before.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { createReadStream, existsSync, lstatSync, mkdirSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { delayBefore } from '../schedules/backoff.ts';
import { HelperFailed, sayError, type World } from './helper.ts';

export type Wanted = {
  readonly url: URL;
  readonly folder: string;
  /** Hexadecimal. What has this sum is right, whatever the server says. */
  readonly sha256?: string;
  readonly bytes_max: number;
  readonly cache_bytes_max: number;
  readonly timeout_ms: number;
  readonly tries: number;
};
/** now.json */
type Kept = {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly etag?: string;
  readonly last_modified?: string;
};

/** The server cannot be reached, or has troubles of its own: it may be asked again, and what is kept may do. */
class Away extends Error {}

/** A download in which nothing comes for so long is over. */
const stall_ms = 30_000;
/** Somebody may have looked up a version that was used a moment ago and be about to start it: it stays. */
const fresh_ms = 3_600_000;
const pauses = { delay_ms: 500, factor: 2, delay_ms_max: 10_000, jitter: 0.5 };

/** The path of the program, there and executable. */
export async function fileFor(wanted: Wanted, world: World): Promise<string> {
  const { url, sha256, tries } = wanted;
  const shown = withoutSecrets(url);
  ownFolder(wanted.folder);
  const home = join(wanted.folder, sumOf(url.href).slice(0, 32));
  const kept = await keptIn(home, sha256);
  if (kept !== undefined && sha256 !== undefined) return used(home, kept, world);
  for (let attempt = 1; ; attempt++) {
    try {
      return used(home, await newest(home, wanted, world), world);
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      if (attempt < tries) {
        world.say(`${shown}: ${error.message}; asked again`);
        await pause(delayBefore(pauses, attempt + 1, randomInt(1_000) / 1_000));
        continue;
      }
      if (kept === undefined) throw new HelperFailed(`${shown} cannot be had: ${error.message}`);
      world.say(`${shown}: ${error.message}; what was downloaded before is run`);
      return used(home, kept, world);
    }
  }
}

/** What the server has now: what is kept already, or downloaded by one of all who want it. */
async function newest(home: string, wanted: Wanted, world: World): Promise<Kept> {
  const before = await keptIn(home, wanted.sha256);
  if (before !== undefined) {
    const response = await ask(wanted, before);
    await response.body?.cancel();
    if (isSame(response, before)) return before;
  }
  const unlock = await lock(home, world);
  try {
    const kept = await keptIn(home, wanted.sha256); // Whoever had the lock before us may have brought it.
    const response = await ask(wanted, kept);
    if (kept !== undefined && isSame(response, kept)) {
      await response.body?.cancel();
      return kept;
    }
    for (const name of readdirSync(home).filter(each => each.startsWith('part-')))
      await rm(join(home, name), { recursive: true, force: true });
    const brought = await bring(home, response, wanted);
    await sweep(wanted, home, brought, world.clock.now());
    return brought;
  } finally {
    unlock();
  }
}

async function ask({ url, timeout_ms }: Wanted, kept: Kept | undefined): Promise<Response> {
  // Node wants no names and passwords in an address; they belong into a header.
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  const headers = new Headers({ 'accept-encoding': 'identity' });
  if (url.username !== '' || url.password !== '') {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
  }
  if (kept?.etag !== undefined) headers.set('if-none-match', kept.etag);
  else if (kept?.last_modified !== undefined) headers.set('if-modified-since', kept.last_modified);
  let response: Response;
  try {
    response = await fetch(bare, { headers, signal: AbortSignal.timeout(timeout_ms) });
  } catch (error) {
    throw new Away(sayError(error));
  }
  const { status } = response;
  if (status === 200 || (status === 304 && kept !== undefined)) {
    if (url.protocol === 'https:' && !response.url.startsWith('https:')) {
      await response.body?.cancel();
      throw new HelperFailed(
        `${withoutSecrets(url)} leads to ${new URL(response.url).origin}: expected https:// to the end`,
      );
    }
    return response;
  }
  await response.body?.cancel();
  if (status === 408 || status === 429 || status >= 500) throw new Away(`the server answered ${status}`);
  throw new HelperFailed(`${withoutSecrets(url)} cannot be had: the server answered ${status}: expected 200`);
}

/** Some servers name versions but answer 200 all the same; some know nothing but a date and a size. */
function isSame({ status, headers }: Response, kept: Kept): boolean {
  if (status === 304) return true;
  const bytes = headers.get('content-length');
  const etag = headers.get('etag');
  if (bytes !== null && Number(bytes) !== kept.bytes) return false;
  if (etag !== null || kept.etag !== undefined) return etag === kept.etag;
  const modified = headers.get('last-modified');
  return bytes !== null && modified !== null && modified === kept.last_modified;
}

async function bring(home: string, response: Response, { url, bytes_max, sha256 }: Wanted): Promise<Kept> {
  const shown = withoutSecrets(url);
  const large = () => new HelperFailed(`${shown} has more than ${bytes_max} bytes: expected at most --max-mb`);
  if (Number(response.headers.get('content-length') ?? 0) > bytes_max) {
    await response.body?.cancel();
    throw large();
  }
  const part = join(home, `part-${randomBytes(6).toString('hex')}`);
  mkdirSync(part, { mode: 0o700 });
  const name = nameOf(url);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const file = await open(join(part, name), 'wx', 0o755);
    try {
      for await (const piece of piecesOf(response)) {
        bytes += piece.length;
        if (bytes > bytes_max) throw large();
        hash.update(piece);
        await file.writeFile(piece);
      }
      await file.chmod(0o755);
      await file.sync(); // A name for what is not on the disk yet would be a lie after a power cut.
    } finally {
      await file.close();
    }
    const sum = hash.digest('hex');
    if (sha256 !== undefined && sum !== sha256)
      throw new HelperFailed(`${shown} has the checksum ${sum}: expected ${sha256}`);
    const etag = response.headers.get('etag');
    const last_modified = response.headers.get('last-modified');
    const kept = {
      name,
      bytes,
      sha256: sum,
      ...(etag === null ? {} : { etag }),
      ...(last_modified === null ? {} : { last_modified }),
    };
    // The same program again under a new ETag: what is there may be about to run, and is as good.
    const there = pathOf(home, kept);
    if (!existsSync(there) || (await sumOfFile(there)) !== sum) {
      await rm(join(home, versionOf(kept)), { recursive: true, force: true });
      await rename(part, join(home, versionOf(kept)));
    }
    await writeWhole(join(home, 'now.json'), JSON.stringify(kept));
    return kept;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** The body, piece by piece. Fails when nothing comes for too long. */
async function* piecesOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const stalled = new AbortController();
      const timer = setTimeout(() => stalled.abort(), stall_ms);
      const late = new Promise<never>((_, reject) => {
        stalled.signal.addEventListener('abort', () => reject(new Away(`nothing came for ${stall_ms} ms`)));
      });
      let next: Awaited<ReturnType<typeof reader.read>>;
      try {
        next = await Promise.race([reader.read(), late]);
      } catch (error) {
        throw error instanceof Away ? error : new Away(sayError(error));
      } finally {
        clearTimeout(timer);
      }
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Whoever has had enough does not read the rest; a server that has gone has nothing to be told.
    await reader.cancel().catch(() => undefined);
  }
}

/** Versions that nobody has run for longest go, until what is left has room. Those of a moment ago stay. */
async function sweep({ folder, cache_bytes_max }: Wanted, home: string, brought: Kept, now: number): Promise<void> {
  const versions = readdirSync(folder)
    .flatMap(address => {
      const place = join(folder, address);
      return foldersIn(place).map(version => versionAt(place, version));
    })
    .filter(version => version !== undefined)
    .sort((a, b) => b.used_at - a.used_at);
  let bytes = 0;
  for (const version of versions) {
    bytes += version.bytes;
    const newest_here = version.path === join(home, versionOf(brought));
    if (bytes > cache_bytes_max && !newest_here && now - version.used_at > fresh_ms) {
      await rm(version.path, { recursive: true, force: true });
      bytes -= version.bytes;
    }
  }
}

function versionAt(home: string, version: string) {
  const path = join(home, version);
  try {
    const bytes = readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
    return { path, bytes, used_at: statSync(path).mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // Somebody else sweeps too.
    throw error;
  }
}

const foldersIn = (place: string): readonly string[] =>
  statSync(place, { throwIfNoEntry: false })?.isDirectory() === true
    ? readdirSync(place).filter(name => /^[0-9a-f]{32}$/.test(name))
    : [];

const versionOf = ({ sha256 }: Kept) => sha256.slice(0, 32);
const pathOf = (home: string, kept: Kept) => join(home, versionOf(kept), kept.name);

/** Notes that it is used, for the sweep. */
function used(home: string, kept: Kept, { clock }: World): string {
  const now = clock.now() / 1000;
  utimesSync(join(home, versionOf(kept)), now, now);
  return pathOf(home, kept);
}

/** What is kept, as far as it is there and what was asked for: a file that was cut, changed or is gone is as good as none. */
async function keptIn(home: string, sha256: string | undefined): Promise<Kept | undefined> {
  let text: string;
  try {
    text = await readFile(join(home, 'now.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const kept = JSON.parse(text) as Kept;
  const path = pathOf(home, kept);
  if (statSync(path, { throwIfNoEntry: false })?.size !== kept.bytes) return undefined;
  if (sha256 === undefined) return kept;
  return kept.sha256 === sha256 && (await sumOfFile(path)) === sha256 ? kept : undefined;
}

/** A folder that somebody else may write to would let him choose what we run. */
function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { mode, uid } = lstatSync(folder);
  const mine = process.getuid?.() ?? uid;
  if ((mode & 0o170_000) !== 0o040_000 || uid !== mine || (mode & 0o022) !== 0)
    throw new HelperFailed(
      `${folder} is not ours alone: expected a directory of user ${mine} that nobody else may write to, or another --cache`,
    );
}

/**
 * One at a time per address, and let go by the kernel however we end: flock(1) holds the lock as long as the pipe to it
 * is open. Where there is none, two may download the same at once, and the second rename wins.
 */
async function lock(home: string, { say }: World): Promise<() => void> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const holder = spawn('flock', [join(home, 'lock'), '/bin/sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const held = await new Promise<boolean>(resolve => {
    holder.on('error', () => resolve(false));
    holder.on('exit', () => resolve(false));
    holder.stdout.once('data', () => resolve(true));
  });
  if (!held) say('flock cannot be had here: others may download the same at the same time');
  return () => letGo(holder);
}

function letGo(holder: ChildProcess): void {
  holder.stdin?.end();
  holder.kill(); // Its child goes with the pipe.
}

async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

async function sumOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** A program sees its own name, and decides by it at times. */
function nameOf({ pathname }: URL): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1).replace(/[^A-Za-z0-9._-]/g, '_');
  return /^[A-Za-z0-9_]/.test(last) ? last.slice(0, 100) : 'program';
}

function withoutSecrets(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  shown.search = shown.search === '' ? '' : '?...';
  return shown.href;
}
