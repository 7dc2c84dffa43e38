// framework.ts: our standing with the Mesos master: subscribed or not, under which id, and what we must ask it.
//
// It turns the master's events into mail for whoever they concern, and it keeps the list of doubts: tasks of which we do not
// know what became of them. Doubts are asked about (RECONCILE) with growing pauses until each is answered, because after a
// failover a master says nothing at all until its agents are back. Now and then Mesos is asked for all that it has of ours, so
// that what we do not know of is found too.

import { adviceOn, isFirm } from '../../mesos/advice.ts';
import { acknowledgeOperationCall } from '../../mesos/calls.ts';
import type { Event, LinkEnd, TaskStatus } from '../../mesos/protocol.ts';
import { conclude } from '../../mesos/statuses.ts';
import { Book } from '../../schedules/book.ts';
import { aboutTasks } from '../about.ts';
import { call, count, type Effect, log, record, tell } from '../effects.ts';
import { parseTaskId, type TaskId } from '../model/ids.ts';
import { type Step, step, stepWith } from '../step.ts';
import { asked, lookRound, type Notices, noticed, withdrawn } from './vacating.ts';

export type Doubt = { readonly task_id: TaskId; readonly agent_id: string | undefined };
export type FrameworkMessage =
  | { readonly type: 'begin' }
  | { readonly type: 'events'; readonly events: readonly Event[] }
  | { readonly type: 'ended'; readonly end: LinkEnd; readonly random: number }
  /** A master leads that did not before: whoever waits to subscribe need not wait on. */
  | { readonly type: 'master-found' }
  | { readonly type: 'doubt'; readonly doubt: readonly Doubt[] }
  /** An update for a task that nobody here knows. */
  | { readonly type: 'unrouted'; readonly unrouted: readonly TaskStatus[] }
  /** Tasks on agents that go into maintenance. */
  | { readonly type: 'residents'; readonly residents: readonly Doubt[] }
  | { readonly type: 'due'; readonly what: string };

export type FrameworkState = {
  readonly phase: 'idle' | 'subscribing' | 'subscribed' | 'waiting';
  readonly framework_id: string | undefined;
  /** Subscriptions that failed in a row. */
  readonly failures: number;
  readonly doubts: Book<TaskId, Doubt>;
  /** Rounds of RECONCILE begun for the present doubts. */
  readonly asked: number;
  readonly round: Round;
  /** The master has said why it will not have us, and would say it again. */
  readonly refused: boolean;
  /** Mesos has removed the framework: the next list of tasks is of those that went with it. */
  readonly losing: boolean;
  /** Agents that go into maintenance. */
  readonly notices: Notices;
};
/**
 * One round of asking about everything in doubt, a batch at a time: Mesos's answers come at once and by the thousand, and
 * a leader that takes over has more to do than to hear them. Changed in place, as the doubts are.
 */
type Round = {
  queue: readonly Doubt[];
  /** How many of the queue have had their turn. */
  turns: number;
  /** Of the last batch, those without an answer. */
  unanswered: number;
};
export type FrameworkLimits = {
  readonly resubscribe_ms: number;
  readonly resubscribe_ms_max: number;
  readonly reconcile_ms: number;
  readonly reconcile_ms_max: number;
  /** Between two rounds over everything that Mesos should know of. */
  readonly reconcile_interval_ms: number;
  /** Tasks per RECONCILE. */
  readonly reconcile_batch_max: number;
  /** What to do when Mesos has removed the framework: end, or be another one. */
  readonly removed: 'stop' | 'register-anew';
};

export const newFramework = (framework_id: string | undefined): FrameworkState => ({
  phase: 'idle',
  framework_id,
  failures: 0,
  doubts: new Book(),
  asked: 0,
  round: { queue: [], turns: 0, unanswered: 0 },
  refused: false,
  losing: false,
  notices: new Map(),
});

