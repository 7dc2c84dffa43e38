// reservations.ts: for whom a resource is kept, and how it comes to be kept for somebody else.
//
// A reservation is a label on a box, and labels are stuck one over the other: first the operator keeps the box for a
// department, then the department for one of its teams. The topmost label says whose it is now. RESERVE sticks one more on,
// UNRESERVE peels off the topmost, and whoever wants to peel must show the box with all of its labels as they are.
// (Masters write this stack to frameworks with the capability RESERVATION_REFINEMENT; older ones name a single `role`.)

import type { DiskInfo, Reservation, Resource } from './protocol.ts';

/** Anybody's, as Mesos writes it. */
export const unreserved_role = '*';

/** The role for which a resource is kept; `*` when it is anybody's. */
export const reservedFor = (resource: Pick<Resource, 'role' | 'reservations'>): string =>
  resource.reservations?.at(-1)?.role ?? resource.role ?? unreserved_role;

/** Whether frameworks of `role` may be offered it: it is anybody's, theirs, or kept for a role above theirs (`a` for `a/b`). */
export function mayUse(resource: Pick<Resource, 'role' | 'reservations'>, role: string): boolean {
  const kept_for = reservedFor(resource);
  return kept_for === unreserved_role || kept_for === role || role.startsWith(`${kept_for}/`);
}

/** A DYNAMIC reservation: one that frameworks make and undo themselves. STATIC ones stand in the agent's own flags. */
export const isDynamic = (resource: Pick<Resource, 'reservations'>): boolean =>
  resource.reservations?.at(-1)?.type === 'DYNAMIC';

/** What RESERVE is given: the resource as it will be, with one more label on top. */
export const reserved = (resource: Resource, reservation: Omit<Reservation, 'type'>): Resource => ({
  ...resource,
  reservations: [...(resource.reservations ?? []), { type: 'DYNAMIC', ...reservation }],
});

/** What is left after UNRESERVE. Throws for what was not reserved dynamically: a master refuses that. */
export function unreserved(resource: Resource): Resource {
  if (!isDynamic(resource))
    throw new Error(
      `${resource.name} reserved for "${reservedFor(resource)}": expected a dynamic reservation, which can be undone`,
    );
  const { reservations = [], ...rest } = resource;
  const below = reservations.slice(0, -1);
  return below.length === 0 ? rest : { ...rest, reservations: below };
}

export type VolumeWish = { readonly id: string; readonly container_path: string; readonly principal?: string };

/** What CREATE is given: reserved disk, made a volume that outlives its tasks. Ids are unique on an agent within a role. */
export function persistentVolume(disk: Resource, { id, container_path, principal }: VolumeWish): Resource {
  if (disk.name !== 'disk' || disk.disk?.persistence !== undefined || reservedFor(disk) === unreserved_role)
    throw new Error(
      `volume ${id} on ${disk.name} reserved for "${reservedFor(disk)}": expected reserved disk that is no volume yet`,
    );
  const volume: DiskInfo = {
    ...disk.disk,
    persistence: { id, ...(principal === undefined ? {} : { principal }) },
    volume: { mode: 'RW', container_path },
  };
  return { ...disk, disk: volume };
}

/** The persistent volumes among resources, by id. They come whole or not at all. */
export function volumesIn(resources: readonly Resource[]): ReadonlyMap<string, Resource> {
  const volumes = new Map<string, Resource>();
  for (const resource of resources) {
    const id = resource.disk?.persistence?.id;
    if (id !== undefined) volumes.set(id, resource);
  }
  return volumes;
}
