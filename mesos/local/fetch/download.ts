// download.ts: one file from where it is: a path of this machine, or a server.
//
// Each has an end: a server that says nothing for half a minute is left, and what is larger than it may be is not fetched to
// the end. A file of this machine is read as the user for whom it is.

import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream, rmSync, statSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { isAbsolute } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { User } from '../limits/users.ts';

const redirects_max = 5;
/** Half a minute in which nothing comes is the end of a download. */
const stall_ms = 30_000;

export type Download = {
  readonly bytes_max: number;
  readonly user?: User | undefined;
  readonly signal?: AbortSignal;
};

export const isLocal = (value: string) => isAbsolute(value) || value.startsWith('file:');

/** A file, whole or not at all. */
export async function download(value: string, place: string, { bytes_max, user, signal }: Download): Promise<void> {
  const stop = signal === undefined ? {} : { signal };
  try {
    const [source, came] = isLocal(value) ? fromDisk(value, user) : await fromServer(value, signal);
    await pipeline(source, atMost(bytes_max), createWriteStream(place, { mode: 0o644 }), stop);
    await came();
  } catch (error) {
    rmSync(place, { force: true });
    throw error;
  }
}

/** Passes on so many bytes, and fails with the next. */
export function atMost(bytes_max: number, what = 'it'): Transform {
  let bytes = 0;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      if (bytes > bytes_max) done(new Error(`${what} is larger than ${bytes_max} bytes: expected at most that`));
      else done(null, piece);
    },
  });
}

/** Bytes, and a promise that these were all of them. */
type Source = readonly [Readable, () => Promise<void>];

function fromDisk(value: string, user: User | undefined): Source {
  const path = isAbsolute(value) ? value : fileURLToPath(value);
  if (user === undefined) {
    if (!statSync(path).isFile()) throw new Error(`${path}: expected a file`);
    return [createReadStream(path), () => Promise.resolve()];
  }
  const switched = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--', '/bin/cat', '--', path];
  const cat = spawn('/usr/bin/setpriv', switched, { stdio: ['ignore', 'pipe', 'pipe'], env: { LC_ALL: 'C' } });
  let said = '';
  cat.stderr.on('data', part => {
    said = (said + part).slice(0, 500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    cat.on('error', reject);
    cat.on('close', code => (code === 0 ? resolve() : reject(new Error(`as ${user.name}: ${said.trim()}`))));
  });
  ended.catch(() => {}); // Asked for below, when its bytes have come.
  cat.stdout.on('close', () => cat.kill('SIGKILL'));
  return [cat.stdout, () => ended];
}

async function fromServer(value: string, signal: AbortSignal | undefined): Promise<Source> {
  const response = await get(value, signal, redirects_max);
  response.setTimeout(stall_ms, () => response.destroy(new Error(`nothing came for ${stall_ms} ms`)));
  const whole = async () => {
    if (!response.complete) throw new Error('the connection ended before the file did');
  };
  return [response, whole];
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