export const framework =
  (limits: FrameworkLimits) =>
  (state: FrameworkState, message: FrameworkMessage, now: number): Step<FrameworkState, Effect> => {
    switch (message.type) {
      case 'begin':
        return step(
          { ...state, phase: 'subscribing' },
          { type: 'subscribe', framework_id: state.framework_id },
          arm('round', now + limits.reconcile_interval_ms),
        );

      case 'events': {
        let next = state;
        const effects: Effect[] = [];
        // One mail per kind and batch: offers by the thousand arrive together and are matched together.
        for (const event of message.events) {
          // By far the most frequent, and its standing changes nothing but a doubt.
          if (event.type === 'UPDATE') {
            effects.push(routed(next, event.update.status));
            continue;
          }
          const one = heard(next, event, now, limits);
          next = one.state;
          effects.push(...one.effects);
        }
        if (next.round.unanswered <= 0) effects.push(...askOn(next, now, limits));
        return stepWith(next, effects);
      }

      case 'ended':
        return ended(state, message.end, message.random, now, limits);

      case 'master-found':
        return state.phase === 'waiting' ? subscribe(state) : step(state);

      case 'doubt':
        return state.losing ? lost(state, message.doubt) : doubt(state, message.doubt, now, limits);

      case 'unrouted':
        return stepWith(
          state,
          message.unrouted.flatMap((status): Effect[] => {
            const { kind } = conclude(status);
            const effects: Effect[] = [];
            if (status.uuid !== undefined && status.agent_id !== undefined)
              effects.push(
                call({
                  type: 'ACKNOWLEDGE',
                  acknowledge: { agent_id: status.agent_id, task_id: status.task_id, uuid: status.uuid },
                }),
              );
            // Unknown to us: of a deleted job, or of a run that is over. Whatever it is, nobody waits for it.
            if (kind === 'starting' || kind === 'running')
              effects.push(
                call({
                  type: 'KILL',
                  kill: {
                    task_id: status.task_id,
                    ...(status.agent_id === undefined ? {} : { agent_id: status.agent_id }),
                  },
                }),
                log(
                  'warn',
                  { task: status.task_id.value, state: status.state },
                  'Mesos runs a task that we do not know: killing it',
                ),
              );
            return effects;
          }),
        );

      case 'residents':
        return stepWith(state, asked(state.notices, message.residents, now));

      case 'due':
        switch (message.what) {
          case 'notices': {
            const looked = lookRound(state.notices, now);
            return stepWith({ ...state, notices: looked.state }, looked.effects);
          }
          case 'subscribe':
            return state.phase === 'waiting' ? subscribe(state) : step(state);
          case 'doubts':
            return ask(state, now, limits);
          case 'batch':
            return stepWith(state, askOn(state, now, limits));
          case 'sweep':
            return sweep(state, now, limits);
          case 'round':
            return step(
              state,
              { type: 'gather-tasks', settled_before: now - limits.reconcile_interval_ms },
              arm('round', now + limits.reconcile_interval_ms),
            );
        }
        throw new Error(
          `invalid due "${message.what}" of the framework: expected subscribe, doubts, batch, sweep, round or notices`,
        );
    }
  };

/** An update goes to its instance, and settles whatever doubt there was about its task. */
function routed(state: FrameworkState, status: TaskStatus): Effect {
  const id = status.task_id.value;
  if (state.doubts.size > 0 && state.doubts.delete(id)) state.round.unanswered--;
  return { type: 'route', key: parseTaskId(id)?.instance, message: { type: 'updated', status } };
}

