// recordings.test.ts: conversations with a real master, held again with ours.
//
// Every call of a recording is made again over HTTP, at its second of a simulated clock and as soon as what it speaks of is
// there. Then the answers are compared, and what was said of every task. Only this differs and is put back before comparing:
// the ids of framework, agents, offers and updates, instants, and the container that Mesos had and we have not.

import test from 'ava';
import { hostMaster } from '../../mesos/local/host.ts';
import { listen, serveMaster } from '../../mesos/local/server.ts';
import { type Life, lifeOfCommand, simulatedFleet } from '../../mesos/local/simulated-agent.ts';
import type { TaskInfo } from '../../mesos/protocol.ts';
import { simulatedClock } from '../../schedules/clock.ts';
import { type Json, post, subscribe } from './support/client.ts';
import { silent } from './support/machine.ts';
import { type RecordedCall, readRecording } from './support/recording.ts';

const step_ms = 100;
/** Beyond this nothing was waited for in any recording. */
const patience_ms = 30_000;

/** Ports tell the two recorded agents apart. */
const ports = [
  [31000, 31499],
  [31500, 32000],
] as const;

/** Lives that are not to be read from the command: a server that runs until it is killed, a binary that is not there. */
const lives: Readonly<Record<string, Partial<Life>>> = { 'lg-b': { duration_ms: 1e9 }, 'i-bin': { exit: { code: 1 } } };
const life = (task: TaskInfo): Life => ({ ...lifeOfCommand(task), start_delay_ms: 250, ...lives[task.task_id.value] });

async function machinery(at_ms: number) {
  const clock = simulatedClock(at_ms);
  const host = hostMaster(clock, { ids_prefix: 'ours', allocation_interval_ms: 1000 });
  const fleet = simulatedFleet(host, clock, work => setImmediate(work), {
    agents: 2,
    ids_prefix: 'ours',
    hostname: () => '127.0.0.1',
    resources: index => [
      { name: 'ports', type: 'RANGES', ranges: { range: [{ begin: ports[index]![0], end: ports[index]![1] }] } },
      { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 4096 } },
      { name: 'disk', type: 'SCALAR', scalar: { value: 10_000 } },
    ],
    life,
  });
  const server = serveMaster(await listen(), { host, log: silent });
  const target = { url: server.url, credentials: undefined };
  return {
    target,
    /** Lets a little time pass, and what comes of it arrive: an answer to a question comes after what was said before. */
    async tick(ms: number) {
      clock.advanceTo(clock.now() + ms);
      for (let round = 0; round < 3; round++) await post(target, '', {}, { method: 'GET', path: '/health' });
    },
    now: () => clock.now(),
    async close() {
      fleet.close();
      host.close();
      await server.close();
    },
  };
}

const offersIn = (events: readonly Json[]): Json[] => events.flatMap(event => event.offers?.offers ?? []);
const statusesIn = (events: readonly Json[]): Json[] =>
  events.filter(({ type }) => type === 'UPDATE').map(({ update }) => update.status);
const isCheck = (status: Json) => /CHECK_STATUS_UPDATED$/.test(status.reason ?? '');
const cpusOf = (offer: Json) => offer.resources.find(({ name }: Json) => name === 'cpus')?.scalar.value ?? 0;
const firstPort = (offer: Json) => offer.resources.find(({ name }: Json) => name === 'ports')?.ranges.range[0].begin;

/** What was said of each task, in order; an update that came several times counts once. */
function story(events: readonly Json[], skip: ReadonlySet<string>): Record<string, Json[]> {
  const told: Record<string, Json[]> = {};
  const seen = new Set<string>();
  for (const status of statusesIn(events)) {
    const { task_id, state, source, reason, message, uuid, agent_id, executor_id } = status;
    if (isCheck(status) || skip.has(task_id.value) || seen.has(uuid)) continue;
    if (uuid !== undefined) seen.add(uuid);
    told[task_id.value] ??= [];
    told[task_id.value]!.push({
      state,
      source,
      reason,
      message,
      agent: agent_id?.value,
      executor: executor_id?.value,
      uuid: uuid !== undefined,
    });
  }
  return told;
}

const held: readonly [name: string, skip?: { calls?: RegExp; tasks?: readonly string[] }][] = [
  ['02-launch-finished'],
  ['03-launch-failed-exit3'],
  ['04-no-ack-retries'],
  ['05-kill'],
  // Operations on reservations and volumes are not ours.
  ['07-reconcile', { calls: /RECONCILE_OPERATIONS/ }],
  // A simulated agent knows no users.
  ['09-launch-invalid', { calls: /missing-user|i-user/, tasks: ['i-user'] }],
  ['10-suppress-revive'],
  ['15-launch-group-health'],
];

