// secrets.ts: secrets that tasks refer to, got for a task at the moment in which it begins.
//
// A task says by which name it wants one; what it is stands in no message, no notebook and no argument. The agent asks whoever
// keeps it (a directory, or a program that prints it) and hands it to the task's own environment, or to a file that goes with the
// task's end.

import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { TaskInfo } from '../protocol.ts';
import { hasCode } from './processes.ts';
import { removeTree } from './removal.ts';
import { secrets_folder } from './sandbox.ts';

export type SecretSource =
  | { readonly type: 'folder'; readonly path: string }
  /** A program and its arguments; the name of the secret follows them, and the secret is what it prints. */
  | { readonly type: 'program'; readonly argv: readonly [string, ...string[]]; readonly timeout_ms: number };

/** What is refused: larger ones are no secrets. */
const bytes_max = 1024 * 1024;
const name_form = /^[A-Za-z0-9_%][A-Za-z0-9_.%-]*(?:\/[A-Za-z0-9_%][A-Za-z0-9_.%-]*)*$/;

/** What a task refers to: variables of its environment, and files by their name in the folder for secrets. */
export type SecretWishes = {
  readonly variables: readonly { readonly name: string; readonly of: string }[];
  readonly files: readonly { readonly name: string; readonly of: string }[];
};

/** Undefined when it refers to none. What is thrown says what this agent cannot do. */
export function secretsOf(task: TaskInfo): SecretWishes | undefined {
  const variables = (task.command?.environment?.variables ?? []).flatMap(({ name, type, secret }) =>
    type === 'SECRET' ? [{ name, of: nameOf(secret, name) }] : [],
  );
  const files = (task.container?.volumes ?? []).flatMap(({ container_path, source }) => {
    if (source?.type !== 'SECRET') return [];
    const [folder, name = '', ...more] = container_path.split('/');
    if (folder !== secrets_folder || name === '' || name === '.' || name === '..' || more.length > 0)
      throw new Error(
        `a secret is to be at "${container_path}": this agent puts them into ${secrets_folder}/NAME alone`,
      );
    return [{ name, of: nameOf(source.secret, container_path) }];
  });
  return variables.length + files.length === 0 ? undefined : { variables, files };
}

type Secret = NonNullable<NonNullable<NonNullable<TaskInfo['command']>['environment']>['variables'][number]['secret']>;

function nameOf(secret: Secret | undefined, place: string): string {
  const name = secret?.type === 'REFERENCE' ? secret.reference?.name : undefined;
  if (name === undefined) throw new Error(`the secret of ${place} is no reference: this agent takes no other`);
  if (!name_form.test(name))
    throw new Error(`the secret of ${place} is called "${name}": expected letters, digits, "_.-"`);
  return name;
}

/** Puts a task's secrets where it wants them; what it returns is for its environment alone. */
export async function handSecrets(
  { variables, files }: SecretWishes,
  source: SecretSource | undefined,
  sandbox: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  if (source === undefined)
    throw new Error('this agent keeps no secrets: expected --secrets-dir or --secrets-command where it was started');
  const got = new Map<string, Promise<Buffer>>();
  const get = (name: string): Promise<Buffer> => {
    const asked = got.get(name) ?? secretFrom(source, name, signal);
    got.set(name, asked);
    return asked;
  };
  const environment: Record<string, string> = {};
  for (const { name, of } of variables) {
    const text = (await get(of)).toString('utf8').replace(/\r?\n$/, '');
    if (text.includes('\0'))
      throw new Error(`secret "${of}" holds a zero byte, which no variable can: expected a file for it`);
    environment[name] = text;
  }
  const contents: { readonly name: string; readonly bytes: Buffer }[] = [];
  for (const { name, of } of files) contents.push({ name, bytes: await get(of) });
  // From here on in one go: what ends the task takes away what lies there, and nothing may come after that.
  signal.throwIfAborted();
  if (files.length === 0) return environment;
  const folder = join(sandbox, secrets_folder);
  forgetSecrets(sandbox); // An archive may have brought something of that name.
  mkdirSync(folder, { mode: 0o700 });
  for (const { name, bytes } of contents) writeFileSync(join(folder, name), bytes, { mode: 0o400, flag: 'wx' });
  return environment;
}

/** With the end of the task its secrets go. Never follows a link. */
export function forgetSecrets(sandbox: string): void {
  removeTree(join(sandbox, secrets_folder));
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
