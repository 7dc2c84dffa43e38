// wishes.ts: who is to be told what happened to a job, and what they are told.
//
// Whoever decides something about a job says that it happened, and no more. Whether anybody wants to hear of it, and where,
// is found here, in the same step: so the notice is as durable as what it tells of, and costs nothing where nobody listens.

import type { JobKey } from '../model/ids.ts';
import { type Addressed, type ChannelName, type NoticeEvent, type NoticeRecord, placeKey } from '../model/notices.ts';
import type { Notify } from '../model/notify.ts';
import { ownersOf } from '../model/notify.ts';
import type { JobRecord, TallyRecord } from '../model/records.ts';

/** Something happened to a job that somebody may want to hear of. */
export type Happening = {
  readonly event: NoticeEvent;
  readonly at: number;
  readonly jobs: JobRecord;
  /** With job and event it makes the notice's id: a run, a target, a version. */
  readonly of: string;
  /** In words. */
  readonly reason: string;
  readonly run?: string;
  readonly task?: string;
  readonly host?: string;
  readonly agent_id?: string;
  readonly attempt?: number;
  readonly attempts?: number;
  /** As this step leaves it; left out: as the records have it. */
  readonly tally?: TallyRecord;
};

export type WishRules = {
  /** Channels for which the settings name a place; `mail`: a server. */
  readonly standing: readonly ChannelName[];
  /** Events that are told of jobs that do not say which. */
  readonly on: readonly NoticeEvent[];
};
export const nobody_listens: WishRules = { standing: [], on: [] };

/** What Chronos told of. Jobs that came from there are told of just these, unless they say otherwise in Horae's words. */
const chronos_events: readonly NoticeEvent[] = ['failed', 'disabled', 'deleted', 'exhausted'];

/** Longest part of a command, and of a reason, that a notice carries. */
const command_max = 1_000;
const reason_max = 2_000;

/** The record of it; undefined when nobody wants to hear of it. */
export function noticeOf(
  key: JobKey,
  what: Happening,
  tally: TallyRecord | undefined,
  rules: WishRules,
): NoticeRecord | undefined {
  const to = placesOf(what.jobs, what.event, rules);
  if (to.length === 0) return undefined;
  const { event, at, jobs, reason, run, task, host, attempt, attempts, agent_id } = what;
  const { job, origin } = jobs;
  const name = origin?.dialect === 'chronos' ? (origin.document as { name?: unknown }).name : undefined;
  const command = job.command ?? job.processes?.map(one => one.name).join(', ');
  const notice = {
    id: `${key}/${what.of}/${event}`,
    event,
    at,
    job: key,
    ...(typeof name === 'string' ? { name } : {}),
    ...(run === undefined ? {} : { run }),
    ...(task === undefined ? {} : { task }),
    ...(host === undefined ? {} : { host }),
    ...(attempt === undefined ? {} : { attempt }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(command === undefined ? {} : { command: cut(command, command_max) }),
    reason: cut(reason, reason_max),
    ...(job.owner === undefined || job.owner === '' ? {} : { owner: job.owner }),
    facts: factsOf(jobs, tally),
  };
  return { notice, to, ...(agent_id === undefined || task === undefined ? {} : { agent_id }) };
}

/** Whether anybody would hear of it: asked before something is watched for. */
export const isWanted = (jobs: JobRecord, event: NoticeEvent, rules: WishRules): boolean =>
  placesOf(jobs, event, rules).length > 0;

function placesOf({ job, origin }: JobRecord, event: NoticeEvent, rules: WishRules): readonly Addressed[] {
  // Of most ends of most runs nobody wants to hear: that is to be found out for nothing.
  const on = origin?.dialect === 'chronos' ? chronos_events : rules.on;
  if (job.notify === undefined ? !on.includes(event) : !job.notify.some(wish => wish.on.includes(event))) return [];
  const places = new Map<string, Addressed>();
  const add = (one: Addressed) => {
    const key = placeKey(one);
    if (!places.has(key)) places.set(key, one);
  };
  const has = (channel: ChannelName) => rules.standing.includes(channel);
  const owners = () => {
    if (has('mail')) for (const to of ownersOf(job.owner)) add({ channel: 'mail', to });
  };
  if (job.notify === undefined) {
    owners();
    for (const channel of rules.standing) if (channel !== 'mail') add({ channel, to: '' });
    return [...places.values()];
  }
  for (const wish of job.notify) {
    if (!wish.on.includes(event)) continue;
    const words = wordsOf(wish);
    for (const { channel, to } of wish.to) {
      if (to !== undefined) {
        if (channel !== 'mail' || has('mail')) add({ channel, to, ...words });
      } else if (channel !== 'mail') {
        if (has(channel)) add({ channel, to: '', ...words });
      } else if (has('mail')) for (const owner of ownersOf(job.owner)) add({ channel, to: owner, ...words });
    }
  }
  return [...places.values()];
}

function wordsOf({ subject, text }: Notify): Pick<Addressed, 'words'> {
  if (subject === undefined && text === undefined) return {};
  return {
    words: { ...(subject === undefined ? {} : { subject }), ...(text === undefined ? {} : { text }) },
  };
}

/** Numbers and switches of the job, in the words in which Chronos told them. */
function factsOf({ job, origin }: JobRecord, tally: TallyRecord | undefined): Readonly<Record<string, string>> {
  const posted = origin?.dialect === 'chronos' ? (origin.document as Readonly<Record<string, unknown>>) : {};
  const own: Record<string, string> = {
    cpus: String(job.cpus),
    mem: String(job.mem),
    disk: String(job.disk),
    retries: String(Math.max(0, job.max_task_failures - 1)),
    successCount: String(tally?.successes ?? 0),
    errorCount: String(tally?.failures ?? 0),
    errorsSinceLastSuccess: String(tally?.failures_since_success ?? 0),
    lastSuccess: instant(tally?.last_success_at),
    lastError: instant(tally?.last_failure_at),
  };
  for (const field of ['softError', 'executor', 'executorFlags', 'async', 'epsilon']) {
    const value = posted[field];
    if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
      own[field] = cut(String(value), command_max);
  }
  const uris = posted.uris;
  if (Array.isArray(uris)) own.uris = cut(uris.join(','), command_max);
  return own;
}

const instant = (at: number | undefined): string => (at === undefined ? '' : new Date(at).toISOString());
const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 3)}...`;
