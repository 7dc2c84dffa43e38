// tenant.ts: as whom a container runs, so that the sandbox can be that one's own.
//
// An image says it by name or by number, and what a name means stands in the image's own list of users: so the container, made
// and not yet started, is asked for it.

import { own } from '../limits/users.ts';
import type { Engine } from './engine.ts';

type Tenant = { readonly uid: number; readonly gid: number };

/** `asked`: `user[:group]` as Docker takes it. Returns why the sandbox is not the tenant's own where it had to be. */
export async function handIn(
  engine: Pick<Engine, 'file' | 'remaps'>,
  container: string,
  asked: string,
  sandbox: string,
): Promise<string | undefined> {
  const [user = '', group = ''] = asked.split(':');
  if (user === '') return undefined;
  const table = async (path: string) =>
    ((await engine.file(container, path))?.toString('utf8') ?? '').split('\n').map(line => line.split(':'));
  const users = await table('/etc/passwd');
  const groups = group === '' || isNumber(group) ? [] : await table('/etc/group');
  const tenant = readTenant({ user, group }, users, groups);
  // Where nobody of that name is found, the engine will say so itself.
  const us = process.getuid?.() ?? 0;
  if (tenant === undefined || tenant.uid === 0 || tenant.uid === us) return undefined;
  const its = `it runs as user ${tenant.uid}, and its sandbox stays ours`;
  if (us !== 0) return `${its}: expected an agent that is root`;
  // Outside it is somebody else, whom this number is not.
  if (await engine.remaps()) return `${its}: its engine gives users other numbers than this machine`;
  own(Buffer.from(sandbox), tenant);
  return undefined;
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

/** Engines know no larger ones. */
const id_max = 2 ** 31 - 1;
const isNumber = (text: string) => /^\d{1,10}$/.test(text) && Number(text) <= id_max;
