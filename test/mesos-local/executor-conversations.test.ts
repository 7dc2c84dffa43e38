// executor-conversations.test.ts: conversations between a real agent and its executors, held again with ours.
//
// Compared are every answer, every event of every executor's stream in its order, and everything the scheduler heard of
// every task. What may differ is masked here and nowhere else: ids (put back), instants, ports, process ids, what the agent
// has, and how one kind of update ran ahead of another when two connections raced.

import test from 'ava';
import type { Json } from './support/client.ts';
import { type Heard, type PlayOptions, play } from './support/executor-play.ts';

type Options = PlayOptions & {
  /** Executors that end without listening: which acknowledgement still reached them is chance. */
  readonly hasty?: true;
  /** Tasks of calls that are skipped. */
  readonly tasks?: readonly string[];
};

const conversations: readonly [name: string, options?: Options][] = [
  ['ex-02-life-of-an-executor'],
  ['ex-03-launch-group-custom-executor'],
  ['ex-04-kill-variants'],
  ['ex-05-shutdown-obeyed-ignored'],
  ['ex-06-exit-without-terminal-update', { hasty: true }],
  ['ex-07-never-subscribes', { settings: { registration_timeout_ms: 5_000 } }],
  ['ex-08-agent-restart-checkpoint'],
  ['ex-08b-agent-restart-no-unacked-lists'],
  ['ex-08c-executor-does-not-reconnect', { settings: { reregistration_timeout_ms: 3_000 } }],
  ['ex-08d-recovery-timeout-exceeded', { settings: { recovery_timeout_ms: 5_000 } }],
  ['ex-08e-updates-while-the-agent-recovers'],
  ['ex-09-agent-restart-no-checkpoint'],
  ['ex-10-resubscribe-while-agent-lives'],
  ['ex-11-not-acknowledged'],
  ['ex-12-http-errors'],
  // Nobody but executors is known at this door, so nobody else's name is either.
  ['ex-13-executor-authentication', { settings: { authentication: true }, skip: /basic-instead/ }],
  ['ex-14-update-fields', { skip: /^GET/ }],
  ['ex-15-resource-accounting', { skip: /^GET/ }],
  ['ex-16-executor-info-mismatch'],
  ['ex-22-scheduler-goes-away'],
  ['ex-24-two-executors-same-id-two-agents'],
  // Limits of cpu are for agents with cgroups; ours says nothing of them.
  ['ex-29-taskinfo-passthrough', { skip: /limits/, tasks: ['p-limits'] }],
];

/** Instants, places and numbers of this machine. */
const masked: Readonly<Record<string, true>> = { port: true, executor_pid: true, agent_info: true, url: true };
const masks = (key: string, value: Json): Json => (masked[key] === true ? undefined : value);
const plain = (value: Json): Json => JSON.parse(JSON.stringify(value, masks));

/** What a stream said, but for what an agent may say at any time beside it. */
const inOrder = (events: readonly Json[]) =>
  events.filter(({ type }) => type !== 'ACKNOWLEDGED' && type !== 'HEARTBEAT').map(plain);
const acknowledgements = (events: readonly Json[]) => {
  const by_task: Record<string, string[]> = {};
  for (const { type, acknowledged } of events)
    if (type === 'ACKNOWLEDGED')
      by_task[acknowledged.task_id.value] = [...(by_task[acknowledged.task_id.value] ?? []), acknowledged.uuid];
  return by_task;
};
const withoutMakers = ({ uuid, timestamp: _, container_status, executor_id, ...status }: Json): Json => {
  // Two infos that differ are shown in full, each in its own way, below the sentence that says so.
  const message = status.message
    ?.replace(/container '[^']*'/, "container '...'")
    .replace(/(ExecutorID\.)\n[\s\S]*/, '$1');
  const said = message === undefined ? status : { ...status, message };
  // The master's own words are the business of other conversations: here it counts that they were said.
  if (status.source === 'SOURCE_MASTER') return said;
  // A uuid and an instant that the agent made up are its own.
  if (status.source === 'SOURCE_AGENT') return { ...said, executor_id };
  return { ...said, uuid, container_status, executor_id };
};

/** An update that came several times counts once; one that the agent made up has its own uuid and instant. */
function story(heard: readonly Heard[], without: ReadonlySet<string>) {
  const told: Record<string, Json[]> = {};
  const seen = new Set<string>();
  for (const { who, events } of heard)
    for (const { type, update } of events) {
      if (who !== 'scheduler' || type !== 'UPDATE' || seen.has(update.status.uuid)) continue;
      const { uuid, timestamp, ...status } = plain(update.status);
      if (uuid !== undefined) seen.add(uuid);
      const task = status.task_id.value;
      if (without.has(task)) continue;
      told[task] = [...(told[task] ?? []), withoutMakers({ ...status, uuid, timestamp })];
    }
  return told;
}
const others = (heard: readonly Heard[], wanted: string) =>
  heard
    .filter(({ who }) => who === 'scheduler')
    .flatMap(({ events }) => events)
    .filter(({ type }) => type === wanted)
    .map(({ failure, message }) => failure ?? message)
    .sort((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other)));

// One after the other: they share one thread, and none would be done before the last.
for (const [name, options] of conversations)
  test.serial(`${name}: the same is answered, told to the executors, and told to the scheduler`, async t => {
    const { answers, replies, recorded, heard } = await play(t, name, options);
    t.deepEqual(replies, answers);
    for (const their of recorded) {
      if (their.who === 'scheduler') continue;
      const our = heard.find(({ who, stream }) => who === their.who && stream === their.stream);
      t.deepEqual(inOrder(our?.events ?? []), inOrder(their.events), `${their.who} ${their.stream}`);
      if (options?.hasty !== true)
        t.deepEqual(
          acknowledgements(our?.events ?? []),
          acknowledgements(their.events),
          `${their.who} ${their.stream}`,
        );
    }
    const without = new Set(options?.tasks);
    t.deepEqual(story(heard, without), story(recorded, without));
    for (const type of ['FAILURE', 'MESSAGE']) t.deepEqual(others(heard, type), others(recorded, type), type);
  });
