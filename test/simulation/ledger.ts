// ledger.ts: what the cluster's log holds, read off the servers' own tree, and held against what must be true of it.
//
// Nothing here asks a node. Each segment is unpacked when the servers order it; so the ledger knows whose write it was,
// under which epoch, and what every record was at any moment.

import type { InstanceRecord, JobRecord } from '../../actors/model/records.ts';
import type { Change, RecordKind } from '../../transport/journal/journal.ts';
import { unpackSegment } from '../../transport/journal/records.ts';
import { pieceName, placesIn, readNames, unpackEpoch, unseal } from '../../transport/journal/zookeeper-tree.ts';
import type { Committed, Ensemble } from './ensemble.ts';
import { cluster_path } from './node.ts';
import { watchUpdates } from './updates.ts';

export type Entry = Change & { readonly at: number; readonly epoch: number };
export type Ledger = {
  /** Every record there ever was of a kind, in order. */
  readonly entries: (kind: RecordKind) => readonly Entry[];
  readonly latest: (kind: RecordKind, key: string) => unknown;
  readonly living: (kind: RecordKind) => readonly (readonly [string, unknown])[];
  readonly position: () => number;
  readonly epoch: () => number;
  readonly reigns: () => number;
};

/** Where an instance may go from where it is; '' is before its birth and after its end. */
const moves: Readonly<Record<string, readonly string[]>> = {
  '': ['pending', 'assigned', 'over'],
  pending: ['pending', 'assigned', 'over', ''],
  assigned: ['starting', 'running', 'unreachable', 'killing', 'pending', 'over'],
  starting: ['running', 'unreachable', 'killing', 'pending', 'over'],
  running: ['running', 'unreachable', 'killing', 'pending', 'over'],
  unreachable: ['starting', 'running', 'killing', 'pending', 'over'],
  killing: ['killing', 'pending', 'over'],
  // A service that shrinks and grows again, or that goes back to what it was, has the same instance once more.
  over: ['', 'pending'],
};

export function keepLedger(ensemble: Ensemble, now: () => number, wrong: (what: string) => void): Ledger {
  const places = placesIn(cluster_path);
  const entries = new Map<RecordKind, Entry[]>();
  const latest = new Map<RecordKind, Map<string, unknown>>();
  const told = new Set<string>();
  const asked = new Set<string>();
  /** Who has written under each epoch. */
  const writers = new Map<number, string | undefined>();
  const updates = watchUpdates(wrong);
  let epoch = 0;
  let position = 0;

  const claimed = (data: Uint8Array, { place }: Committed) => {
    const next = unpackEpoch(data, places.epoch).epoch;
    if (next === 0) return;
    if (next !== epoch + 1) wrong(`epoch ${next} follows ${epoch}`);
    epoch = next;
    writers.set(epoch, place);
  };

  const segment = (name: string, data: Uint8Array, { place }: Committed) => {
    const [named] = readNames([name]).segments;
    if (named === undefined) return;
    if (named.epoch !== epoch)
      wrong(`${place} writes ${name} under epoch ${named.epoch}, and epoch ${epoch} has begun: it was deposed`);
    else if (place !== writers.get(epoch))
      wrong(`${place} writes under epoch ${epoch}, which is ${writers.get(epoch)}'s`);
    if (named.first !== position + 1) wrong(`segment ${name} follows record ${position}`);
    const sealed = unseal(data, name);
    const bodies = Array.from({ length: sealed.pieces }, (_, piece) => {
      const path = pieceName(`${places.segments}/${name}`, piece);
      return unseal(ensemble.tree.nodes.get(path)!.data, path).body;
    });
    const packed = sealed.pieces === 0 ? sealed.body : Buffer.concat(bodies);
    const { records } = unpackSegment(packed, name);
    for (const record of records) hear({ ...record, at: now(), epoch: named.epoch });
    position += records.length;
  };

  const hear = (entry: Entry) => {
    const { kind, key, body } = entry;
    let of_kind = entries.get(kind);
    let bodies = latest.get(kind);
    if (of_kind === undefined || bodies === undefined) {
      of_kind = [];
      bodies = new Map();
      entries.set(kind, of_kind);
      latest.set(kind, bodies);
    }
    if (kind === 'instance')
      move(key, bodies.get(key) as InstanceRecord | undefined, body as InstanceRecord | undefined);
    if (kind === 'outcome' && told.size === told.add(key).size) wrong(`the outcome ${key} is told twice`);
    if (kind === 'audit') {
      const { request_id } = body as { readonly request_id: string };
      if (asked.size === asked.add(request_id).size) wrong(`request ${request_id} was carried out twice`);
    }
    updates(entry);
    of_kind.push(entry);
    if (body === undefined) bodies.delete(key);
    else bodies.set(key, body);
  };

  const move = (key: string, before: InstanceRecord | undefined, after: InstanceRecord | undefined) => {
    const from = before?.status ?? '';
    const to = after?.status ?? '';
    if (!moves[from]!.includes(to)) wrong(`instance ${key} goes from "${from}" to "${to}"`);
    if (before !== undefined && after !== undefined && after.attempt < before.attempt)
      wrong(`instance ${key} goes back from attempt ${before.attempt} to ${after.attempt}`);
    if (before?.status === 'over' && after !== undefined && !isRevived(key, before, after))
      wrong(`instance ${key} was over, and is ${after.status}`);
  };

  const isRevived = (key: string, before: InstanceRecord, after: InstanceRecord): boolean => {
    const of = latest.get('job')?.get(key.split('/').slice(0, 3).join('/')) as JobRecord | undefined;
    return of?.job.service === true && after.status === 'pending' && after.attempt === before.attempt + 1;
  };

  ensemble.onCommit(committed => {
    for (const { path, node } of committed.effects) {
      if (node === undefined) continue;
      if (path === places.epoch) claimed(node.data, committed);
      else if (path.startsWith(`${places.segments}/`))
        segment(path.slice(places.segments.length + 1), node.data, committed);
    }
  });
  return {
    entries: kind => entries.get(kind) ?? [],
    latest: (kind, key) => latest.get(kind)?.get(key),
    living: kind => [...(latest.get(kind) ?? [])],
    position: () => position,
    epoch: () => epoch,
    reigns: () => writers.size,
  };
}
