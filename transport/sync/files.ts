// files.ts: the job files of a directory, as text: taken from a checkout that anybody may have pushed to.
//
// Nothing is followed out of the directory, nothing is waited for, and nothing is read to its end that is longer than a job can
// be. What stands where no job can stand is told, not passed over: a file that is not read looks like a job that was deleted.

import { closeSync, constants, type Dirent, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { yaml_bytes_max } from '../http/yaml.ts';
import type { Layout } from './dialect.ts';
import type { Finding } from './plan.ts';

/** More jobs than a scheduler takes. */
const files_max = 100_000;
/** Of all files together. */
const bytes_max = 268_435_456;
/** Entries looked at, whatever they are: a checkout may hold more than jobs. */
const entries_max = 1_000_000;
const folders_of_chronos = ['scheduled', 'dependent'] as const;

export type SourceText = { readonly file: string; readonly text: string };
export type Directory = {
  readonly layout: Layout;
  readonly texts: readonly SourceText[];
  readonly findings: readonly Finding[];
};

/** A directory that is none, or has no job files in it, has one finding without a file. */
export function readDirectory(dir: string, asked?: Layout): Directory {
  const texts: SourceText[] = [];
  const findings: Finding[] = [];
  const layout = asked ?? layoutOf(dir);
  const find = (file: string, message: string, expected: string) =>
    void findings.push({ file, message: `${message}: expected ${expected}`, expected });
  const budget = { files: files_max, entries: entries_max, bytes: bytes_max };
  const is_spent = () => budget.files < 0 || budget.entries < 0 || budget.bytes < 0;
  const walk = (folder: string, depth: number) => {
    for (const entry of entriesOf(dir, folder, find)) {
      budget.entries--;
      if (is_spent()) return;
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      // What begins with a dot belongs to git, to an editor, to whoever keeps the directory.
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) {
        walk(file, depth + 1);
        continue;
      }
      const is_yaml = /\.ya?ml$/i.test(entry.name);
      if (!is_yaml && !(entry.isSymbolicLink() && depth < depthOf(layout) && isFolder(join(dir, file)))) continue;
      if (entry.isSymbolicLink()) find(file, 'it is a symbolic link', 'a file or a folder of the directory itself');
      else if (depth !== depthOf(layout)) find(file, `no job stands there`, shape[layout]);
      else {
        budget.files--;
        if (!is_spent()) take(file);
      }
    }
  };
  const take = (file: string) => {
    const read = readText(join(dir, file));
    if ('text' in read) {
      budget.bytes -= read.text.length;
      texts.push({ file, text: read.text });
    } else
      findings.push({
        file,
        ...read.line,
        message: `${read.message}: expected ${read.expected}`,
        expected: read.expected,
      });
  };
  if (layout === 'native') walk('', 0);
  else {
    const there = new Set(entriesOf(dir, '', find).flatMap(each => (each.isDirectory() ? [each.name] : [])));
    for (const each of folders_of_chronos) if (there.has(each)) walk(each, 1);
  }
  if (is_spent())
    find(
      '',
      'there is too much in it',
      `at most ${files_max} job files of ${bytes_max} bytes, among ${entries_max} entries`,
    );
  else if (texts.length === 0 && findings.length === 0)
    find(
      '',
      'there are no job files in it',
      'ROLE/ENVIRONMENT/NAME.yaml, or scheduled/NAME.yaml and dependent/NAME.yaml',
    );
  return { layout, texts, findings };
}

const shape = { native: 'ROLE/ENVIRONMENT/NAME.yaml', chronos: 'scheduled/NAME.yaml or dependent/NAME.yaml' };
/** Folders between the directory and a job file. */
const depthOf = (layout: Layout): number => (layout === 'native' ? 2 : 1);

/** Chronos's, where one of its folders is there and holds files; a role may be called so too. */
function layoutOf(dir: string): Layout {
  const ours = folders_of_chronos.some(folder => {
    const inside = entriesOf(dir, folder, () => undefined);
    return inside.some(each => !each.isDirectory() && /\.ya?ml$/i.test(each.name));
  });
  return ours ? 'chronos' : 'native';
}

function entriesOf(
  dir: string,
  folder: string,
  find: (file: string, message: string, expected: string) => void,
): Dirent[] {
  try {
    const entries = readdirSync(join(dir, folder), { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    find(folder, `it cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`, 'a directory');
    return [];
  }
}

/** Where a link leads is looked at, and not gone to. */
const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

type Refusal = { readonly message: string; readonly expected: string; readonly line?: { readonly line: number } };

function readText(path: string): { readonly text: string } | Refusal {
  let fd: number | undefined;
  try {
    // Whoever swaps it for a link or a pipe meanwhile gets nowhere, and nobody waits for the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) return { message: 'it is no file', expected: 'a file' };
    const bytes = Buffer.alloc(Math.min(stat.size, yaml_bytes_max) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, null);
    if (length > yaml_bytes_max) return { message: `it has more than ${yaml_bytes_max} bytes`, expected: 'one job' };
    return decoded(bytes.subarray(0, length));
  } catch (error) {
    return {
      message: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
      expected: 'a file',
    };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function decoded(bytes: Buffer): { readonly text: string } | Refusal {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Written back, it is the same up to what could not be read.
    const again = Buffer.from(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    let at = 0;
    while (at < bytes.length && bytes[at] === again[at]) at++;
    const line = bytes.subarray(0, at).reduce((lines, byte) => lines + Number(byte === 0x0a), 1);
    return { message: 'it is not UTF-8', expected: 'UTF-8', line: { line } };
  }
}
