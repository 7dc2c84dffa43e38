// visit.ts: whether the ServerSets that the settings name could be kept: looked at, and left as it was.

import { randomUUID } from 'node:crypto';
import { type ZooKeeper, ZooKeeperError } from '../zookeeper/zookeeper.ts';
import { readClaim } from './claim.ts';

export type Seen = {
  readonly state: 'ok' | 'doubtful' | 'wrong';
  readonly says: string;
  /** What would be right. */
  readonly expected?: string;
};

/** `where`: the servers and the path, as they were given. */
export async function visitServersets(zk: ZooKeeper, root: string, where: string): Promise<Seen> {
  try {
    const there = await zk.exists(root);
    const written = await readClaim(zk, root);
    // Whether we may write is found out by writing: a node that goes with this visit, below what is there.
    const place = there === undefined ? await above(zk, root) : root;
    const probe = `${place === '/' ? '' : place}/.horae-visit-${randomUUID()}`;
    await zk.create(probe, new Uint8Array(), { ephemeral: true });
    await zk.delete(probe);
    if (there === undefined) return { state: 'ok', says: `${where}: not there yet, and can be made` };
    if (written === undefined) return { state: 'ok', says: `${where}: can be written, and nobody does so far` };
    return { state: 'ok', says: `${where}: kept by the scheduler ${written.owner}, in its reign ${written.epoch}` };
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
    const expected =
      error.code === 'no-auth' || error.code === 'auth-failed'
        ? 'a --serversets-zk-auth-file with a user who may write there'
        : error.code === 'other'
          ? 'a path that no other program writes to'
          : 'a ZooKeeper that answers there';
    return { state: 'wrong', says: `${where}: ${error.message}`, expected };
  }
}

/** The nearest node above that is there. */
async function above(zk: ZooKeeper, path: string): Promise<string> {
  const parent = path.slice(0, path.lastIndexOf('/')) || '/';
  return parent === '/' || (await zk.exists(parent)) !== undefined ? parent : above(zk, parent);
}
