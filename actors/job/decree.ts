// decree.ts: what people say about runs instead of running them: this one is to count as a success, those need not be waited for.

import { audit } from '../audit.ts';
import { type Effect, record, reply } from '../effects.ts';
import type { Command, CommandEnvelope } from '../model/commands.ts';
import { refusal } from '../model/reasons.ts';
import type { TallyRecord } from '../model/records.ts';
import { type Step, step } from '../step.ts';
import type { JobState } from './job.ts';
import type { Kin } from './kin.ts';
import { tallied } from './tally.ts';
import { clearTokens, leaveTokens } from './tokens.ts';

type Decree = Extract<Command, { type: 'mark-success' | 'clear-tokens' }>;

export function decreed(
  state: JobState,
  envelope: CommandEnvelope,
  wanted: Decree,
  now: number,
  kin: Kin,
): Step<JobState, Effect> {
  const { key, record: jobs } = state;
  const { request_id } = envelope;
  const refuse = (code: 'invalid' | 'not-found', text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  if (wanted.type === 'clear-tokens') {
    const { parent } = wanted;
    if (parent !== undefined && jobs.job.parents?.includes(parent) !== true)
      return refuse('not-found', `job ${key} does not follow ${parent}`);
    const cleared = clearTokens(kin, key, parent === undefined ? undefined : [parent]);
    const told = audit(envelope, now, 'cleared');
    return step(state, ...cleared, told, reply(request_id, { type: 'cleared', key, count: cleared.length }));
  }
  if (jobs.job.service) return refuse('invalid', `job ${key} is a service: its runs do not succeed`);
  const changed = reply(request_id, { type: 'changed', key, version: jobs.version });
  const { marked = [] } = state.tally ?? {};
  if (marked.includes(wanted.request)) return step(state, audit(envelope, now, 'unchanged'), changed);
  const tally: TallyRecord = {
    ...tallied(state.tally, 'succeeded', now),
    marked: [...marked, wanted.request].slice(-marked_max),
  };
  const run = `${jobs.incarnation}.marked.${wanted.request}`;
  return step(
    { ...state, tally },
    record('tally', key, tally),
    ...leaveTokens(kin, { job: key, run, outcome: 'succeeded', at: now }),
    // As if it had run: what lay before it belongs to that.
    ...(jobs.job.join === 'latest' ? clearTokens(kin, key) : []),
    audit(envelope, now, 'changed'),
    changed,
  );
}

/** As many as are remembered of runs that were started by hand. */
const marked_max = 32;
