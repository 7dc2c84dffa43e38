// compare.ts: lays what ours said beside what Mesos said, field by field, with a fixed list of what may differ.
//
// Ids are given out by whoever is asked, so one of theirs answers to one of ours, everywhere and always the same; instants,
// ports and host names must be there where they are there. Everything else must be equal.

import type { Json } from './client.ts';

/** Ids: a field of this name stands for one thing, whose name differs. */
export const masked_ids = [
  'framework_id',
  'agent_id',
  'offer_id',
  'inverse_offer_id',
  'id of an offer, an inverse offer and a master',
  'uuid',
  'Mesos-Stream-Id',
] as const;
/** Present in both or in neither; the value is not looked at. */
export const masked_instants = ['timestamp', 'unreachable_time'] as const;
export const masked_places = ['ip', 'port', 'pid', 'hostname', 'address'] as const;
/** Free text in which Mesos names a thing of its own inside: only that name is put aside. */
export const masked_text = ['what follows "Failed to launch container: "'] as const;

/** What our agents leave out or put in on purpose; the reasons stand in the docs. */
export const other_fields = ['container_status', 'data', 'capabilities'] as const;

const id_fields = new Set(['framework_id', 'agent_id', 'offer_id', 'inverse_offer_id', 'uuid', 'id']);
const present_fields = new Set<string>([...masked_instants, ...masked_places]);
const left_out = new Set<string>(other_fields);

export class Ids {
  readonly #ours = new Map<string, string>();
  readonly #theirs = new Map<string, string>();

  pair(theirs: string, ours: string): string | undefined {
    const known = this.#ours.get(theirs);
    const claimed = this.#theirs.get(ours);
    if (known === undefined && claimed === undefined) {
      this.#ours.set(theirs, ours);
      this.#theirs.set(ours, theirs);
      return undefined;
    }
    return known === ours
      ? undefined
      : `${theirs} was ${known ?? 'nobody'} and is ${ours}, which was ${claimed ?? 'nobody'}`;
  }
  /** A framework comes back, an agent is met again: what was paired by hand before. */
  ours(theirs: string): string | undefined {
    return this.#ours.get(theirs);
  }
  theirs(ours: string): string | undefined {
    return this.#theirs.get(ours);
  }
  /** A text of theirs with our names in it. */
  translate(text: string): string {
    return text.replace(/[\w+/=-]{12,}/g, word => this.#ours.get(word) ?? word);
  }
}

/** What differs, each with its place. Pairs ids on its way. */
export function differences(theirs: Json, ours: Json, ids: Ids, place = ''): string[] {
  if (typeof theirs !== typeof ours || Array.isArray(theirs) !== Array.isArray(ours) || theirs === null)
    return [`${place}: ${brief(ours)} instead of ${brief(theirs)}`];
  if (Array.isArray(theirs)) {
    if (theirs.length !== ours.length)
      return [`${place}: ${ours.length} of ${theirs.length}: ${brief(ours)} instead of ${brief(theirs)}`];
    if (place.endsWith('.resources') || place.endsWith('.executor_ids')) {
      const [one, other] = [inOrder(theirs), inOrder(ours)];
      return one.flatMap((each, index) => differences(each, other[index], ids, `${place}[${index}]`));
    }
    return theirs.flatMap((each, index) => differences(each, ours[index], ids, `${place}[${index}]`));
  }
  if (typeof theirs === 'object') {
    const found: string[] = [];
    for (const name of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
      if (left_out.has(name)) continue;
      const at = `${place}.${name}`;
      const [one, other] = [theirs[name], ours[name]];
      if (one === undefined || other === undefined) found.push(`${at}: ${brief(other)} instead of ${brief(one)}`);
      else if (present_fields.has(name)) continue;
      else if (id_fields.has(name)) found.push(...sameId(one, other, ids, at));
      else found.push(...differences(one, other, ids, at));
    }
    return found;
  }
  if (typeof theirs === 'string')
    return plain(ids.translate(theirs)) === plain(ours) ? [] : [`${place}: ${brief(ours)} instead of ${brief(theirs)}`];
  if (typeof theirs === 'number' && Math.abs(theirs - ours) < 1e-6) return [];
  return theirs === ours ? [] : [`${place}: ${brief(ours)} instead of ${brief(theirs)}`];
}

/** The order of resources and of executors in an offer is nobody's business. */
const inOrder = (resources: Json[]): Json[] =>
  [...resources].sort((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1));
const sortKey = ({ name, value, reservations, disk }: Json) =>
  JSON.stringify([name ?? value, reservations?.length ?? 0, disk?.persistence?.id ?? '']);

function sameId(theirs: Json, ours: Json, ids: Ids, place: string): string[] {
  if (typeof theirs !== typeof ours) return [`${place}: ${brief(ours)} instead of ${brief(theirs)}`];
  const [one, other] = typeof theirs === 'string' ? [theirs, ours] : [theirs.value, ours.value];
  // What was sent by the client itself comes back as it was.
  if (one === other) return [];
  const wrong = ids.pair(one, other);
  return wrong === undefined ? [] : [`${place}: ${wrong}`];
}

const plain = (text: string) =>
  text.replace(/^(Failed to launch container: ).*$/s, '$1<why>').replace(/:\d{4,5}\b/g, ':<port>');
const brief = (value: Json) => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 700 ? `${text.slice(0, 700)}...` : text;
};