/** One event of the master. */
function heard(
  state: FrameworkState,
  event: Event,
  now: number,
  limits: FrameworkLimits,
): Step<FrameworkState, Effect> {
  switch (event.type) {
    case 'SUBSCRIBED': {
      const framework_id = event.subscribed.framework_id.value;
      const stored: Effect[] =
        framework_id === state.framework_id ? [] : [record('framework', 'id', { framework_id, stored_at: now })];
      const strange: Effect[] =
        stored.length === 0 || state.framework_id === undefined
          ? []
          : [log('error', { framework: framework_id, was: state.framework_id }, 'Mesos gave us another framework id')];
      return step(
        // Whoever leads now gives notice anew.
        { ...state, phase: 'subscribed', framework_id, failures: 0, refused: false, notices: new Map() },
        ...stored,
        ...strange,
        tell({ to: 'offers', message: { type: 'subscribed', framework_id } }),
        { type: 'gather-tasks', settled_before: undefined },
        // Not at once: agents that were away with the master come back one by one.
        arm('sweep', now + limits.reconcile_ms_max),
        count('horae_mesos_subscribed', undefined, 1),
        log(
          'info',
          {
            framework: framework_id,
            master: event.subscribed.master_info?.hostname,
            version: event.subscribed.master_info?.version,
          },
          'subscribed to Mesos',
        ),
      );
    }
    case 'OFFERS':
      return step(state, tell({ to: 'offers', message: { type: 'offered', offered: event.offers.offers } }));
    case 'RESCIND':
      return step(
        state,
        tell({ to: 'offers', message: { type: 'rescinded', rescinded: [event.rescind.offer_id.value] } }),
      );
    case 'UPDATE':
      return step(state, routed(state, event.update.status));
    case 'UPDATE_OPERATION_STATUS': {
      // We reserve nothing and make no volumes, so it is of somebody who had our id before: heard, that it may rest.
      const { status } = event.update_operation_status;
      const acknowledged = acknowledgeOperationCall(status);
      return step(
        state,
        ...(acknowledged === undefined ? [] : [call(acknowledged)]),
        log('warn', { operation: status.operation_id?.value, state: status.state }, 'Mesos tells of an operation'),
      );
    }
    case 'INVERSE_OFFERS': {
      const heard = noticed(state.notices, event.inverse_offers.inverse_offers, now);
      return stepWith({ ...state, notices: heard.state }, heard.effects);
    }
    case 'RESCIND_INVERSE_OFFER':
      return step({
        ...state,
        notices: withdrawn(state.notices, event.rescind_inverse_offer.inverse_offer_id.value),
      });
    case 'ERROR':
      return refusedBy(state, event.error.message, limits);
    case 'FAILURE': {
      const { agent_id, executor_id, status } = event.failure;
      // The default executor ends after its tasks, with 0: nothing that anybody would want to read.
      const ordinary = executor_id !== undefined && (status ?? 0) === 0;
      return step(
        state,
        log(
          ordinary ? 'debug' : 'info',
          { agent: agent_id?.value, executor: executor_id?.value, status },
          'Mesos reports an agent or executor gone',
        ),
      );
    }
    default:
      return step(state);
  }
}

/** The master's last words on a subscription. */
function refusedBy(state: FrameworkState, words: string, limits: FrameworkLimits): Step<FrameworkState, Effect> {
  const giveUp = (reason: string) =>
    step<FrameworkState, Effect>({ ...state, phase: 'idle' }, { type: 'give-up', reason });
  // To subscribe again would throw the other one out, who would throw us out: who leads is not for Mesos to settle.
  if (/framework failed over/i.test(words))
    return giveUp(
      `Mesos ended our subscription: ${words}: another scheduler has subscribed as framework ${state.framework_id}`,
    );
  // Its exact words: a role that was removed must not cost us our tasks.
  if (/framework has been removed/i.test(words)) {
    if (limits.removed === 'stop')
      return giveUp(
        `Mesos has removed our framework ${state.framework_id} and killed its tasks: ${words}. ` +
          'With --framework-removed register-anew they are counted as lost, and we begin again as another framework',
      );
    return step(
      { ...state, framework_id: undefined, losing: true },
      log(
        'error',
        { framework: state.framework_id, words },
        'Mesos has removed our framework and killed its tasks: they are lost, and we register as a new framework',
      ),
      record('framework', 'id', undefined),
      { type: 'gather-tasks', settled_before: undefined },
    );
  }
  return step(
    { ...state, refused: true },
    log('error', { framework: state.framework_id, words }, `Mesos will not have us as we are: ${words}`),
  );
}

/** Everything that we had with Mesos went with the framework. Each instance goes on as its policy says. */
function lost(state: FrameworkState, doubts: readonly Doubt[]): Step<FrameworkState, Effect> {
  state.doubts.clear();
  const effects = doubts.map(({ task_id, agent_id }) =>
    routed(state, {
      task_id: { value: task_id },
      state: 'TASK_GONE',
      source: 'SOURCE_MASTER',
      reason: 'REASON_FRAMEWORK_REMOVED',
      message: 'Mesos has removed the framework, and killed its tasks',
      ...(agent_id === undefined ? {} : { agent_id: { value: agent_id } }),
    }),
  );
  return stepWith({ ...state, losing: false }, [
    ...effects,
    log('error', aboutTasks(doubts.map(one => one.task_id)), 'tasks lost with the framework that Mesos removed'),
  ]);
}

const subscribe = (state: FrameworkState): Step<FrameworkState, Effect> =>
  step({ ...state, phase: 'subscribing' }, { type: 'subscribe', framework_id: state.framework_id });

