// claim.ts: whose ServerSets these are: one scheduler's, and of its leaders the last one's.
//
// Beside the lists lies a node that names its owner. Whoever begins to write there puts its own name in, and every later write
// checks in the same transaction that nobody else has done so since: a leader that was deposed, slept, and woke cannot bring
// back members that its successor has removed, however late its write arrives. The node's *version* is the fence.

import { randomUUID } from 'node:crypto';
import { type ZooKeeper, ZooKeeperError } from '../zookeeper/zookeeper.ts';

/** Of a scheduler: the same for all of its nodes and reigns. `epoch`: of the reign; left out where there is only one node. */
export type Owner = { readonly id: string; readonly epoch?: number };
export type Claim =
  | { readonly type: 'ours'; readonly version: number; readonly epoch: number }
  /** A later reign of ours writes there. */
  | { readonly type: 'deposed'; readonly epoch: number }
  /** Another scheduler, which we may not chase away. */
  | { readonly type: 'foreign'; readonly owner: string };
type Written = { readonly format: 1; readonly owner: string; readonly epoch: number; readonly nonce: string };

/** Begins with a dot, so that it is no role's. */
export const claimPath = (root: string): string => `${root === '/' ? '' : root}/.horae`;

/** Throws ZooKeeperError when ZooKeeper does not answer, or does not let us. */
export async function claim(zk: ZooKeeper, root: string, owner: Owner): Promise<Claim> {
  const path = claimPath(root);
  const nonce = randomUUID();
  await zk.mkdirs(root);
  for (;;) {
    const found = await zk.get(path);
    const before = found === undefined ? undefined : read(found.data, path);
    if (before !== undefined && before.owner !== owner.id) return { type: 'foreign', owner: before.owner };
    if (owner.epoch !== undefined && before !== undefined && before.epoch > owner.epoch)
      return { type: 'deposed', epoch: before.epoch };
    const epoch = owner.epoch ?? (before?.epoch ?? 0) + 1;
    const data = Buffer.from(JSON.stringify({ format: 1, owner: owner.id, epoch, nonce } satisfies Written));
    try {
      if (found === undefined) await zk.create(path, data);
      // Of a new node too the version is told by what was set: another may have set it in between.
      const { version } = await zk.set(path, data, found?.stat.version ?? 0);
      return { type: 'ours', version, epoch };
    } catch (error) {
      // Somebody was faster, or it was we, and did not hear it: look again.
      if (!(error instanceof ZooKeeperError) || !['bad-version', 'node-exists', 'no-node'].includes(error.code))
        throw error;
    }
  }
}

/** Who writes there; undefined when nobody has so far. */
export async function readClaim(zk: ZooKeeper, root: string): Promise<Pick<Written, 'owner' | 'epoch'> | undefined> {
  const found = await zk.get(claimPath(root));
  return found === undefined ? undefined : read(found.data, claimPath(root));
}

function read(data: Uint8Array, path: string): Written {
  const text = Buffer.from(data).toString('utf8');
  try {
    const { format, owner, epoch, nonce } = JSON.parse(text) as Partial<Written>;
    if (format === 1 && typeof owner === 'string' && Number.isSafeInteger(epoch) && typeof nonce === 'string')
      return { format, owner, epoch: epoch!, nonce };
  } catch {
    // Told below.
  }
  throw new ZooKeeperError(
    'other',
    path,
    `${path} holds "${text.slice(0, 60)}": expected what a scheduler writes there`,
  );
}
