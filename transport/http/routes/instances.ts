// instances.ts: the routes that concern one instance of a job: what it went through; its health checks pause, and go on.

import { z } from 'zod';
import { parseTime } from '../../../schedules/iso8601.ts';
import { document_types } from '../body.ts';
import { invalid, Refused, refusedBy, valid } from '../problems.ts';
import { finishedRun, iso, jobPath, liveRun, present, runPath } from '../resources.ts';
import {
  command,
  type Exchange,
  job_path,
  jsonBody,
  keyOfPath,
  noBody,
  noSuchRun,
  problem,
  type Reply,
  type Route,
  run_instance_path,
  unexpected,
} from '../route.ts';
import { attemptsOf, eventsOf } from './events.ts';
import { attempts_scanned_max } from './logs.ts';
import { toldOf } from './runs.ts';
import { read } from './steering.ts';

const instance_path = `${job_path}/instances/:index`;
const refusals = {
  404: problem('There is no such job, or no such instance that lives.'),
  422: problem('The request is wrong, or the instance has no health check or does not run.'),
};

export const snooze_request = z
  .strictObject({
    minutes: z.number().positive().max(525_600).optional().describe('How long, from now.'),
    until: z.string().max(64).optional().describe('ISO 8601 instant to come.'),
  })
  .refine(({ minutes, until }) => minutes === undefined || until === undefined, 'expected minutes or until, not both');

export const instance_routes: readonly Route[] = [
  {
    method: 'GET',
    path: run_instance_path,
    id: 'getInstance',
    tag: 'runs',
    summary: 'Read one instance of a run, with all that it went through',
    description: 'Its processes and health as its executor last said, and the events of its latest attempts.',
    permission: 'read',
    answers: {
      200: { description: 'The instance.', schema: 'InstanceDetail' },
      404: problem('There is no such job, run or instance.'),
    },
    handle: detail,
  },
  {
    method: 'POST',
    path: `${instance_path}/snooze`,
    id: 'snoozeInstance',
    tag: 'runs',
    summary: 'Pause the health checks of an instance',
    description:
      'For so many minutes, until an instant, or, with neither, until it is woken. A sick task is not made well by it: one that has not been well yet waits. It ends with the attempt.',
    permission: 'operate',
    body: { schema: 'SnoozeRequest', types: document_types },
    answers: { 202: { description: 'Recorded; its executor is being told.', schema: 'Snoozed' }, ...refusals },
    async handle(exchange) {
      const until = untilOf(read(snooze_request, await jsonBody(exchange, document_types)), exchange);
      return await ask(exchange, 'snooze', until);
    },
  },
  {
    method: 'POST',
    path: `${instance_path}/wake`,
    id: 'wakeInstance',
    tag: 'runs',
    summary: 'Let the health checks of an instance go on, also those that a file in its sandbox has paused',
    permission: 'operate',
    answers: { 202: { description: 'Recorded; its executor is being told.', schema: 'Snoozed' }, ...refusals },
    async handle(exchange) {
      await noBody(exchange);
      return await ask(exchange, 'wake', undefined);
    },
  },
];

function untilOf({ minutes, until }: z.infer<typeof snooze_request>, exchange: Exchange): number | undefined {
  const now = exchange.services.clock.now();
  if (minutes !== undefined) return now + Math.round(minutes * 60_000);
  if (until === undefined) return undefined;
  const time = parseTime(until, '/until');
  const { wall, offset_ms = 0 } = valid(time);
  const instant = wall - offset_ms;
  if (instant > now) return instant;
  const passed = {
    place: '/until',
    value: until,
    message: `"${until}" has passed`,
    expected: `an instant after ${iso(now)}`,
  };
  throw invalid([passed]);
}

async function detail(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const { run = '', index: text = '' } = exchange.params;
  const { views, history, reports } = exchange.services;
  const live = views.run(key, run);
  const over = live === undefined ? views.finished_run(key, run) : undefined;
  if (live === undefined && over === undefined) throw noSuchRun(key, run);
  const told = await toldOf(reports, live === undefined ? [] : [live]);
  const waits = new Map(views.pending(key).map(reason => [reason.instance, reason.summary]));
  const resource = live === undefined ? finishedRun(key, over!) : liveRun(key, live, one => waits.get(one), told);
  const instance = resource.instances.find(one => String(one.index) === text);
  if (instance === undefined)
    throw new Refused('not-found', `run ${run.slice(0, 100)} of ${key} has no instance "${text.slice(0, 40)}"`);
  const { rows } = history.page('finished-attempt', `${key}/`, attempts_scanned_max);
  const ended = attemptsOf(rows, `${key}/${run}/${text}`, attempts_told_max);
  const events = eventsOf(live?.instances.find(one => one.index === instance.index)?.record, ended);
  const links = { run: runPath(key, run), job: jobPath(key) };
  return {
    status: 200,
    body: { job: key, run, instance, events: events.map(one => ({ ...one, at: iso(one.at) })), links },
  };
}
/** The newest of them. */
const attempts_told_max = 25;

async function ask(exchange: Exchange, type: 'snooze' | 'wake', until: number | undefined): Promise<Reply> {
  const key = keyOfPath(exchange);
  const { index: text = '' } = exchange.params;
  if (!/^(0|[1-9]\d{0,6})$/.test(text))
    throw new Refused('not-found', `job ${key} has no instance "${text.slice(0, 40)}": expected a number from 0`);
  const index = Number(text);
  const answer = await command(
    exchange,
    type === 'wake' ? { type, key, index } : { type, key, index, ...(until === undefined ? {} : { until }) },
  );
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'snoozing' && answer.type !== 'waking') throw unexpected(answer);
  return {
    status: 202,
    body: present({
      job: key,
      instance: index,
      snooze: answer.type,
      until: answer.until === undefined ? undefined : iso(answer.until),
      links: { job: jobPath(key), runs: `${jobPath(key)}/runs` },
    }),
  };
}