function ended(
  state: FrameworkState,
  end: LinkEnd,
  random: number,
  now: number,
  limits: FrameworkLimits,
): Step<FrameworkState, Effect> {
  // We have given up already, and were told so that nobody waits for us.
  if (state.phase === 'idle') return step(state);
  const failures = state.phase === 'subscribed' ? 0 : state.failures + 1;
  const firm = state.refused || (end.why === 'refused' && isFirm(end.status));
  const ceiling = firm
    ? limits.resubscribe_ms_max
    : Math.min(limits.resubscribe_ms_max, limits.resubscribe_ms * 2 ** Math.min(20, failures));
  // Full jitter: a hundred schedulers that lose one master must not come back in one instant.
  const delay_ms = Math.round(ceiling * (0.1 + 0.9 * random));
  const expected = end.why === 'refused' ? adviceOn(end.status) : undefined;
  return step(
    { ...state, phase: 'waiting', failures, refused: false },
    tell({ to: 'offers', message: { type: 'disconnected' } }),
    arm('subscribe', now + delay_ms),
    count('horae_mesos_subscribed', undefined, 0),
    count('horae_resubscriptions_total'),
    log(
      firm ? 'error' : 'warn',
      { why: end.why, status: end.status, delay_ms, ...(expected === undefined ? {} : { expected }) },
      firm ? `Mesos does not take us: ${end.message}` : `the subscription to Mesos ended: ${end.message}`,
    ),
  );
}

function doubt(
  state: FrameworkState,
  doubts: readonly Doubt[],
  now: number,
  limits: FrameworkLimits,
): Step<FrameworkState, Effect> {
  if (doubts.length === 0) return step(state);
  for (const one of doubts) state.doubts.set(one.task_id, one);
  return ask({ ...state, asked: 0 }, now, limits);
}

/** Begins to ask about everything that is in doubt, and will ask again. */
function ask(state: FrameworkState, now: number, limits: FrameworkLimits): Step<FrameworkState, Effect> {
  if (state.doubts.size === 0) return step(state);
  const pause_ms = Math.min(limits.reconcile_ms_max, limits.reconcile_ms * 2 ** Math.min(20, state.asked));
  const again = arm('doubts', now + pause_ms);
  if (state.phase !== 'subscribed') return step(state, again);
  state.round.queue = [...state.doubts.values()];
  state.round.turns = 0;
  return stepWith({ ...state, asked: state.asked + 1 }, [
    ...askOn(state, now, limits),
    count('horae_reconciliations_total'),
    again,
  ]);
}

/** The next batch of a round: when the last one is answered, or some time has passed in which it was not. */
function askOn({ phase, doubts, round }: FrameworkState, now: number, limits: FrameworkLimits): readonly Effect[] {
  const tasks = [];
  while (round.turns < round.queue.length && tasks.length < limits.reconcile_batch_max) {
    const { task_id, agent_id } = round.queue[round.turns++]!;
    if (!doubts.has(task_id)) continue;
    tasks.push({
      task_id: { value: task_id },
      ...(agent_id === undefined ? {} : { agent_id: { value: agent_id } }),
    });
  }
  const more = round.turns < round.queue.length;
  if (!more) round.queue = [];
  if (!more) round.turns = 0;
  if (phase !== 'subscribed' || tasks.length === 0) return [];
  round.unanswered = tasks.length;
  return [
    call({ type: 'RECONCILE', reconcile: { tasks } }),
    ...(more ? [arm('batch', now + limits.reconcile_ms)] : []),
  ];
}

/**
 * Asks for every task that Mesos has of ours: one that we do not know of would never be asked about by name. The answers
 * come as updates, and what nobody knows is ended.
 */
function sweep(state: FrameworkState, now: number, limits: FrameworkLimits): Step<FrameworkState, Effect> {
  if (state.phase !== 'subscribed') return step(state); // The next subscription arms it.
  return step(
    state,
    call({ type: 'RECONCILE', reconcile: { tasks: [] } }),
    count('horae_reconciliations_total'),
    arm('sweep', now + rounds_per_sweep * limits.reconcile_interval_ms),
  );
}
/** Asking for everything is answered with everything: rarer than asking by name. */
const rounds_per_sweep = 4;

const arm = (what: string, at: number): Effect =>
  tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'framework', key: what, at }] } });
