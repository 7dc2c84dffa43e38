// conversation.ts: a recorded conversation with a real Mesos, and what it lets one know of the machines behind it.
//
// Rows in order of time: who subscribed, what was called and answered, what the stream said, what happened to the world. The
// agents of a recording are known from their offers, and how long its tasks took from the timestamps of their updates: with
// these our own agents are set up, so that the same things happen at the same second. What is then *said* is ours.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Life, lifeOfCommand } from '../../../mesos/local/simulated-agent.ts';
import type { TaskInfo } from '../../../mesos/protocol.ts';
import type { Json } from './client.ts';

export type Headers = Readonly<Record<string, string>>;
export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string };
export type Row = { readonly at_ms: number } & (
  | {
      readonly is: 'subscribe';
      readonly stream: string;
      readonly path: string;
      readonly headers: Headers;
      readonly body: Json;
    }
  | {
      readonly is: 'answer';
      readonly stream: string;
      readonly status: number;
      readonly headers: Headers;
      readonly text?: string;
    }
  | { readonly is: 'event'; readonly stream: string; readonly event: Json }
  | { readonly is: 'end' | 'hang-up' | 'broken'; readonly stream: string }
  | {
      readonly is: 'call';
      readonly label: string;
      readonly method: string;
      readonly path: string;
      readonly headers: Headers;
      readonly body: string;
      readonly answer: Answer | { readonly broken: string };
    }
  | { readonly is: 'pipelined'; readonly request: string; readonly response: string }
  | { readonly is: 'world'; readonly what: 'agent-dies' | 'master-dies' | 'executor-dies' | 'all-start' }
);
export type CallRow = Extract<Row, { is: 'call' }>;

const folder = join(import.meta.dirname, '..', '..', 'data', 'conversations');

export const conversations = (): readonly string[] =>
  readdirSync(folder)
    .filter(name => name.endsWith('.jsonl.gz'))
    .map(name => name.slice(0, -'.jsonl.gz'.length))
    .sort();

export function readConversation(name: string): readonly Row[] {
  const rows: Row[] = gunzipSync(readFileSync(join(folder, `${name}.jsonl.gz`)))
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));
  return rows
    .filter((row, index) => !isEcho(rows, index, row))
    .map(row => ({ ...row, at_ms: leftAt(rows, row) }))
    .sort((one, other) => one.at_ms - other.at_ms || Number(one.is === 'end') - Number(other.is === 'end'));
}

/** Calls are noted when they were answered. They left so long before, but not before what they speak of had come. */
const answered_within_ms = 13;
function leftAt(rows: readonly Row[], row: Row): number {
  if (row.is !== 'call') return row.at_ms;
  const stream = row.headers['mesos-stream-id'];
  const came = rows
    .filter(each => each.at_ms <= row.at_ms)
    .filter(each =>
      each.is === 'answer'
        ? stream !== undefined && each.headers['mesos-stream-id'] === stream
        : each.is === 'event' && referencesOf(each.event).some(id => row.body.includes(JSON.stringify(id))),
    );
  return Math.max(row.at_ms - answered_within_ms, ...came.map(({ at_ms }) => Math.min(at_ms + 1, row.at_ms)));
}

/** Ids that an event brings into the world, and that calls may speak of. */
export function referencesOf(event: Json): string[] {
  return [
    ...offersOf(event).map(({ id }) => id.value),
    ...(event.inverse_offers?.inverse_offers ?? []).map(({ id }: Json) => id.value),
    event.update?.status.uuid,
    event.update_operation_status?.status.uuid?.value,
  ].filter(id => id !== undefined);
}

/** After an agent or a master came back Mesos says the same update twice within milliseconds. Once is enough here. */
const echo_ms_max = 100;
function isEcho(rows: readonly Row[], index: number, row: Row): boolean {
  const uuid = row.is === 'event' ? row.event.update?.status.uuid : undefined;
  return (
    uuid !== undefined &&
    rows
      .slice(0, index)
      .some(
        earlier =>
          earlier.is === 'event' &&
          earlier.event.update?.status.uuid === uuid &&
          row.at_ms - earlier.at_ms <= echo_ms_max,
      )
  );
}

// --- who was there ------------------------------------------------------------------------------------------------

export type RecordedAgent = {
  readonly id: string;
  readonly hostname: string;
  readonly url: Json;
  readonly resources: Json[];
  readonly attributes: Json[];
};

const eventsOf = (rows: readonly Row[]): { at_ms: number; event: Json }[] =>
  rows.flatMap(row => (row.is === 'event' ? [{ at_ms: row.at_ms, event: row.event }] : []));
export const offersOf = (event: Json): Json[] => event.offers?.offers ?? [];

