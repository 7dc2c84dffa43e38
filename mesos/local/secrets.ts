// secrets.ts: secrets that tasks refer to, got for a task at the moment in which it begins.
//
// A task says by which name it wants one; what it is stands in no message, no notebook and no argument. The agent asks whoever
// keeps it (a directory, or a program that prints it) and hands it to the task's own environment, or to a file that goes with the
// task's end.

import { isUtf8 } from 'node:buffer';
import { spawn } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { hasCode } from './processes.ts';
import { isOwnFolder, removeTree } from './removal.ts';
import { type SecretWishes, secrets_folder } from './secret-wishes.ts';

export type SecretSource =
  | { readonly type: 'folder'; readonly path: string }
  /** A program and its arguments; the name of the secret follows them, and the secret is what it prints. */
  | { readonly type: 'program'; readonly argv: readonly [string, ...string[]]; readonly timeout_ms: number };

/** What is refused: larger ones are no secrets. */
const bytes_max = 1024 * 1024;

/** What they are, in our memory alone. */
export type Secrets = {
  readonly variables: Readonly<Record<string, string>>;
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[];
};
export const no_secrets: Secrets = { variables: {}, files: [] };

/** Gets what is wished for. What is thrown says which of them cannot be had, and why. */
export async function getSecrets(
  wishes: SecretWishes | undefined,
  source: SecretSource | undefined,
  signal: AbortSignal,
): Promise<Secrets> {
  if (wishes === undefined) return no_secrets;
  if (source === undefined)
    throw new Error('this agent keeps no secrets: expected --secrets-dir or --secrets-command where it was started');
  const got = new Map<string, Promise<Buffer>>();
  const get = (name: string): Promise<Buffer> => {
    const asked = got.get(name) ?? secretFrom(source, name, signal);
    got.set(name, asked);
    return asked;
  };
  const variables: Record<string, string> = {};
  for (const { name, of } of wishes.variables) variables[name] = textOf(await get(of), of);
  const files: { readonly name: string; readonly bytes: Buffer }[] = [];
  for (const { name, of } of wishes.files) files.push({ name, bytes: await get(of) });
  // Whoever is over by now has no use for them.
  signal.throwIfAborted();
  return { variables, files };
}

function textOf(bytes: Buffer, of: string): string {
  const what = bytes.includes(0)
    ? 'a zero byte, which no variable can'
    : isUtf8(bytes)
      ? undefined
      : 'what is no UTF-8';
  if (what !== undefined) throw new Error(`secret "${of}" holds ${what}: expected a file for it`);
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}

/**
 * Puts secrets that are to be files into a sandbox. In one go with the beginning of the task: what ends it takes away what lies
 * there, and nothing may come after that.
 */
export function layOut({ files }: Secrets, sandbox: string): void {
  if (files.length === 0) return;
  forgetSecrets(sandbox); // An archive may have brought something of that name.
  writeSecrets(files, join(sandbox, secrets_folder), { folder: 0o700, file: 0o400 });
}

/** Into a folder that is not there yet. */
export function writeSecrets(
  files: Secrets['files'],
  folder: string,
  mode: { readonly folder: number; readonly file: number },
): void {
  mkdirSync(folder);
  chmodSync(folder, mode.folder);
  for (const { name, bytes } of files) {
    const path = join(folder, name);
    writeFileSync(path, bytes, { mode: 0o400, flag: 'wx' });
    chmodSync(path, mode.file); // Whatever our umask is.
  }
}

/** With the end of the task its secrets go. Never follows a link: behind one is the sandbox of an executor, who has its own. */
export function forgetSecrets(sandbox: string): void {
  if (isOwnFolder(sandbox)) removeTree(join(sandbox, secrets_folder));
}

function secretFrom(source: SecretSource, name: string, signal: AbortSignal): Promise<Buffer> {
  return source.type === 'folder' ? fromFolder(source.path, name) : fromProgram(source, name, signal);
}

async function fromFolder(folder: string, name: string): Promise<Buffer> {
  const none = () => new Error(`there is no secret "${name}": expected a file of that name where secrets are kept`);
  try {
    // Some keep the files elsewhere in it and link to them, to change all at a time.
    const real = realpathSync(join(folder, name));
    if (!real.startsWith(realpathSync(folder) + sep) || !lstatSync(real).isFile()) throw none();
    const file = await open(real);
    try {
      const { size } = await file.stat();
      if (size > bytes_max) throw new Error(`secret "${name}" has ${size} bytes: expected at most ${bytes_max}`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) throw none();
    if (hasCode(error, 'EACCES')) throw new Error(`secret "${name}" cannot be read by this agent`, { cause: error });
    throw error;
  }
}

function fromProgram(
  { argv: [program, ...words], timeout_ms }: Extract<SecretSource, { type: 'program' }>,
  name: string,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...words, name], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      timeout: timeout_ms,
      killSignal: 'SIGKILL',
    });
    const pieces: Buffer[] = [];
    let bytes = 0;
    let said = '';
    child.stdout.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > bytes_max) child.kill('SIGKILL');
      else pieces.push(piece);
    });
    child.stderr.on('data', piece => {
      said = (said + piece).slice(0, 300);
    });
    child.on('error', error => reject(new Error(`secret "${name}": ${program}: ${error.message}`)));
    child.on('close', (code, killed) => {
      if (bytes > bytes_max)
        reject(new Error(`secret "${name}" is larger than ${bytes_max} bytes: expected at most that`));
      else if (code === 0) resolve(Buffer.concat(pieces));
      else {
        const how = killed === null ? `exited with ${code}` : `was ended by ${killed}, perhaps after ${timeout_ms} ms`;
        reject(new Error(`secret "${name}": ${program} ${how}: ${said.trim()}`));
      }
    });
  });
}
