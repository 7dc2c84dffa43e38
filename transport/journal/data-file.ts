// data-file.ts: a look at lmdb's file before lmdb maps it.
//
// lmdb trusts its file: a page number that leads beyond the end, or a page that is not what its parent says, ends in a
// signal that kills the process, with no word to anybody. So at start, before it may map the file, we walk the trees as
// lmdb would and check each step: that a page lies within the file, that it is of the right sort, that what it holds
// lies within it. Pages of branches are always read; leaves of trees with more than `leaves_max` of them are only checked
// to be within the file, so that years of history do not cost minutes at every start. What the pages carry is checked
// elsewhere, by checksum.
//
// The layout is that of the lmdb which the package `lmdb` 3.x brings (data version 2: page headers of 24 bytes).

import { type FileHandle, open } from 'node:fs/promises';
import { JournalError } from './journal.ts';

const header_bytes = 24;
const magic = 0xbeefc0de;
const data_version = 2;
const no_page = 2n ** 64n - 1n;
const flag = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 };
const node_flag = { overflow: 0x01, tree: 0x02 };
const tree_bytes = 48;
const depth_max = 32;
const leaves_max_default = 100_000;

type Tree = { readonly name: string; readonly depth: number; readonly leaves: number; readonly root: bigint };
/** A value too large for a leaf, on pages of its own, of which only the first has a header. */
type Run = { readonly number: bigint; readonly pages: bigint };
type Walk = {
  readonly path: string;
  readonly leaves_max: number;
  readonly file: FileHandle;
  readonly page_bytes: number;
  /** Whole pages in the file. */
  readonly pages: number;
  /** The last transaction that was committed: no page can be of a later one. */
  readonly transaction: bigint;
};

/** Throws JournalError `corrupt` when `path` is not a file that lmdb can safely map. */
export async function checkDataFile(path: string, leaves_max = leaves_max_default): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new JournalError('corrupt', `${path} is missing: expected the journal's data; restore it from a copy`, error);
  }
  try {
    await checkTrees(path, file, (await file.stat()).size, leaves_max);
  } finally {
    await file.close();
  }
}

async function checkTrees(path: string, file: FileHandle, size: number, leaves_max: number): Promise<void> {
  const first = await readMeta(path, file, size, 0);
  const second = await readMeta(path, file, size, first.page_bytes);
  const { page_bytes, trees, transaction } = second.transaction > first.transaction ? second : first;
  const walk: Walk = { path, leaves_max, file, page_bytes, pages: Math.floor(size / page_bytes), transaction };
  for (const tree of trees) await checkTree(walk, tree);
}

async function readMeta(path: string, file: FileHandle, size: number, offset: number) {
  const wrong = (what: string) => corrupt(path, `byte ${offset}`, what);
  const bytes = Buffer.alloc(header_bytes + 152);
  if (size < offset + bytes.length) throw wrong(`the file ends after ${size} bytes`);
  await file.read(bytes, 0, bytes.length, offset);
  if ((bytes.readUInt16LE(18) & flag.meta) === 0) throw wrong('is not a page that describes the file');
  if (bytes.readUInt32LE(24) !== magic) throw wrong('does not have the mark of lmdb');
  if ((bytes.readUInt32LE(28) & 0xffff) !== data_version) throw wrong('has a data version that is not known');
  const page_bytes = bytes.readUInt32LE(48);
  if (page_bytes < 512 || page_bytes > 65_536 || (page_bytes & (page_bytes - 1)) !== 0)
    throw wrong(`says that pages have ${page_bytes} bytes`);
  return {
    page_bytes,
    trees: [readTree(bytes, 48, 'the list of free pages'), readTree(bytes, 48 + tree_bytes, 'the main tree')],
    transaction: bytes.readBigUInt64LE(48 + 2 * tree_bytes + 8),
  };
}

const readTree = (bytes: Buffer, at: number, name: string): Tree => ({
  name,
  depth: bytes.readUInt16LE(at + 6),
  leaves: Number(bytes.readBigUInt64LE(at + 16)),
  root: bytes.readBigUInt64LE(at + 40),
});

async function checkTree(walk: Walk, tree: Tree): Promise<void> {
  if (tree.root === no_page) return;
  if (tree.depth < 1 || tree.depth > depth_max)
    throw corrupt(walk.path, tree.name, `is said to be ${tree.depth} pages deep`);
  const deepest = tree.leaves > walk.leaves_max ? tree.depth - 1 : tree.depth;
  // Level by level: the numbers of one level's pages are ascending where they can be, and so is the reading.
  let level: bigint[] = [tree.root];
  const subtrees: Tree[] = [];
  const runs: Run[] = [];
  for (let depth = 1; depth <= deepest; depth++) {
    const next: bigint[] = [];
    const sort = depth === tree.depth ? flag.leaf : flag.branch;
    for (const number of level)
      checkPage(walk, tree, await readPage(walk, tree, number), number, sort, next, subtrees, runs);
    if (next.length > walk.pages) throw corrupt(walk.path, tree.name, 'has more pages than the file');
    level = next;
  }
  if (deepest < tree.depth) for (const number of level) offsetOf(walk, tree, number, 1n);
  for (const run of runs) await checkRun(walk, tree, run);
  for (const subtree of subtrees) await checkTree(walk, subtree);
}

