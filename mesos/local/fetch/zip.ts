// zip.ts: opens a zip archive into a folder: by its own table of contents, name after name, each within what is allowed.
//
// The table stands at the end of the file. A name that climbs is refused before anything is written; what is written is
// counted as it comes out, for what the table says of sizes is only what somebody wrote there.

import { createWriteStream, mkdirSync, symlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { atMost } from './download.ts';

export type ZipTerms = { readonly bytes_max: number; readonly files_max: number; readonly signal: AbortSignal };

type Entry = {
  readonly name: string;
  readonly method: number;
  readonly packed_bytes: number;
  readonly bytes: number;
  readonly at: number;
  readonly encrypted: boolean;
  /** As Unix writes it; 0 when it was made elsewhere. */
  readonly mode: number;
};

const end_bytes = 22;
const comment_bytes_max = 65_535;
const table_bytes_max = 256 * 2 ** 20;
const link_bytes_max = 4_096;
const kind_of = (mode: number) => mode & 0o170000;
const link_kind = 0o120000;

export async function unzip(source: string, room: string, { bytes_max, files_max, signal }: ZipTerms): Promise<void> {
  const file = await open(source);
  try {
    const entries = await contents(file, files_max);
    for (const { name } of entries)
      if (name.startsWith('/') || name.split('/').includes('..') || name.includes('\0') || name === '')
        throw new Error(`the archive holds "${name}": expected only paths that stay in the sandbox`);
    const links: (readonly [string, string])[] = [];
    let left = bytes_max;
    for (const entry of entries) {
      const place = join(room, entry.name);
      if (entry.name.endsWith('/')) {
        mkdirSync(place, { recursive: true });
        continue;
      }
      mkdirSync(dirname(place), { recursive: true });
      const came = new Counter();
      const is_link = kind_of(entry.mode) === link_kind;
      const stages = [await packed(file, entry), ...opener(entry), atMost(left, 'what it holds'), came];
      if (is_link) {
        const [target] = await Promise.all([
          buffer(came),
          pipeline([...stages, atMost(link_bytes_max, 'the target of a link')], { signal }),
        ]);
        links.push([target.toString(), place]);
      } else {
        const mode = (entry.mode & 0o777) === 0 ? 0o644 : entry.mode & 0o777;
        await pipeline([...stages, createWriteStream(place, { mode })], { signal });
      }
      if (came.bytes !== entry.bytes)
        throw new Error(`"${entry.name}" has ${came.bytes} bytes: expected ${entry.bytes}, as the archive says`);
      left -= came.bytes;
    }
    // Last of all, so that nothing is written through one.
    for (const [target, place] of links) symlinkSync(target, place);
  } finally {
    await file.close();
  }
}

class Counter extends PassThrough {
  bytes = 0;
  override _transform(piece: Buffer, encoding: BufferEncoding, done: (error?: Error | null, data?: Buffer) => void) {
    this.bytes += piece.length;
    super._transform(piece, encoding, done);
  }
}

function opener({ name, method, encrypted }: Entry) {
  if (encrypted) throw new Error(`"${name}" is encrypted: expected an archive without a password`);
  if (method === 0) return [];
  if (method === 8) return [createInflateRaw()];
  throw new Error(`"${name}" is packed by method ${method}: expected 0 (stored) or 8 (deflated)`);
}

/** The bytes of one file, as they are packed. */
async function packed(file: FileHandle, { name, at, packed_bytes }: Entry) {
  const head = await exactly(file, at, 30);
  if (head.readUInt32LE(0) !== 0x04034b50) throw broken(`"${name}" is not where the table of contents says`);
  const start = at + 30 + head.readUInt16LE(26) + head.readUInt16LE(28);
  if (packed_bytes === 0) {
    const nothing = new PassThrough();
    nothing.end();
    return nothing;
  }
  return file.createReadStream({ start, end: start + packed_bytes - 1, autoClose: false });
}

async function contents(file: FileHandle, files_max: number): Promise<readonly Entry[]> {
  const { size } = await file.stat();
  const from = Math.max(0, size - end_bytes - comment_bytes_max);
  const tail = await exactly(file, from, size - from);
  const at = tail.lastIndexOf(Buffer.from('504b0506', 'hex'));
  if (at < 0 || at + end_bytes > tail.length) throw broken('it has no table of contents');
  const count = tail.readUInt16LE(at + 10);
  const [bytes, offset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (count === 0xffff || offset === 0xffffffff)
    throw new Error('the archive is one of the large kind (zip64): expected less than 4 GiB and 65535 files, or a tar');
  if (count > files_max) throw new Error(`the archive holds ${count} files: expected at most ${files_max}`);
  if (bytes > table_bytes_max || offset + bytes > size) throw broken('its table of contents lies outside of it');
  const table = await exactly(file, offset, bytes);
  const entries: Entry[] = [];
  for (let place = 0; entries.length < count; ) {
    if (place + 46 > table.length || table.readUInt32LE(place) !== 0x02014b50)
      throw broken('its table of contents is cut short');
    const name_bytes = table.readUInt16LE(place + 28);
    const made_by = table.readUInt8(place + 5);
    entries.push({
      name: table.toString('utf8', place + 46, place + 46 + name_bytes),
      encrypted: (table.readUInt16LE(place + 8) & 1) !== 0,
      method: table.readUInt16LE(place + 10),
      packed_bytes: table.readUInt32LE(place + 20),
      bytes: table.readUInt32LE(place + 24),
      at: table.readUInt32LE(place + 42),
      mode: made_by === 3 ? table.readUInt32LE(place + 38) >>> 16 : 0,
    });
    place += 46 + name_bytes + table.readUInt16LE(place + 30) + table.readUInt16LE(place + 32);
  }
  return entries;
}

async function exactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer: bytes, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw broken('it ends too soon');
  return bytes;
}

const broken = (why: string) => new Error(`the archive cannot be read: ${why}`);
