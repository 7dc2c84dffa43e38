// root.ts: the top of the tree: plants it from the journal, replants it when a singleton crashes, and knows when to stop.
//
// nact itself announces nothing at its top: it writes to the console and leaves the rest alive. So giving up is ours. A
// singleton that crashed leaves its neighbours with half a conversation; the cure is the one that a restart of the process
// would be, without the restart: fell everything, wait until the outbox is empty, plant again from the same records. Too
// many of these in too short a time, or a journal that fails, and the process ends with one clear line.

import type { MesosLink } from '../mesos/protocol.ts';
import { Book } from '../schedules/book.ts';
import type { Clock } from '../schedules/clock.ts';
import type { Runtime } from './actor.ts';
import { inWords } from './framework/placement.ts';
import { heldBack } from './instance/held-back.ts';
import type { Answer, CommandEnvelope, Submit } from './model/commands.ts';
import { refusal } from './model/reasons.ts';
import type { Pending } from './model/views.ts';
import type { Letters } from './notices/couriers.ts';
import type { Outbox } from './outbox.ts';
import { addCrash, type RestartLimit } from './supervision.ts';
import { type Log, plant, type Tree, type TreeSettings } from './tree.ts';

export type SchedulerOptions = {
  readonly runtime: () => Runtime;
  readonly outbox: Outbox;
  readonly link: MesosLink;
  /** Who carries letters to people; nobody when left out. */
  readonly letters?: Letters | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly count: (name: string, labels: Readonly<Record<string, string>> | undefined, value: number) => void;
  readonly settings: TreeSettings;
  readonly restarts: RestartLimit;
  /** Commands that may wait for their answer at once. */
  readonly commands_max: number;
  /** Nothing can go on. Called once; the caller ends the process. */
  readonly onFatal: (reason: string, error?: unknown) => void;
};

export interface Scheduler {
  readonly submit: Submit;
  /** Instances that wait for a place, and why. */
  readonly pending: Pending;
  /** Instances that wait for a place. */
  waiting(): number;
  nextAt(key: string): number | undefined;
  quarantined(): ReadonlyMap<string, string>;
  counts(): ReturnType<Tree['counts']> & { readonly restarts: number; readonly commands: number };
  /** Fells the tree where it stands, as a crash would; for simulations. */
  abandon(): void;
  /**
   * This node leads no more: fells the tree at once, and the subscription with it. Whoever waits for an answer is told that
   * its fate is unknown. Nothing that the tree decided leaves any more: the caller has dropped the outbox.
   */
  depose(why: string): Promise<void>;
  /** Refuses further commands, lets what was decided leave, fells the tree. Tasks run on. */
  stop(): Promise<void>;
}

export function startScheduler(options: SchedulerOptions): Scheduler {
  const { outbox, clock, log } = options;
  const reign_at = clock.now();
  const answers = new Book<string, (answer: Answer) => void>();
  let crashes: readonly number[] = [];
  let restarts = 0;
  let ended = false;
  /** And nothing of it stands any more. */
  let felled = false;
  /** A tree was felled, and the next one waits until the outbox is empty. */
  let planting = false;
  let standing: Tree | undefined;

  const fatal = (reason: string, error?: unknown) => {
    if (ended) return;
    ended = true;
    standing?.fell();
    for (const answer of answers.values()) answer(refusal('shutting-down', 'the scheduler is going down'));
    answers.clear();
    options.onFatal(reason, error);
  };

  const planted = (): Tree => {
    let broken = false;
    const made = plant({
      runtime: options.runtime(),
      outbox,
      clock,
      random: options.random,
      link: options.link,
      letters: options.letters,
      log,
      count: options.count,
      settings: options.settings,
      answered(request_id, answer) {
        answers.get(request_id)?.(answer);
        answers.delete(request_id);
      },
      crashed(who, error) {
        // One tree falls once, however many of its singletons go down together.
        if (broken) return;
        broken = true;
        const { crashes: recent, exceeded } = addCrash(crashes, clock.now(), options.restarts);
        crashes = recent;
        if (exceeded)
          return fatal(
            `${who} crashed ${recent.length} times within ${options.restarts.period_ms} ms: giving up`,
            error,
          );
        replant(who);
      },
      giveUp: reason => fatal(reason),
      reign_at,
    });
    // A singleton may crash at its birth, before there was a tree to fell.
    if (broken) made.fell();
    standing = made;
    return made;
  };

  const replant = (who: string) => {
    log(
      'error',
      { actor: who, restarts: restarts + 1 },
      'a singleton crashed: planting the tree again from its records',
    );
    standing?.fell();
    planting = true;
    // Commands that the felled tree was working on have no answer that we could know to be true.
    for (const [id, answer] of answers) answer(interrupted(id, 'the scheduler is starting again'));
    answers.clear();
    restarts += 1;
    options.count('horae_tree_restarts_total', undefined, 1);
    outbox.idle().then(
      () => {
        planting = false;
        if (!ended) tree = planted();
      },
      () => undefined, // A failed journal has its own way to fatal.
    );
  };

  let tree = planted();

  return {
    submit: (envelope: CommandEnvelope) =>
      new Promise(resolve => {
        if (ended) return resolve(refusal('shutting-down', 'the scheduler is going down'));
        if (planting) return resolve(refusal('shutting-down', 'the scheduler is starting again: repeat the request'));
        if (answers.size >= options.commands_max)
          return resolve(
            refusal(
              'too-many',
              `${answers.size} commands wait for their answer already: the limit is ${options.commands_max}`,
            ),
          );
        if (answers.has(envelope.request_id))
          return resolve(
            refusal('invalid', `request id ${envelope.request_id} is in use: expected a new one for each request`),
          );
        answers.set(envelope.request_id, resolve);
        tree.command(envelope);
      }),
    pending: {
      keys: () => tree.pending().waiting.keys(),
      why(key) {
        const { waiting, why } = tree.pending();
        const one = waiting.get(key);
        if (one === undefined)
          return heldBack(key, options.settings.instance.archive, (kind, of) => options.outbox.latest(kind, of));
        const reason = why.get(one.requirements.plan.group) ?? { code: 'no-offers' as const };
        return { instance: key, since: one.since, summary: inWords(reason), why: reason };
      },
    },
    waiting: () => tree.pending().waiting.size,
    nextAt: key => tree.nextAt(key),
    quarantined: () => tree.quarantined,
    counts: () => ({ ...tree.counts(), restarts, commands: answers.size }),
    abandon() {
      ended = true;
      tree.fell();
      answers.clear();
    },
    async depose(why) {
      // Also while it stops: what it waits for then, an empty outbox, may never be.
      if (felled) return;
      ended = felled = true;
      tree.fell();
      for (const [id, answer] of answers) answer(interrupted(id, why));
      answers.clear();
      await options.link.close();
    },
    async stop() {
      if (ended) return;
      ended = true;
      await outbox.idle();
      if (felled) return;
      felled = true;
      tree.fell();
      for (const answer of answers.values()) answer(refusal('shutting-down', 'the scheduler is going down'));
      answers.clear();
      await options.link.close();
    },
  };
}

/** The answer to a command of which nobody knows whether it took effect. */
const interrupted = (request_id: string, why: string): Answer =>
  refusal(
    'interrupted',
    `request ${request_id} was interrupted (${why}): look whether it took effect, and repeat it if not`,
  );
