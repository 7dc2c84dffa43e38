// zookeeper-tree.ts: how a cluster's journal lies in ZooKeeper: names, and what stands in the nodes.
//
//   PATH/cluster      whose tree this is: format, id, name
//   PATH/key          what only those can have written who have the cluster's key
//   PATH/epoch        the writer's number; the *version of this node* is the fence that every write checks
//   PATH/segments/    EPOCH-FIRST: the records of one commit from sequence number FIRST
//                     EPOCH-FIRST.PIECE: pieces of one too large for a node, written before it and counting only with it
//   PATH/snapshots    its own data name the newest complete snapshot; EPOCH-POSITION.PIECE are its pieces
//
// What a node of the last two holds is sealed: the nonce of whoever wrote it, and a checksum. So a writer that lost the
// answer to a write finds out whether the node is its own, and a reader whether it holds what was written.

import { crc32 } from 'node:zlib';
import { JournalError } from './journal.ts';

export const format_version = 1;
export const nonce_bytes = 8;

/** Whose tree it is. */
export type Cluster = { readonly format: number; readonly id: string; readonly name: string };
export type Epoch = { readonly epoch: number; readonly nonce: string };
/** The newest complete snapshot: the state after `position`, in `pieces` nodes that begin with `name`. */
export type Mark = {
  readonly position: number;
  readonly name: string;
  readonly pieces: number;
  readonly bytes: number;
  /** Segments up to here may have been dropped; those after it, up to `position`, are kept for whoever follows. */
  readonly dropped: number;
};
export const no_mark: Mark = { position: 0, name: '', pieces: 0, bytes: 0, dropped: 0 };

/** A segment's node by its name. */
export type SegmentName = { readonly name: string; readonly epoch: number; readonly first: number };

export type Places = {
  readonly root: string;
  readonly cluster: string;
  readonly key: string;
  readonly epoch: string;
  readonly segments: string;
  readonly snapshots: string;
};
export const placesIn = (root: string): Places => {
  const below = root === '/' ? '' : root;
  return {
    root,
    cluster: `${below}/cluster`,
    key: `${below}/key`,
    epoch: `${below}/epoch`,
    segments: `${below}/segments`,
    snapshots: `${below}/snapshots`,
  };
};

/** Wide enough that names sort as their numbers do. */
const epoch_digits = 10;
const sequence_digits = 16;
const piece_digits = 5;

export const nodeName = (epoch: number, sequence: number): string =>
  `${String(epoch).padStart(epoch_digits, '0')}-${String(sequence).padStart(sequence_digits, '0')}`;
export const pieceName = (name: string, piece: number): string =>
  `${name}.${String(piece).padStart(piece_digits, '0')}`;

const name_pattern = new RegExp(`^(\\d{${epoch_digits}})-(\\d{${sequence_digits}})(\\.\\d{${piece_digits}})?$`);

/** Segments and, apart, names of pieces, in order of their first records. A name of another shape is nobody's of ours. */
export function readNames(names: readonly string[]): { readonly segments: SegmentName[]; readonly pieces: string[] } {
  const segments: SegmentName[] = [];
  const pieces: string[] = [];
  for (const name of names) {
    const [, epoch, first, piece] = name_pattern.exec(name) ?? [];
    if (epoch === undefined || first === undefined) continue;
    if (piece !== undefined) pieces.push(name);
    else segments.push({ name, epoch: Number(epoch), first: Number(first) });
  }
  segments.sort((a, b) => a.first - b.first || a.epoch - b.epoch);
  return { segments, pieces: pieces.sort() };
}
/** The first record, or the position, that a name of either kind says. */
export const sequenceOf = (name: string): number => Number(name_pattern.exec(name)?.[2] ?? Number.NaN);

// --- sealed nodes -----------------------------------------------------------------------------------------------------

const seal_version = 1;
const crc_at = 1 + nonce_bytes;
const pieces_at = crc_at + 4;
const records_at = pieces_at + 4;
const seal_bytes = records_at + 4;

export type Sealed = {
  readonly nonce: Buffer;
  /** Of the body; with pieces, of all their bodies together. */
  readonly crc: number;
  /** Of a segment: how many nodes beside this one hold the body. Of a piece of a snapshot: how many more belong to its chunk. */
  readonly pieces: number;
  /** Records in a segment. */
  readonly records: number;
  readonly body: Buffer;
};

