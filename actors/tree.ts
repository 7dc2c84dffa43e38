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
import { Book } from '../schedules/book.ts';
import type { Clock, Wake } from '../schedules/clock.ts';
import type { Change } from '../transport/journal/journal.ts';
import { aboutCall } from './about.ts';
import type { Address, Runtime } from './actor.ts';
import { instanceAside, jobAside, triggerAside } from './aside.ts';
import { restored } from './births.ts';
import { newCrowd } from './crowd.ts';
import { type DirectoryLimits, directory, newDirectory } from './directory.ts';
import type { Effect, JobBirth, Mail } from './effects.ts';
import { type FrameworkLimits, framework, newFramework } from './framework/framework.ts';
import { newOffers, type OffersLimits, offers } from './framework/offers.ts';
import { inWords, newPlacement, type PlacementLimits, placement, type Wanted } from './framework/placement.ts';
import { type InstanceMessage, type InstanceSettings, type InstanceState, instance } from './instance/instance.ts';
import { type JobMessage, type JobState, job, newJob } from './job/job.ts';
import { newKin } from './job/kin.ts';
import { type Lookout, type WatchRules, watched } from './job/watch.ts';
import { nobody_listens, noticeOf } from './job/wishes.ts';
import type { Answer, CommandEnvelope } from './model/commands.ts';
import { type InstanceKey, type JobKey, type RunKey, type TokenKey, taskId } from './model/ids.ts';
import type { LetterRecord, NoticeRecord, PlaceRecord } from './model/notices.ts';
import {
  type CalendarRecord,
  type FrameworkRecord,
  firstRecord,
  type IncarnationsRecord,
  type InstanceRecord,
  type JobRecord,
  type RunRecord,
  type TallyRecord,
  type TokenRecord,
} from './model/records.ts';
import { calendarNames } from './model/schedules.ts';
import { createCouriers, type Letters } from './notices/couriers.ts';
import { noticesAside } from './notices/letter-command.ts';
import { type NoticesLimits, newNotices, notices } from './notices/notices.ts';
import type { Outbox, OutwardEffect } from './outbox.ts';
import { createPost, type Singleton } from './post.ts';
import { type Host, type Kind, type Quarantined, Shell } from './shell.ts';
import { step } from './step.ts';
import type { RestartLimit } from './supervision.ts';
import { newTimetable, type TimetableLimits, timetable } from './timetable.ts';
import {
  newTrigger,
  type Reign,
  type TriggerMessage,
  type TriggerSettings,
  type TriggerState,
  trigger,
} from './trigger/trigger.ts';
import { configOf } from './update/update-plan.ts';

export type TreeSettings = {
  readonly directory: DirectoryLimits;
  readonly framework: FrameworkLimits;
  readonly offers: OffersLimits;
  readonly placement: PlacementLimits;
  readonly timetable: TimetableLimits;
  readonly trigger: TriggerSettings;
  readonly instance: InstanceSettings;
  /** Left out: nobody is told of anything. */
  readonly notices?: NoticesSettings;
  /** Of all active runs together. */
  readonly instances_max: number;
  /** Runs of a parent that wait for those of others, where the job does not say. */
  readonly tokens_max: number;
  /** Crashes of one job, trigger or instance after which it is put aside. */
  readonly entity_crashes: RestartLimit;
  /** What we tell Mesos of ourselves. The id is added from the record. */
  readonly subscribe: (framework_id: string | undefined) => Subscribe;
};

export type NoticesSettings = NoticesLimits &
  WatchRules & { readonly log_ms_max: number; readonly delivery_ms_max: number };

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
  /** Who carries letters; nobody when left out. */
  readonly letters?: Letters | undefined;
  readonly log: Log;
  readonly count: (name: string, labels: Readonly<Record<string, string>> | undefined, value: number) => void;
  readonly settings: TreeSettings;
  /** Answers to commands, by request id. */
  readonly answered: (request_id: string, answer: Answer) => void;
  /** A singleton has crashed: this tree is no longer to be trusted. */
  readonly crashed: (who: string, error: unknown) => void;
  readonly giveUp: (reason: string) => void;
  /** When this reign began: the same for every tree that it plants. */
  readonly reign_at: number;
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

