// archive.ts: everything that an agent needs to run a task of ours, in one file: Node, the executor, and a way to start it.
//
// The agent's fetcher takes it once, keeps it by its address, and never asks whether it has changed; so its name says what is
// in it, down to the last byte. Packed from the same files it is the same file. On the agent:
//
//   horae-executor/run        what the agent starts: starts the executor, and again when something has killed it
//   horae-executor/node       Node itself
//   horae-executor/horae      the small commands for tasks (helpers/)
//   horae-executor/...        both of them, as JavaScript

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { asPacked, importsOf } from './modules.ts';
import { end_of_tar, headerOf, paddingOf } from './tar.ts';

export type ExecutorArchive = {
  /** `horae-executor-VERSION-PLATFORM-HASH.tar.gz`. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
};
type Item = { readonly name: string; readonly executable: boolean } & (
  | { readonly text: string }
  | { readonly file: string }
);

/** Packs the archive into `folder`, unless it is there already. */
export async function packExecutor(folder: string, version: string, node = process.execPath): Promise<ExecutorArchive> {
  const items = itemsOf(version, node);
  const name = `horae-executor-${version}-${process.platform}-${process.arch}-${await hashOf(items)}.tar.gz`;
  const path = join(folder, name);
  if (!existsSync(path)) {
    await mkdir(folder, { recursive: true });
    // Written beside it and renamed: nobody ever fetches half of it, and two who pack at once pack the same.
    const draft = `${path}.${process.pid}.draft`;
    try {
      // The quickest level: the best takes twice as long for a tenth less.
      await pipeline(Readable.from(tarOf(items)), createGzip({ level: 1 }), createWriteStream(draft));
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  }
  return { name, path, bytes: statSync(path).size };
}

/** Node says that this may change one day: nothing that a reader of the scheduler's log could do anything about. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** What is packed, in its order. */
function itemsOf(version: string, node: string): readonly Item[] {
  const here = fileURLToPath(import.meta.url);
  const root = resolve(dirname(here), '..', '..');
  const modules = new Map<string, string>();
  const collect = (file: string) => {
    if (modules.has(file)) return;
    const source = readFileSync(file, 'utf8');
    const text = file.endsWith('.ts') ? asPacked(quietly(() => stripTypeScriptTypes(source))) : source;
    modules.set(file, text);
    for (const from of importsOf(source)) {
      if (from.startsWith('.')) collect(resolve(dirname(file), from));
      else if (!from.startsWith('node:'))
        throw new Error(`${file} imports ${from}: expected nothing but node: and its own files in the executor`);
    }
  };
  const kind = here.endsWith('.ts') ? 'ts' : 'js';
  collect(join(dirname(here), `main.${kind}`));
  collect(join(root, 'helpers', `main.${kind}`));
  const main = 'mesos/executor/main.js';
  const packed = [...modules].map(([file, text]) => ({
    name: relative(root, file).replace(/\.ts$/, '.js'),
    executable: false,
    text,
  }));
  return [
    { name: 'run', executable: true, text: runText(main) },
    { name: 'horae', executable: true, text: helpersText },
    {
      name: 'package.json',
      executable: false,
      text: `${JSON.stringify({ name: 'horae-executor', version, type: 'module' })}\n`,
    },
    ...packed.sort((a, b) => (a.name < b.name ? -1 : 1)),
    { name: 'node', executable: true, file: node },
  ].map(item => ({ ...item, name: `horae-executor/${item.name}` }) as Item);
}

/**
 * The agent's own child, so that the executor may die without the agent taking its task for dead. 0 is a good end, 2 an
 * executor that was started by nobody it knows.
 */
const runText = (main: string): string => `#!/bin/sh
# Starts Horae's executor, and again when something has killed it. See mesos/executor/archive.ts.
here=\${0%/*}
tries=0
while :; do
  "$here/node" --max-old-space-size=64 --max-semi-space-size=1 "$here/${main}"
  code=$?
  case $code in 0|2) exit $code ;; esac
  tries=$((tries + 1))
  echo "the executor ended with $code, for the $tries. time" >&2
  [ $tries -lt 100 ] || exit $code
  [ $tries -lt 10 ] || sleep 1
done
`;

const helpersText = `#!/bin/sh
# The small commands for tasks: horae-executor/horae url-runner URL. See helpers/.
exec "\${0%/*}/node" --max-old-space-size=64 --max-semi-space-size=1 "\${0%/*}/helpers/main.js" "$@"
`;

async function hashOf(items: readonly Item[]): Promise<string> {
  const hash = createHash('sha256');
  for (const item of items) {
    hash.update(`${item.name}\0${item.executable}\0`);
    if ('text' in item) hash.update(item.text);
    else for await (const piece of createReadStream(item.file)) hash.update(piece as Buffer);
    hash.update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

async function* tarOf(items: readonly Item[]): AsyncGenerator<Uint8Array> {
  for (const item of items) {
    const content = 'text' in item ? Buffer.from(item.text) : undefined;
    const bytes = content?.length ?? statSync((item as { file: string }).file).size;
    yield headerOf({ name: item.name, executable: item.executable, bytes });
    if (content !== undefined) yield content;
    else for await (const piece of createReadStream((item as { file: string }).file)) yield piece as Buffer;
    yield paddingOf(bytes);
  }
  yield end_of_tar;
}
