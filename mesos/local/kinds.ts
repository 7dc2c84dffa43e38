// kinds.ts: what tells resources of one name apart: for whom they are reserved, and which volume they are.
//
// An amount has one compartment per kind. Most kinds are a bare name; the others carry their reservations, the latest last,
// and their volume in a line of JSON behind it, written so that two who mean the same write the same.

import type { DiskInfo, Reservation, Resource } from '../protocol.ts';

type Kind = {
  readonly name: string;
  readonly reservations?: readonly Reservation[];
  readonly disk?: DiskInfo;
  readonly revocable?: Record<string, never>;
};

/** Whether a kind is a bare name: unreserved, and no volume. */
export const isPlain = (kind: string): boolean => !kind.includes('\n');
/** The name that a kind begins with. */
export const nameOf = (kind: string): string => (isPlain(kind) ? kind : kind.slice(0, kind.indexOf('\n')));

export function kindOf(resource: Resource): string {
  const { name, reservations, disk, revocable, role } = resource;
  const reserved = reservations !== undefined && reservations.length > 0;
  // Before refinement a role beside the resource said all there was to say.
  const owned = !reserved && role !== undefined && role !== '*';
  if (!reserved && !owned && disk === undefined && revocable === undefined) return name;
  const held = reserved ? { reservations } : owned ? { reservations: [{ type: 'STATIC', role }] } : {};
  return `${name}\n${JSON.stringify({ ...held, disk, revocable }, sorted)}`;
}

/** Objects with their fields in one order, whoever wrote them. */
const sorted = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;

export function readKind(kind: string): Kind {
  const cut = kind.indexOf('\n');
  return cut < 0 ? { name: kind } : { name: kind.slice(0, cut), ...JSON.parse(kind.slice(cut + 1)) };
}

/** For whom a kind is kept; undefined when it is anybody's. */
export function reservedFor(kind: string): string | undefined {
  return isPlain(kind) ? undefined : readKind(kind).reservations?.at(-1)?.role;
}

/** Whether it may be lent to a role: to the one that reserved it, and to those below. */
export function isLentTo(kind: string, role: string): boolean {
  const holder = reservedFor(kind);
  return holder === undefined || holder === role || role.startsWith(`${holder}/`);
}

/** What stands behind a name when Mesos prints it. */
export function textOfKind(kind: string): string {
  if (isPlain(kind)) return '';
  const { reservations = [], disk } = readKind(kind);
  const held = reservations.map(({ type, role, principal, labels }) => {
    const pairs = labels === undefined ? [] : [`{${labels.labels.map(pairText).join(', ')}}`];
    return `(${[type, role, principal, ...pairs].filter(part => part !== undefined).join(',')})`;
  });
  const volume = disk?.persistence === undefined ? '' : `[${disk.persistence.id}:${disk.volume?.container_path ?? ''}]`;
  return `${held.length === 0 ? '' : `(reservations: [${held.join(', ')}])`}${volume}`;
}

const pairText = ({ key, value }: { readonly key: string; readonly value?: string }) => `${key}: ${value ?? ''}`;