type Seal = { readonly pieces?: number; readonly records?: number; readonly crc?: number };

export function seal(nonce: Uint8Array, body: Uint8Array, { pieces = 0, records = 0, crc }: Seal = {}): Buffer {
  const bytes = Buffer.allocUnsafe(seal_bytes + body.length);
  bytes[0] = seal_version;
  bytes.set(nonce, 1);
  bytes.writeUInt32BE(crc ?? crc32(body), crc_at);
  bytes.writeUInt32BE(pieces, pieces_at);
  bytes.writeUInt32BE(records, records_at);
  bytes.set(body, seal_bytes);
  return bytes;
}

/** Throws JournalError when the node holds nothing sealed, or not what was sealed. */
export function unseal(data: Uint8Array, place: string): Sealed {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length < seal_bytes)
    throw new JournalError('corrupt', `${place} has ${bytes.length} bytes: expected a seal of ${seal_bytes}`);
  if (bytes[0]! > seal_version)
    throw new JournalError('newer', `${place} has a seal of version ${bytes[0]}: expected at most ${seal_version}`);
  const sealed: Sealed = {
    nonce: bytes.subarray(1, crc_at),
    crc: bytes.readUInt32BE(crc_at),
    pieces: bytes.readUInt32BE(pieces_at),
    records: bytes.readUInt32BE(records_at),
    body: bytes.subarray(seal_bytes),
  };
  if (sealed.body.length > 0) checkSum(sealed.body, sealed.crc, place);
  return sealed;
}
export const sumOf = (body: Uint8Array): number => crc32(body);

export function checkSum(body: Uint8Array, crc: number, place: string): void {
  if (crc32(body) !== crc)
    throw new JournalError('corrupt', `${place} does not match its checksum: expected what was written there`);
}

/** Bodies of nodes for something that may be too large for one. */
export function pieces(body: Uint8Array, bytes_max: number): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let start = 0; start < body.length; start += bytes_max) cut.push(body.subarray(start, start + bytes_max));
  return cut;
}

// --- nodes that people can read -----------------------------------------------------------------------------------------

const what_it_is = 'journal of a Horae cluster';

export const packCluster = ({ format, id, name }: Cluster): Buffer => pack({ horae: what_it_is, format, id, name });

/** Throws JournalError `foreign` or `newer`. */
export function unpackCluster(data: Uint8Array, place: string): Cluster {
  const { horae, format, id, name } = unpack(data) as Partial<Cluster> & { horae?: string };
  if (horae !== what_it_is || typeof format !== 'number' || typeof id !== 'string' || typeof name !== 'string')
    throw new JournalError('foreign', `${place} does not say "${what_it_is}": choose another path in --zk`);
  if (format > format_version)
    throw new JournalError(
      'newer',
      `${place} has format ${format}: this version of Horae knows formats up to ${format_version}; start the newer one`,
    );
  return { format, id, name };
}

export const packEpoch = (epoch: Epoch): Buffer => pack(epoch);
export function unpackEpoch(data: Uint8Array, place: string): Epoch {
  const { epoch, nonce } = unpack(data) as Partial<Epoch>;
  if (typeof epoch !== 'number' || typeof nonce !== 'string')
    throw new JournalError('corrupt', `${place} holds no epoch: expected {"epoch": 7, "nonce": "..."}`);
  return { epoch, nonce };
}

export const packMark = (mark: Mark): Buffer => pack(mark);
export function unpackMark(data: Uint8Array, place: string): Mark {
  if (data.length === 0) return no_mark;
  const { position, name, pieces, bytes, dropped } = unpack(data) as Partial<Mark>;
  const numbers = [position, pieces, bytes, dropped].every(part => Number.isSafeInteger(part));
  if (!numbers || typeof name !== 'string')
    throw new JournalError('corrupt', `${place} names no snapshot: expected {"position": 7, "name": "...", ...}`);
  return { position, name, pieces, bytes, dropped } as Mark;
}

const pack = (value: object): Buffer => Buffer.from(JSON.stringify(value));
function unpack(data: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