function checkPage(
  walk: Walk,
  tree: Tree,
  page: Buffer,
  number: bigint,
  sort: number,
  children: bigint[],
  subtrees: Tree[],
  runs: Run[],
): void {
  const wrong = (what: string) => corrupt(walk.path, `page ${number} of ${tree.name}`, what);
  if (page.readBigUInt64LE(0) !== number) throw wrong('bears the number of another page');
  if ((page.readUInt16LE(18) & (flag.branch | flag.leaf | flag.overflow | flag.meta)) !== sort)
    throw wrong('is not of the sort that its place demands');
  if (page.readBigUInt64LE(8) > walk.transaction) throw wrong('is of a transaction that was never committed');
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  const room = walk.page_bytes - header_bytes;
  if (lower > upper || upper > room || lower % 2 !== 0) throw wrong('has its bounds in disorder');
  const nodes = lower / 2;
  if (nodes === 0 || (sort === flag.branch && nodes < 2)) throw wrong('has too few entries');
  for (let index = 0; index < nodes; index++) {
    const at = page.readUInt16LE(header_bytes + 2 * index);
    if (at < upper || at + 8 > room) throw wrong(`has entry ${index} outside its bounds`);
    const node = header_bytes + at;
    const low = page.readUInt32LE(node);
    const flags = page.readUInt16LE(node + 4);
    const data = node + 8 + page.readUInt16LE(node + 6);
    if (data > walk.page_bytes) throw wrong(`has a key in entry ${index} that leaves the page`);
    if (sort === flag.branch) {
      const child = BigInt(low) | (BigInt(flags) << 32n);
      offsetOf(walk, tree, child, 1n);
      children.push(child);
      continue;
    }
    const in_page = flags & node_flag.overflow ? 24 : low;
    if (data + in_page > walk.page_bytes) throw wrong(`has a value in entry ${index} that leaves the page`);
    if (flags & node_flag.overflow) {
      const pages = BigInt(Math.floor((header_bytes - 1 + low) / walk.page_bytes) + 1);
      runs.push({ number: page.readBigUInt64LE(data), pages });
    } else if (flags & node_flag.tree) {
      if (low !== tree_bytes) throw wrong(`has a tree of ${low} bytes in entry ${index}`);
      const name = page.toString('utf8', node + 8, data).replaceAll('\0', '');
      subtrees.push(readTree(page, data, `the tree "${name}"`));
    }
  }
}

async function checkRun(walk: Walk, tree: Tree, { number, pages }: Run): Promise<void> {
  const header = Buffer.allocUnsafe(header_bytes);
  const { bytesRead } = await walk.file.read(header, 0, header_bytes, offsetOf(walk, tree, number, pages));
  if (
    bytesRead !== header_bytes ||
    header.readBigUInt64LE(0) !== number ||
    header.readBigUInt64LE(8) > walk.transaction ||
    (header.readUInt16LE(18) & flag.overflow) === 0 ||
    BigInt(header.readUInt32LE(20)) !== pages
  )
    throw corrupt(walk.path, `page ${number} of ${tree.name}`, `does not begin a value of ${pages} pages`);
}

/** Where a run of pages begins in the file. Throws when it does not end within the file. */
function offsetOf({ path, pages, page_bytes }: Walk, tree: Tree, number: bigint, count: bigint): number {
  if (number < 2n || number + count > BigInt(pages))
    throw corrupt(path, tree.name, `leads to page ${number}, and the file ends after ${pages} pages`);
  return Number(number) * page_bytes;
}

async function readPage(walk: Walk, tree: Tree, number: bigint): Promise<Buffer> {
  const page = Buffer.allocUnsafe(walk.page_bytes);
  const { bytesRead } = await walk.file.read(page, 0, walk.page_bytes, offsetOf(walk, tree, number, 1n));
  if (bytesRead !== walk.page_bytes) throw corrupt(walk.path, `page ${number}`, 'cannot be read whole');
  return page;
}

const corrupt = (path: string, place: string, what: string) =>
  new JournalError(
    'corrupt',
    `${path}: ${place} ${what}: expected lmdb's data as it was written; restore it from a copy, or choose another --data-dir`,
  );
