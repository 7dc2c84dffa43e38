// tree.ts: the living tree of one reign: every actor, and the shell that performs what their transitions ask for.
//
// root
// |- directory, framework, offers, placement, timetable     the singletons; they handle mail, so they have no children
// |- jobs/shard-n                                           quiet parents; below them job and trigger actors
// `- instances/group-n                                      quiet parents of at most 64 instance actors
//
// A tree is planted from the records, and can be felled and planted again: that is what a crashed singleton leads to.

import type { Call, CallAnswer, LinkEnd, MesosLink, Subscribe } from '../mesos/protocol.ts';
import type { WhyNot } from '../mesos/why-not.ts';
import type { Clock, Wake } from '../schedules/clock.ts';
import type { Change } from '../transport/journal/journal.ts';
import type { Address, Runtime } from './actor.ts';
import { restored } from './births.ts';
import { type DirectoryLimits, directory, newDirectory } from './directory.ts';
import type { Effect, JobBirth, Mail } from './effects.ts';
import { type FrameworkLimits, framework, newFramework } from './framework.ts';
import { type InstanceMessage, type InstanceSettings, type InstanceState, instance } from './instance.ts';
import { job, newJob } from './job.ts';
import type { Answer, CommandEnvelope } from './model/commands.ts';
import { type InstanceKey, type JobKey, taskId } from './model/ids.ts';
import { refusal } from './model/reasons.ts';
import type { FrameworkRecord, IncarnationsRecord, InstanceRecord, JobRecord } from './model/records.ts';
import { newOffers, type OffersLimits, offers } from './offers.ts';
import type { Outbox, OutwardEffect } from './outbox.ts';
import { newPlacement, type PlacementLimits, placement, type Wanted } from './placement.ts';
import { createPost, type Singleton } from './post.ts';
import type { Step } from './step.ts';
import { addCrash, type RestartLimit } from './supervision.ts';
import { newTimetable, type TimetableLimits, timetable } from './timetable.ts';
import { newTrigger, type TriggerSettings, trigger } from './trigger.ts';

export type TreeSettings = {
  readonly directory: DirectoryLimits;
  readonly framework: FrameworkLimits;
  readonly offers: OffersLimits;
  readonly placement: PlacementLimits;
  readonly timetable: TimetableLimits;
  readonly trigger: TriggerSettings;
  readonly instance: InstanceSettings;
  /** Crashes of one job, trigger or instance after which it is put aside. */
  readonly entity_crashes: RestartLimit;
  /** What we tell Mesos of ourselves. The id is added from the record. */
  readonly subscribe: (framework_id: string | undefined) => Subscribe;
};

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  fields: Readonly<Record<string, unknown>>,
  message: string,
) => void;

export type World = {
  readonly runtime: Runtime;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: () => number;
  readonly link: MesosLink;
  readonly log: Log;
  readonly count: (name: string, labels: Readonly<Record<string, string>> | undefined, value: number) => void;
  readonly settings: TreeSettings;
  /** Answers to commands, by request id. */
  readonly answered: (request_id: string, answer: Answer) => void;
  /** A singleton has crashed: this tree is no longer to be trusted. */
  readonly crashed: (who: string, error: unknown) => void;
  readonly giveUp: (reason: string) => void;
};

export interface Tree {
  command(envelope: CommandEnvelope): void;
  /** Who waits for a place, and why, as placement last saw it. Read in place. */
  pending(): { readonly waiting: ReadonlyMap<InstanceKey, Wanted>; readonly why: ReadonlyMap<string, WhyNot> };
  nextAt(key: JobKey): number | undefined;
  /** Entities that were put aside: path -> why. */
  readonly quarantined: ReadonlyMap<string, string>;
  counts(): {
    readonly actors: number;
    readonly jobs: number;
    readonly triggers: number;
    readonly instances: number;
    readonly armed: number;
  };
  /** Ends every actor at once. Records and tasks stay. */
  fell(): void;
}

/** Instances per quiet group, jobs per shard: what design measured to be cheap for nact. */
const group_size = 64;
const shard_count = 64;

