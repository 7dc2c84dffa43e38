// tenant.ts: as whom a container runs, so that the sandbox can be that one's own.
//
// An image says it by name or by number, and what a name means stands in the image's own list of users: so the container, made
// and not yet started, is asked for it.

import { own } from '../limits/users.ts';
import type { Engine } from './engine.ts';

export type Tenant = { readonly uid: number; readonly gid: number };

/** `asked`: `user[:group]` as Docker takes it. Undefined where nobody of that name is found: the engine will say so itself. */
export async function tenantOf(engine: Engine, container: string, asked: string): Promise<Tenant | undefined> {
  const [user = '', group = ''] = asked.split(':');
  const lines = async (path: string) =>
    ((await engine.file(container, path))?.toString('utf8') ?? '').split('\n').map(line => line.split(':'));
  if (user === '') return { uid: 0, gid: 0 };
  const users = await lines('/etc/passwd');
  const groups = group === '' || isNumber(group) ? [] : await lines('/etc/group');
  return readTenant({ user, group }, users, groups);
}

type Table = readonly (readonly string[])[];

/** As an engine reads it: a name before a number of the same look, and the group of no list is 0. */
export function readTenant(
  { user, group }: { readonly user: string; readonly group: string },
  users: Table,
  groups: Table,
): Tenant | undefined {
  const known = users.find(([name]) => name === user) ?? users.find(([, , uid]) => uid === user);
  const uid = known?.[2] ?? user;
  const gid = group === '' ? (known?.[3] ?? '0') : (groups.find(([name]) => name === group)?.[2] ?? group);
  return isNumber(uid) && isNumber(gid) ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

const isNumber = (text: string) => /^\d{1,10}$/.test(text);

/** Returns why the sandbox cannot be its own. */
export function handIn(sandbox: string, tenant: Tenant): string | undefined {
  const us = process.getuid?.() ?? 0;
  if (tenant.uid === us || tenant.uid === 0) return undefined;
  if (us !== 0)
    return `it runs as user ${tenant.uid}, which its sandbox cannot be given to by an agent that is not root`;
  own(Buffer.from(sandbox), tenant);
  return undefined;
}