/** Every agent as it was first offered: nothing ran on it then. */
export function agentsOf(rows: readonly Row[]): RecordedAgent[] {
  const agents = new Map<string, RecordedAgent>();
  for (const { event } of eventsOf(rows))
    for (const { agent_id, hostname, url, resources, attributes = [] } of offersOf(event))
      if (!agents.has(agent_id.value))
        agents.set(agent_id.value, {
          id: agent_id.value,
          hostname,
          url,
          resources: resources.map(({ allocation_info: _, ...resource }: Json) => resource),
          attributes,
        });
  // The first of them is the one that was killed in the recordings in which one was: rack a.
  return [...agents.values()].sort((one, other) => rackOf(one).localeCompare(rackOf(other)));
}
const rackOf = ({ attributes }: RecordedAgent): string =>
  attributes.find(({ name }: Json) => name === 'rack')?.text.value ?? '';

/** When an agent that was away first did what only a present agent can cause. */
export function returnOf(rows: readonly Row[], agent_id: string, after_ms: number): number | undefined {
  const sign = eventsOf(rows).find(
    ({ at_ms, event }) =>
      at_ms > after_ms &&
      (offersOf(event).some(offer => offer.agent_id.value === agent_id) ||
        (event.update?.status.agent_id?.value === agent_id &&
          (event.update.status.source !== 'SOURCE_MASTER' ||
            event.update.status.reason === 'REASON_AGENT_REREGISTERED'))),
  );
  return sign === undefined ? undefined : sign.at_ms - 1;
}

// --- what its tasks did -------------------------------------------------------------------------------------------

export type TaskRow = { readonly info: TaskInfo; readonly at_ms: number };

const tasksIn = (call: Json): TaskInfo[] =>
  (call.accept?.operations ?? []).flatMap(
    (operation: Json) => operation.launch?.task_infos ?? operation.launch_group?.task_group.tasks ?? [],
  );

/** How long each task of the recording took to start, to run and to obey. How it ends stands in its command. */
export function livesOf(rows: readonly Row[]): ReadonlyMap<string, Partial<Life>> {
  const lives = new Map<string, Partial<Life>>();
  for (const row of rows) {
    if (row.is !== 'call' || row.method !== 'POST' || row.body === '') continue;
    for (const { task_id } of row.label.startsWith('ACCEPT') ? tasksIn(JSON.parse(row.body)) : []) {
      const told = eventsOf(rows)
        .map(({ at_ms, event }) => ({ at_ms, status: event.update?.status }))
        .filter(({ status }) => status?.task_id.value === task_id.value && status.source !== 'SOURCE_MASTER');
      const first = told[0];
      if (first === undefined) continue;
      const find = (state: string) => told.find(({ status }) => status.state === state)?.status;
      const length = (from: Json, to: Json) =>
        from === undefined || to === undefined ? undefined : Math.round((to.timestamp - from.timestamp) * 1000);
      const [starting, running, killing, killed] = ['STARTING', 'RUNNING', 'KILLING', 'KILLED'].map(state =>
        find(`TASK_${state}`),
      );
      const begun = starting ?? running;
      const over = find('TASK_FINISHED') ?? find('TASK_FAILED');
      const duration_ms = killing === undefined ? length(begun, over) : undefined;
      const term_ms = /Terminated/.test(killed?.message ?? '') ? length(killing, killed) : undefined;
      const after = (status: Json) => Math.max(0, Math.round((status.timestamp - begun.timestamp) * 1000));
      const found = (reason: string) =>
        told.map(({ status }) => status).filter(status => status.reason === `REASON_TASK_${reason}_STATUS_UPDATED`);
      const health = found('HEALTH_CHECK').map(status => ({ after_ms: after(status), healthy: status.healthy }));
      const checks = found('CHECK').map(status => ({
        after_ms: after(status),
        result: status.check_status[status.check_status.type.toLowerCase()],
      }));
      lives.set(task_id.value, {
        // One that never said it began was killed before it could.
        start_delay_ms: begun === undefined && over === undefined ? 60_000 : Math.max(1, first.at_ms - row.at_ms),
        ...(over === undefined ? ({ duration_ms: undefined } as Partial<Life>) : {}),
        ...(killing === undefined ? {} : ({ term_ms } as Partial<Life>)),
        ...(duration_ms === undefined ? {} : { duration_ms }),
        ...(health.length === 0 ? {} : { health }),
        ...(checks.length === 0 ? {} : { checks }),
      });
    }
  }
  return lives;
}

export function lifeIn(lives: ReadonlyMap<string, Partial<Life>>, more: Readonly<Record<string, Partial<Life>>>) {
  return (task: TaskInfo): Life => ({
    ...lifeOfCommand(task),
    start_delay_ms: 250,
    ...lives.get(task.task_id.value),
    ...more[task.task_id.value],
  });
}

const isRevive = (row: Row) => row.is === 'call' && /REVIVE/.test(row.label);

/** The instant within its second at which the recorded master handed out what had come back. */
export function phaseOf(rows: readonly Row[], after_ms = 0): number | undefined {
  let asked = false;
  for (const row of rows) {
    if (row.at_ms < after_ms) continue;
    if (row.is === 'subscribe') asked = true;
    if (row.is !== 'event' || row.event.type !== 'OFFERS') continue;
    if (!asked && !rows.some(other => isRevive(other) && Math.abs(other.at_ms - row.at_ms) < 60))
      return row.at_ms % 1000;
    asked = false;
  }
  return undefined;
}