for (const [name, skip] of held)
  test(`${name}: the same calls get the same answers, and the same is said of every task`, async t => {
    const recording = readRecording(name);
    const { target, tick, now, close } = await machinery(recording.at_ms);
    t.teardown(close);
    const scheduler = await subscribe(target);
    scheduler.keepQuiet();
    const within = async (what: string, done: () => boolean) => {
      for (const start = now(); !done(); await tick(step_ms))
        if (now() - start > patience_ms) throw new Error(`waited ${patience_ms} ms of ${name} in vain for ${what}`);
    };
    await within('the first offers', () => offersIn(scheduler.events).length === 2);

    // Ids: theirs -> ours.
    const theirs = { framework: recording.events[0].subscribed.framework_id.value };
    const ids = new Map<string, string>([[theirs.framework, scheduler.framework_id().value]]);
    for (const offer of offersIn(recording.events).slice(0, 2))
      ids.set(offer.agent_id.value, `ours-S${ports.findIndex(([begin]) => begin === firstPort(offer))}`);
    const spent = new Set<string>();
    const uuids = (events: readonly Json[], task: string) => [
      ...new Set(
        statusesIn(events)
          .filter(status => status.task_id.value === task && status.uuid !== undefined && !isCheck(status))
          .map(({ uuid }) => uuid),
      ),
    ];

    const translate = async (call: RecordedCall): Promise<Json> => {
      const { body } = call;
      for (const { value } of body.accept?.offer_ids ?? body.decline?.offer_ids ?? []) {
        const offer = offersIn(recording.events).find(({ id }) => id.value === value);
        if (offer === undefined || ids.has(value)) continue; // Nobody's, or spent before.
        const agent = ids.get(offer.agent_id.value);
        const ours = () =>
          offersIn(scheduler.events).filter(({ id, agent_id }) => agent_id.value === agent && !spent.has(id.value));
        await within(`an offer of ${agent} for ${call.label}`, () =>
          ours().some(each => cpusOf(each) >= Math.min(cpusOf(offer), 3)),
        );
        const best = ours().sort((one, other) => cpusOf(other) - cpusOf(one))[0];
        spent.add(best.id.value);
        ids.set(value, best.id.value);
      }
      const uuid = body.acknowledge?.uuid;
      const task = body.acknowledge?.task_id.value;
      const place = uuid === undefined ? -1 : uuids(recording.events, task).indexOf(uuid);
      if (place >= 0) {
        await within(`update ${place} of ${task}`, () => uuids(scheduler.events, task).length > place);
        ids.set(uuid, uuids(scheduler.events, task)[place]!);
      }
      return JSON.parse(toOurs(JSON.stringify(body)));
    };
    const toOurs = (text: string) => {
      let changed = text;
      // Longer ids first: S1 stands in S10, O7 in O77.
      for (const [their, our] of [...ids].sort(([one], [other]) => other.length - one.length))
        changed = changed.replaceAll(JSON.stringify(their), JSON.stringify(our));
      return changed;
    };
    const toTheirs = (text: string) => {
      let changed = text;
      for (const [their, our] of [...ids].sort(([, one], [, other]) => other.length - one.length))
        changed = changed.replaceAll(our, their);
      return changed;
    };

    const checks = new Set(
      statusesIn(recording.events)
        .filter(isCheck)
        .map(({ uuid }) => uuid),
    );
    for (const call of recording.calls) {
      if (skip?.calls?.test(call.label) || checks.has(call.body.acknowledge?.uuid)) continue;
      while (now() + step_ms <= call.at_ms) await tick(step_ms);
      const body = await translate(call);
      const answer = await post(target, body, { 'Mesos-Stream-Id': scheduler.stream });
      t.is(answer.status, call.status, call.label);
      t.is(toTheirs(answer.text), call.text, call.label);
      await tick(0);
    }
    if (recording.calls.some(({ body }) => body.type === 'TEARDOWN'))
      await within('the end of the body', scheduler.isEnded);

    const tasks = new Set(skip?.tasks);
    const said = JSON.parse(toTheirs(JSON.stringify(story(scheduler.events, tasks))));
    t.deepEqual(said, JSON.parse(JSON.stringify(story(recording.events, tasks))));
    const failures = (events: readonly Json[]) =>
      events
        .filter(({ type }) => type === 'FAILURE')
        .map(({ failure }) => failure)
        .sort((one, other) => one.executor_id.value.localeCompare(other.executor_id.value));
    t.deepEqual(JSON.parse(toTheirs(JSON.stringify(failures(scheduler.events)))), failures(recording.events));
    if (name === '04-no-ack-retries') {
      const first = (events: readonly Json[]) =>
        statusesIn(events).filter(({ uuid }) => uuid === uuids(events, 'noack-1')[0]).length;
      t.is(first(scheduler.events), first(recording.events));
    }
  });