export function plant(world: World): Tree {
  const { runtime, outbox, clock, settings } = world;
  const crowd = newCrowd(settings.instances_max, outbox.entries('run') as Iterable<readonly [RunKey, RunRecord]>);
  const recorded = (key: JobKey) => outbox.latest('job', key) as JobRecord | undefined;
  const kin = newKin(
    settings.tokens_max,
    recorded,
    outbox.entries('job') as Iterable<readonly [JobKey, JobRecord]>,
    outbox.entries('token') as Iterable<readonly [TokenKey, TokenRecord]>,
  );
  const reign: Reign = {
    reign_at: world.reign_at,
    room: crowd.room,
    kin,
    calendars: names =>
      Object.fromEntries(
        names.flatMap(name => {
          const body = outbox.latest('calendar', name) as CalendarRecord | undefined;
          return body === undefined ? [] : [[name, body]];
        }),
      ),
  };
  const post = createPost(runtime);
  const quarantined = new Map<string, string>();
  const couriers = createCouriers({
    letters: world.letters,
    post,
    clock,
    log_ms_max: settings.notices?.log_ms_max ?? 0,
    delivery_ms_max: settings.notices?.delivery_ms_max ?? 0,
  });
  const next_at = new Book<JobKey, number>();
  let pending: { waiting: ReadonlyMap<InstanceKey, Wanted>; why: ReadonlyMap<string, WhyNot> } = {
    waiting: new Map(),
    why: new Map(),
  };
  let wake: Wake | undefined;
  let alive = true;

  /** Of the step that is being performed: whoever is told of it hears when its record has been handed over. */
  let noted: NoticeRecord[] = [];

  /** Records and outward effects into the outbox, as one piece; then everything that concerns this process alone. */
  const perform = (effects: readonly Effect[]): void => {
    // By index: this runs for every message of every actor, and an iterator for each would be garbage for each.
    let items: (Change | OutwardEffect)[] | undefined;
    for (let n = 0; n < effects.length; n++) {
      const item = leaving(effects[n]!);
      if (item === undefined) continue;
      if (items === undefined) items = [item];
      else items.push(item);
    }
    if (items !== undefined) outbox.emit(items);
    if (noted.length > 0) {
      post.send({ to: 'notices', message: { type: 'noted', noted } });
      noted = [];
    }
    for (let n = 0; n < effects.length; n++) within(effects[n]!);
  };

  const leaving = (effect: Effect): Change | OutwardEffect | undefined => {
    switch (effect.type) {
      case 'record':
        if (effect.kind === 'run') crowd.note(effect.key, effect.body);
        else if (effect.kind === 'job') kin.noteJob(effect.key, effect.body);
        else if (effect.kind === 'token') kin.noteToken(effect.key, effect.body);
        return effect;
      case 'call':
        return () => send(effect.call, effect.tag);
      case 'subscribe':
        return () => subscribe(effect.framework_id);
      case 'reply':
        return () => world.answered(effect.request_id, effect.answer);
      case 'notice': {
        // Nobody would take it out of the records again.
        if (quarantined.size > 0 && quarantined.has('notices')) return undefined;
        const { key, what } = effect;
        const tally = what.tally ?? (outbox.latest('tally', key) as TallyRecord | undefined);
        const body = noticeOf(key, what, tally, settings.notices ?? nobody_listens);
        if (body === undefined) return undefined;
        noted.push(body);
        return { kind: 'notice', key: body.notice.id, body };
      }
      case 'deliver':
        return () => alive && couriers.deliver(effect.letter);
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
        world.count('horae_updates_total', { state: effect.message.status.state }, 1);
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
      case 'read-logs':
        couriers.readLogs(effect.place, effect.wanted);
        return;
      case 'gather-tasks':
        gather(effect.settled_before, effect.of);
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
      if (call.type === 'DECLINE') world.count('horae_offers_declined_total', undefined, call.decline.offer_ids.length);
      if (call.type === 'ACKNOWLEDGE') world.count('horae_acknowledgements_total', undefined, 1);
      if (answer.type === 'refused')
        world.log(
          'warn',
          { call: call.type, ...aboutCall(call), status: answer.status, message: answer.message },
          'Mesos refused a call',
        );
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
      found: () => void (alive && post.send({ to: 'framework', message: { type: 'master-found' } })),
    });
  };

  /** Everything that is with Mesos by our records. What was just assigned may not have left yet: to ask would be too early. */
  const gather = (settled_before: number | undefined, of: ReadonlySet<string> | undefined): void => {
    const found = [];
    for (const [key, body] of outbox.entries('instance')) {
      const at = body as InstanceRecord;
      if (at.status === 'pending' || at.status === 'over' || at.status === 'awaiting') continue;
      if (settled_before !== undefined && at.since > settled_before) continue;
      if (of === undefined || of.has(at.agent_id))
        found.push({ task_id: taskId(key, at.attempt), agent_id: at.agent_id });
    }
    post.send({
      to: 'framework',
      message: of === undefined ? { type: 'doubt', doubt: found } : { type: 'residents', residents: found },
    });
  };

  // --- births and deaths ----------------------------------------------------------------------------------------

  const host: Host = { world, quarantined, crashes: new Map(), perform };
  const start = <S, M>(parent: Address<never> | undefined, name: string, kind: Kind<S, M>, key: string): Address<M> =>
    runtime.spawn<S | Quarantined, M>(parent, name, new Shell(host, kind, key));
  const quiet = (parent: Address<never> | undefined, name: string): Address<never> =>
    start<undefined, never>(parent, name, { name, initial: () => undefined, transition: state => step(state) }, '');

  const root = quiet(undefined, 'root');
  const jobs_parent = quiet(root, 'jobs');
  const shards: (Address<never> | undefined)[] = Array.from({ length: shard_count });
  let turn = 0;
  const shardOf = new Book<JobKey, Address<never>>();
  const instances_parent = quiet(root, 'instances');
  let group: Group | undefined;
  let group_count = 0;
  /** Names instance actors: nobody looks for them by name, and a key would have to be rewritten for each. */
  let born_count = 0;

  /** What those about to be born are born with; whoever is reborn reads the records instead. */
  const births = new Book<string, JobBirth>();
  const triggerBirths = new Book<string, TriggerBirth>();
  const instances = new Book<InstanceKey, { readonly born: InstanceState; readonly group: Group; reborn: boolean }>();
  const taken = <T>(from: Book<string, T>, key: string): T | undefined => {
    const given = from.get(key);
    from.delete(key);
    return given;
  };
  const rebirth = (key: JobKey): JobBirth => {
    const birth = restored(outbox, key)[0];
    if (birth === undefined) throw new Error(`job ${key} has no record: expected one for every living job`);
    return birth;
  };

  const { notices: rules } = settings;
  const lookout: Lookout | undefined = rules && {
    rules,
    waits(key) {
      const one = pending.waiting.get(key);
      if (one === undefined) return undefined;
      const why = pending.why.get(one.requirements.plan.group) ?? { code: 'no-offers' as const };
      return { since: one.since, why: inWords(why) };
    },
  };
  const job_kind: Kind<JobState, JobMessage> = {
    name: 'job',
    initial: key => newJob(taken(births, key) ?? rebirth(key)),
    transition(state, message, now) {
      const after = job(state, message, now, crowd.room, kin);
      return lookout === undefined ? after : watched(after, message, now, lookout);
    },
    aside: jobAside,
    again(key, message) {
      const [birth] = restored(outbox, key);
      if (birth !== undefined) post.send({ to: 'job', key, message: { type: 'begin', birth } });
      if (message.type !== 'begin') post.send({ to: 'job', key, message });
    },
  };
  const trigger_kind: Kind<TriggerState, TriggerMessage> = {
    name: 'trigger',
    initial(key) {
      const birth = taken(triggerBirths, key) ?? asTrigger(rebirth(key));
      return newTrigger(key, birth.record, birth.trigger, birth.active, settings.trigger, reign, birth.failures);
    },
    transition: trigger(settings.trigger),
    aside: triggerAside,
    again(key, message) {
      post.send({ to: 'trigger', key, message: { type: 'begin' } });
      if (message.type !== 'begin') post.send({ to: 'trigger', key, message });
    },
  };
  const live = instance(settings.instance);
  /** An instance as its records leave it. */
  const reread = (key: InstanceKey): InstanceState => {
    const born = instances.get(key)?.born;
    if (born === undefined) throw new Error(`instance ${key} has no birth: expected one for every living instance`);
    const run = outbox.latest('run', `${born.job_key}/${born.run}`) as RunRecord | undefined;
    const jobs = outbox.latest('job', born.job_key) as JobRecord | undefined;
    return {
      ...born,
      ...configOf(run, born.index, jobs ?? born),
      // One that has been born and has no record waits: what comes before it begins again must not find it new.
      record:
        (outbox.latest('instance', key) as InstanceRecord | undefined) ??
        born.record ??
        (born.job.service ? undefined : firstRecord(born.run_created_at)),
    };
  };
  const instance_kind: Kind<InstanceState, InstanceMessage> = {
    name: 'instance',
    initial(key) {
      const life = instances.get(key);
      if (life === undefined || life.reborn) return reread(key);
      life.reborn = true;
      return life.born;
    },
    transition: live,
    // A new one asks for a place at once: a letter to say so would be one for every instance.
    born: (state, now) => (state.record === undefined ? live(state, { type: 'begin' }, now) : undefined),
    aside: (message, key) => instanceAside(reread(key), message, clock.now(), settings.instance.kill_retry_ms),
    again(key, message) {
      post.send({ to: 'instance', key, message: { type: 'begin' } });
      if (message.type !== 'begin') post.send({ to: 'instance', key, message });
    },
  };

  const spawnJob = (birth: JobBirth): void => {
    const { key } = birth;
    const slot = turn++ % shard_count;
    shards[slot] ??= quiet(jobs_parent, `shard-${slot}`);
    shardOf.set(key, shards[slot]);
    births.set(key, birth);
    const address = start(shards[slot], `job,${named(key)}`, job_kind, key);
    post.jobs.set(key, address as Address<never>);
    runtime.send(address, { type: 'begin', birth });
  };

  const spawnTrigger = (birth: Extract<Effect, { type: 'spawn-trigger' }>): void => {
    const { key } = birth;
    // Of a job that crashed and began again: its trigger has lived on.
    if (post.triggers.has(key)) return;
    triggerBirths.set(key, birth);
    const address = start(shardOf.get(key), `trigger,${named(key)}`, trigger_kind, key);
    post.triggers.set(key, address as Address<never>);
    runtime.send(address, { type: 'begin' });
  };

  const spawnInstance = (state: InstanceState): void => {
    const { key } = state;
    if (post.instances.has(key)) return;
    if (group === undefined || group.born === group_size)
      group = { address: quiet(instances_parent, `group-${group_count++}`), born: 0, living: 0 };
    group.born += 1;
    group.living += 1;
    instances.set(key, { born: state, group, reborn: false });
    const address = start(group.address, `i${born_count++}`, instance_kind, key);
    post.instances.set(key, address as Address<never>);
    if (state.record !== undefined) runtime.send(address, { type: 'begin' });
  };

  const stopInstance = (key: InstanceKey): void => {
    const address = post.instances.get(key);
    if (address === undefined) return;
    const of = instances.get(key)!.group;
    post.instances.delete(key);
    instances.delete(key);
    runtime.stop(address);
    of.living -= 1;
    // A group takes nobody in the place of one who has gone: it goes with the last, and nothing old holds what is new.
    if (of.living === 0 && of.born === group_size) runtime.stop(of.address);
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

  const single = <S, M>(name: Singleton, definition: Omit<Kind<S, M>, 'name'>): void => {
    post.singletons.set(name, start(root, name, { ...definition, name }, '') as Address<never>);
  };
  const framework_id = (outbox.latest('framework', 'id') as FrameworkRecord | undefined)?.framework_id;
  const last = (outbox.latest('meta', 'incarnations') as IncarnationsRecord | undefined)?.last ?? 0;
  const keys = [...outbox.entries('job')].map(
    ([key, body]) => [key, (body as JobRecord).deleting === true ? 'deleting' : 'live'] as const,
  );
  const calendars = [...outbox.entries('calendar')].map(([name, body]) => [name, body as CalendarRecord] as const);
  const uses = [...outbox.entries('job')].flatMap(([key, body]) => {
    const names = calendarNames((body as JobRecord).job);
    return names.length === 0 ? [] : [[key, names] as const];
  });
  const timing = timetable(settings.timetable, () => outbox.waiting().changes);
  if (rules !== undefined)
    single('notices', {
      initial: () =>
        newNotices(
          outbox.entries('notice') as Iterable<readonly [string, NoticeRecord]>,
          outbox.entries('letter') as Iterable<readonly [string, LetterRecord]>,
          outbox.entries('place') as Iterable<readonly [string, PlaceRecord]>,
        ),
      transition: notices(rules),
      // Whatever is wrong with what people are told: work goes on.
      aside: noticesAside,
      again(_, message) {
        post.send({ to: 'notices', message: { type: 'begin' } });
        if (message.type === 'command') post.send({ to: 'notices', message });
      },
    });
  single('timetable', { initial: newTimetable, transition: timing });
  single('placement', { initial: newPlacement, transition: placement(settings.placement) });
  single('offers', { initial: newOffers, transition: offers(settings.offers) });
  single('framework', { initial: () => newFramework(framework_id), transition: framework(settings.framework) });
  single('directory', {
    initial: () => newDirectory(last, keys, calendars, uses),
    transition: directory(settings.directory, crowd.room, kin),
  });
  for (const birth of restored(outbox)) spawnJob(birth);
  post.send({ to: 'framework', message: { type: 'begin' } });
  if (rules !== undefined) post.send({ to: 'notices', message: { type: 'begin' } });

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
      couriers.recall();
      runtime.close();
    },
  };
}

/** nact has no `/` in names. */
const named = (key: string): string => key.replaceAll('/', ',');

/** A quiet parent of instances: how many it has ever had, and has now. */
type Group = { readonly address: Address<never>; born: number; living: number };
type TriggerBirth = Pick<Extract<Effect, { type: 'spawn-trigger' }>, 'record' | 'trigger' | 'active' | 'failures'>;
const asTrigger = ({ record, trigger: kept, runs, tally }: JobBirth): TriggerBirth => ({
  record,
  trigger: kept,
  active: runs.map(one => one.record.run),
  failures: tally?.failures_since_success ?? 0,
});