/** Stands in for the state of an entity that was put aside. */
class Quarantined {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

type Definition<S, M> = {
  readonly initial: () => S;
  readonly transition: (state: S, message: M, now: number) => Step<S, Effect>;
  /** What becomes of mail to an entity that was put aside; undefined: a singleton, whose crash ends the tree. */
  readonly aside?: (message: M, reason: string) => readonly Effect[];
};

export function plant(world: World): Tree {
  const { runtime, outbox, clock, settings } = world;
  const post = createPost(runtime);
  const quarantined = new Map<string, string>();
  const crashes = new Map<string, readonly number[]>();
  const next_at = new Map<JobKey, number>();
  let pending: { waiting: ReadonlyMap<InstanceKey, Wanted>; why: ReadonlyMap<string, WhyNot> } = {
    waiting: new Map(),
    why: new Map(),
  };
  let wake: Wake | undefined;
  let alive = true;

  /** The handler around every transition: performs its effects, and knows what a crash means. */
  const start = <S, M>(
    parent: Address<never> | undefined,
    name: string,
    who: string,
    definition: Definition<S, M>,
  ): Address<M> => {
    const { transition, aside } = definition;
    return runtime.spawn<S | Quarantined, M>(parent, name, {
      initial: () => {
        const reason = quarantined.get(who);
        return reason === undefined ? definition.initial() : new Quarantined(reason);
      },
      receive(state, message) {
        if (state instanceof Quarantined) {
          perform(aside?.(message, state.reason) ?? []);
          return state;
        }
        const next = transition(state, message, clock.now());
        perform(next.effects);
        return next.state;
      },
      crashed(error, message) {
        const kind = (message as { type?: string } | undefined)?.type;
        world.count('horae_actor_crashes_total', { actor: who.split(' ')[0]! }, 1);
        world.log(
          'error',
          { actor: who, message: kind, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
          'an actor crashed',
        );
        if (aside === undefined) {
          world.crashed(who, error);
          return 'stop';
        }
        const { crashes: recent, exceeded } = addCrash(crashes.get(who) ?? [], clock.now(), settings.entity_crashes);
        crashes.set(who, recent);
        if (exceeded || message === undefined) quarantine(who, error);
        return 'reset';
      },
    });
  };

  const quarantine = (who: string, error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    quarantined.set(who, reason);
    world.log('error', { actor: who, reason }, 'put aside: it crashed again; the others go on');
  };

  /** Records and outward effects into the outbox, as one piece; then everything that concerns this process alone. */
  const perform = (effects: readonly Effect[]): void => {
    const items: (Change | OutwardEffect)[] = [];
    for (const effect of effects) {
      const item = leaving(effect);
      if (item !== undefined) items.push(item);
    }
    if (items.length > 0) outbox.emit(items);
    for (const effect of effects) within(effect);
  };

  const leaving = (effect: Effect): Change | OutwardEffect | undefined => {
    switch (effect.type) {
      case 'record':
        return effect;
      case 'call':
        return () => send(effect.call, effect.tag);
      case 'subscribe':
        return () => subscribe(effect.framework_id);
      case 'reply':
        return () => world.answered(effect.request_id, effect.answer);
      default:
        return undefined;
    }
  };

  const within = (effect: Effect): void => {
    switch (effect.type) {
      case 'tell':
        tell(effect);
        return;
      case 'route':
        if (effect.key === undefined || !post.send({ to: 'instance', key: effect.key, message: effect.message }))
          post.send({ to: 'framework', message: { type: 'unrouted', unrouted: [effect.message.status] } });
        return;
      case 'spawn-job':
        spawnJob(effect.birth);
        return;
      case 'spawn-trigger':
        spawnTrigger(effect);
        return;
      case 'spawn-instance':
        spawnInstance(effect.state);
        return;
      case 'stop-instance':
        stopInstance(effect.key);
        return;
      case 'stop-job':
        stopJob(effect.key);
        return;
      case 'wake':
        wake?.cancel();
        wake =
          effect.at === undefined
            ? undefined
            : clock.wakeAt(effect.at, () => alive && post.send({ to: 'timetable', message: { type: 'woke' } }));
        return;
      case 'gather-tasks':
        gather(effect.settled_before);
        return;
      case 'note-pending':
        pending = { waiting: effect.waiting, why: effect.why };
        return;
      case 'count':
        world.count(effect.name, effect.labels, effect.value);
        return;
      case 'log':
        world.log(effect.level, effect.fields, effect.message);
        return;
      case 'give-up':
        world.giveUp(effect.reason);
        return;
      default:
        return;
    }
  };

  const tell = (mail: Mail): void => {
    // The views show when a job is due next; the timetable itself is nobody's to read.
    if (mail.to === 'timetable' && mail.message.type === 'armed')
      for (const one of mail.message.armed) if (one.to === 'trigger') next_at.set(one.key, one.at);
    if (mail.to === 'timetable' && mail.message.type === 'disarmed')
      for (const one of mail.message.disarmed) if (one.to === 'trigger') next_at.delete(one.key);
    if (mail.to === 'trigger' && mail.message.type === 'due') next_at.delete(mail.key);
    post.send(mail);
  };

  // --- the world outside ---------------------------------------------------------------------------------------

  const send = (call: Call, tag: string | undefined): void => {
    if (!alive) return;
    const done = (answer: CallAnswer) => {
      world.count('horae_calls_total', { type: call.type, answer: answer.type }, 1);
      if (answer.type === 'refused')
        world.log('warn', { call: call.type, status: answer.status, message: answer.message }, 'Mesos refused a call');
      if (alive && tag !== undefined) post.send({ to: 'offers', message: { type: 'sent', sent: [{ tag, answer }] } });
    };
    world.link.call(call).then(done, error => done({ type: 'unknown', message: String(error) }));
  };

  const subscribe = (framework_id: string | undefined): void => {
    if (!alive) return;
    world.link.subscribe(settings.subscribe(framework_id), {
      events: events => void (alive && post.send({ to: 'framework', message: { type: 'events', events } })),
      ended: (end: LinkEnd) =>
        void (alive && post.send({ to: 'framework', message: { type: 'ended', end, random: world.random() } })),
    });
  };

  /** Everything that is with Mesos by our records. What has just been assigned may not have left yet: asking would be too early. */
  const gather = (settled_before: number | undefined): void => {
    const doubt = [];
    for (const [key, body] of outbox.entries('instance')) {
      const at = body as InstanceRecord;
      if (at.status === 'pending' || at.status === 'over') continue;
      if (settled_before !== undefined && at.since > settled_before) continue;
      doubt.push({ task_id: taskId(key, at.attempt), agent_id: at.agent_id });
    }
    post.send({ to: 'framework', message: { type: 'doubt', doubt } });
  };

  // --- births and deaths ----------------------------------------------------------------------------------------

  const root = start<undefined, never>(undefined, 'root', 'root', {
    initial: () => undefined,
    transition: state => ({ state, effects: [] }),
  });
  const quiet = (parent: Address<never>, name: string) =>
    start<undefined, never>(parent, name, name, {
      initial: () => undefined,
      transition: state => ({ state, effects: [] }),
    }) as Address<never>;
  const jobs_parent = quiet(root as Address<never>, 'jobs');
  const shards: (Address<never> | undefined)[] = Array.from({ length: shard_count });
  let turn = 0;
  const shardOf = new Map<JobKey, Address<never>>();
  const instances_parent = quiet(root as Address<never>, 'instances');
  const groups: { readonly address: Address<never>; free: number }[] = [];
  const roomy: number[] = [];
  const groupOf = new Map<InstanceKey, number>();

  const spawnJob = (birth: JobBirth): void => {
    const { key } = birth;
    const slot = turn++ % shard_count;
    shards[slot] ??= quiet(jobs_parent, `shard-${slot}`);
    const shard = shards[slot];
    shardOf.set(key, shard);
    let first: JobBirth | undefined = birth;
    const address = start(shard, `job,${key.replaceAll('/', ',')}`, `job ${key}`, {
      initial: () => {
        const given = first ?? rebirth(key);
        first = undefined;
        return newJob(given);
      },
      transition: job,
      aside: (message, reason) =>
        message.type === 'command'
          ? [
              {
                type: 'reply',
                request_id: message.envelope.request_id,
                answer: refusal('quarantined', `job ${key} was put aside after it crashed: ${reason}`),
              },
            ]
          : [],
    });
    post.jobs.set(key, address as Address<never>);
    runtime.send(address, { type: 'begin', birth });
  };
  const rebirth = (key: JobKey): JobBirth => {
    const birth = restored(outbox, key)[0];
    if (birth === undefined) throw new Error(`job ${key} has no record: expected one for every living job`);
    return birth;
  };

  const spawnTrigger = ({ key, record, trigger: kept, active }: Extract<Effect, { type: 'spawn-trigger' }>): void => {
    let first = true;
    const address = start(shardOf.get(key), `trigger,${key.replaceAll('/', ',')}`, `trigger ${key}`, {
      initial: () => {
        if (first) {
          first = false;
          return newTrigger(key, record, kept, active, settings.trigger);
        }
        const birth = rebirth(key);
        return newTrigger(
          key,
          birth.record,
          birth.trigger,
          birth.runs.map(one => one.record.run),
          settings.trigger,
        );
      },
      transition: trigger(settings.trigger),
      aside: (message, reason) =>
        message.type === 'start'
          ? [
              {
                type: 'reply',
                request_id: message.envelope.request_id,
                answer: refusal('quarantined', `the trigger of ${key} was put aside after it crashed: ${reason}`),
              },
            ]
          : [],
    });
    post.triggers.set(key, address as Address<never>);
    runtime.send(address, { type: 'begin' });
  };

  const spawnInstance = (state: InstanceState): void => {
    const { key } = state;
    if (post.instances.has(key)) return;
    let slot = roomy.at(-1);
    if (slot === undefined) {
      slot = groups.length;
      groups.push({ address: quiet(instances_parent, `group-${slot}`), free: group_size });
      roomy.push(slot);
    }
    const group = groups[slot]!;
    group.free -= 1;
    if (group.free === 0) roomy.pop();
    groupOf.set(key, slot);
    const address = start<InstanceState, InstanceMessage>(group.address, key.replaceAll('/', ','), `instance ${key}`, {
      initial: () => ({
        ...state,
        record: (outbox.latest('instance', key) as InstanceRecord | undefined) ?? state.record,
      }),
      transition: instance(settings.instance),
      aside: message => {
        // Whatever Mesos says of it is acknowledged, so that the agent is not kept waiting for one that cannot answer.
        if (message.type === 'granted')
          return [
            {
              type: 'tell',
              to: 'offers',
              message: {
                type: 'answered',
                answered: [{ group: message.granted.group, task_id: message.granted.task_id, plan: undefined }],
              },
            },
          ];
        if (message.type !== 'updated') return [];
        const { status } = message;
        if (status.uuid === undefined || status.agent_id === undefined) return [];
        return [
          {
            type: 'log',
            level: 'warn',
            fields: { task: status.task_id.value, state: status.state },
            message: 'an update for an instance that was put aside',
          },
          {
            type: 'call',
            call: {
              type: 'ACKNOWLEDGE',
              acknowledge: { agent_id: status.agent_id, task_id: status.task_id, uuid: status.uuid },
            },
          },
        ];
      },
    });
    post.instances.set(key, address as Address<never>);
    runtime.send(address, { type: 'begin' });
  };

  const stopInstance = (key: InstanceKey): void => {
    const address = post.instances.get(key);
    if (address === undefined) return;
    post.instances.delete(key);
    runtime.stop(address);
    const slot = groupOf.get(key)!;
    groupOf.delete(key);
    const group = groups[slot]!;
    if (group.free === 0) roomy.push(slot);
    group.free += 1;
  };

  const stopJob = (key: JobKey): void => {
    for (const book of [post.jobs, post.triggers]) {
      const address = book.get(key);
      if (address !== undefined) runtime.stop(address);
      book.delete(key);
    }
    shardOf.delete(key);
    next_at.delete(key);
  };

  // --- planting ---------------------------------------------------------------------------------------------------

  const single = <S, M>(name: Singleton, definition: Definition<S, M>): void => {
    post.singletons.set(name, start(root as Address<never>, name, name, definition) as Address<never>);
  };
  const framework_id = (outbox.latest('framework', 'id') as FrameworkRecord | undefined)?.framework_id;
  const last = (outbox.latest('meta', 'incarnations') as IncarnationsRecord | undefined)?.last ?? 0;
  const keys = [...outbox.entries('job')].map(
    ([key, body]) => [key, (body as JobRecord).deleting === true ? 'deleting' : 'live'] as const,
  );
  single('timetable', { initial: newTimetable, transition: timetable(settings.timetable) });
  single('placement', { initial: newPlacement, transition: placement(settings.placement) });
  single('offers', { initial: newOffers, transition: offers(settings.offers) });
  single('framework', { initial: () => newFramework(framework_id), transition: framework(settings.framework) });
  single('directory', { initial: () => newDirectory(last, keys), transition: directory(settings.directory) });
  for (const birth of restored(outbox)) spawnJob(birth);
  post.send({ to: 'framework', message: { type: 'begin' } });

  return {
    command: envelope => void post.send({ to: 'directory', message: { type: 'command', envelope } }),
    pending: () => pending,
    nextAt: key => next_at.get(key),
    quarantined,
    counts: () => ({
      actors: runtime.count(),
      jobs: post.jobs.size,
      triggers: post.triggers.size,
      instances: post.instances.size,
      armed: next_at.size,
    }),
    fell() {
      alive = false;
      wake?.cancel();
      runtime.close();
    },
  };
}
