// users.ts: as whom a container runs: who that is, whether he may be, and what becomes his.
//
// Names are asked of the machine (`id`, which knows directories too), never read from a file of ours. Only root can make
// somebody else of a process; everybody else is refused with words before anything of the task is there.

import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, lchownSync, openSync, readdirSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { CommandInfo, RLimit } from '../../protocol.ts';
import { rlimitArguments, whyNotRlimits } from './rlimits.ts';

export type User = { readonly name: string; readonly uid: number; readonly gid: number };

/** Whoever this process is, where nobody else was asked for. Throws with words when that user cannot be had. */
export function userOf(name: string | undefined): User | undefined {
  if (name === undefined) return undefined;
  const { username, uid } = userInfo();
  if (name === username) return undefined;
  const ask = (what: string): number | undefined => {
    const { status, stdout } = spawnSync('/usr/bin/id', [what, '--', name], { encoding: 'utf8', timeout: 5_000 });
    return status === 0 && /^\d+\n$/.test(stdout) ? Number(stdout) : undefined;
  };
  if (uid !== 0)
    throw new Error(`this agent runs tasks as ${username} only, not as ${name}: expected an agent that is root`);
  const [their_uid, their_gid] = [ask('-u'), ask('-g')];
  if (their_uid === undefined || their_gid === undefined)
    throw new Error(`there is no user ${name} on this machine: expected one that \`id ${name}\` knows`);
  return their_uid === uid ? undefined : { name, uid: their_uid, gid: their_gid };
}

/** What stands before the command: limits first, since root may still raise them, then the user. */
export function confined(argv: readonly string[], { user, rlimits }: Confinement): readonly string[] {
  return [
    ...(rlimits.length === 0 ? [] : ['/usr/bin/prlimit', ...rlimitArguments(rlimits), '--']),
    ...(user === undefined
      ? []
      : ['/usr/bin/setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--']),
    ...argv,
  ];
}

/**
 * Makes a sandbox its user's own, with the files of its output, and sees to it that he can get there. `ours`: the folder from
 * which on the way is the agent's, who may open it for passers-by; what lies above it is not.
 */
export function handOver(sandbox: string, user: User, ours: string): void {
  for (const stream of ['stdout', 'stderr']) closeSync(openSync(join(sandbox, stream), 'a', 0o644));
  own(Buffer.from(sandbox), user);
  for (let folder = dirname(sandbox); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) {
      if (!`${folder}/`.startsWith(`${ours}/`))
        throw new Error(
          `user ${user.name} cannot reach ${sandbox}: ${folder} has mode ${(mode & 0o777).toString(8)}; expected one that lets others pass (chmod o+x)`,
        );
      chmodSync(folder, (mode & 0o777) | bit);
    }
    if (folder === dirname(folder)) return;
  }
}

/** Links are given away too, and never followed. Names are bytes: an archive may have brought some that are no text. */
export function own(path: Buffer, user: Pick<User, 'uid' | 'gid'>): void {
  lchownSync(path, user.uid, user.gid);
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
    const child = Buffer.concat([path, Buffer.from('/'), entry.name]);
    if (entry.isDirectory()) own(child, user);
    else lchownSync(child, user.uid, user.gid);
  }
}

export type Confinement = { readonly user: User | undefined; readonly rlimits: readonly RLimit[] };

/** The words of a no come before anything of the container is there. */
export function confinementOf(command: CommandInfo | undefined, rlimits: readonly RLimit[]): Confinement {
  const why = whyNotRlimits(rlimits);
  if (why !== undefined) throw new Error(why);
  return { user: userOf(command?.user), rlimits };
}
