// reign.ts: the scheduler of a node that leads: planted from the cluster's journal, behind the gate of its keeper.
//
// Beside the tree there is the desk, where other nodes bring commands. Both end together: in good order when the node
// hands over, at once when it was deposed; then what had not left is dropped, and the successor decides about it.

import type { MesosLink } from '../mesos/protocol.ts';
import { createDesk, type Desk } from '../transport/cluster/desk.ts';
import type { History } from '../transport/journal/journal.ts';
import { guardedLink } from './guarded-link.ts';
import type { Guard, Opened, Reign } from './keeper.ts';
import type { OpenLetters } from './letters.ts';
import { type Engine, type Identity, type OpenScheduler, openScheduler } from './scheduler.ts';
import type { Ground } from './start.ts';

export type ReignParts = Pick<Ground, 'settings' | 'log' | 'clock' | 'metrics'> & {
  readonly link: MesosLink;
  readonly identity: Identity;
  readonly letters?: OpenLetters | undefined;
  readonly opened: Opened;
  readonly guard: Guard;
  /** Of this node's own copy. */
  readonly history: Pick<History, 'page'>;
  /** Resolves when that copy has everything that was committed before this reign. */
  readonly caught_up: Promise<void>;
  /** Left out: that of the process. */
  readonly engine?: Engine;
};
export type Reigning = Reign & { readonly desk: Desk; readonly scheduler: OpenScheduler['scheduler'] };

export function beginReign(parts: ReignParts): Reigning {
  const { opened, guard, log } = parts;
  let position = opened.position;
  const { scheduler, outbox, stop } = openScheduler({
    ...parts,
    journal: opened.journal,
    records: opened.records,
    link: guardedLink(parts.link, guard.confirm),
    gate: guard.gate,
    committed(_changes, reached) {
      position = reached;
    },
    onFatal: guard.fatal,
  });
  const desk = createDesk({
    submit: scheduler.submit,
    position: () => position,
    async confirm() {
      if (!(await guard.confirm())) throw new Error('this node leads no more');
    },
    history: parts.history,
    caught_up: parts.caught_up,
    pending: scheduler.pending,
    quarantined: () => scheduler.quarantined(),
  });
  return {
    desk,
    scheduler,
    resume: () => outbox.resume(),
    async drain() {
      await stop();
      await opened.journal.close();
    },
    async fell(why) {
      log.warn(
        { epoch: opened.epoch, why, ...outbox.waiting() },
        'this node leads no more: what has not left is dropped',
      );
      outbox.drop(new Error(why));
      await scheduler.depose(why);
      // A commit on its way may wait long for its answer; whatever becomes of it, the fence decides, not we.
      opened.journal.close().catch(error => log.warn({ error: String(error) }, 'the journal did not close well'));
    },
  };
}
