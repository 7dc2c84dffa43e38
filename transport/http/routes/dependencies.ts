// dependencies.ts: the native API's routes for jobs that follow others: the tokens that wait, and successes by decree.

import { z } from 'zod';
import type { JobView } from '../../../actors/model/views.ts';
import { refusedBy } from '../problems.ts';
import { iso, jobPath } from '../resources.ts';
import {
  command,
  type Exchange,
  idempotency,
  job_path,
  keyOfPath,
  noBody,
  noSuchJob,
  not_found,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from '../route.ts';
import { isGoing } from './jobs.ts';

const tokens_shown_max = 100;

/** `found`: the job as it is, for an answer. */
export function dependencyRoutes(found: (exchange: Exchange, status: number) => Reply): readonly Route[] {
  return [
    {
      method: 'GET',
      path: `${job_path}/tokens`,
      id: 'listTokens',
      tag: 'jobs',
      summary: 'Runs of its parents that wait for those of its other parents',
      permission: 'read',
      answers: {
        200: { description: 'Edge by edge; none for a job without parents.', schema: 'Tokens' },
        ...not_found,
      },
      handle: exchange => ({ status: 200, body: tokensOf(living(exchange), exchange) }),
    },
    {
      method: 'DELETE',
      path: `${job_path}/tokens`,
      id: 'clearTokens',
      tag: 'jobs',
      summary: 'Forget the runs of its parents that wait',
      description: 'For sets that will never be complete, or should not be: what ends from now on is paired anew.',
      permission: 'operate',
      query: z.strictObject({
        parent: z.string().max(200).optional().describe('Key of one parent; all when left out.'),
      }),
      answers: { 200: { description: 'They are gone.', schema: 'TokensCleared' }, ...not_found },
      handle: clear,
    },
    {
      method: 'POST',
      path: `${job_path}/mark-success`,
      id: 'markJobSuccessful',
      tag: 'jobs',
      summary: 'Take the last run of a job for a success: those that follow it go on',
      permission: 'operate',
      headers: idempotency,
      answers: { 200: { description: 'As it is now.', schema: 'Job' }, ...not_found },
      async handle(exchange) {
        await noBody(exchange);
        const answer = await command(exchange, {
          type: 'mark-success',
          key: keyOfPath(exchange),
          request: requestOf(exchange),
        });
        if (answer.type === 'refused') throw refusedBy(answer);
        if (answer.type !== 'changed') throw unexpected(answer);
        return found(exchange, 200);
      },
    },
  ];
}

function living(exchange: Exchange): JobView {
  const key = keyOfPath(exchange);
  const view = exchange.services.views.job(key);
  if (view === undefined || isGoing(view)) throw noSuchJob(key);
  return view;
}

function tokensOf({ key, record: { job } }: JobView, { services: { views } }: Exchange): Record<string, unknown> {
  const lying = views.tokens(key);
  return {
    job: key,
    join: job.join ?? 'each',
    trigger_rule: job.trigger_rule ?? 'all_success',
    edges: (job.parents ?? []).map(parent => {
      const tokens = lying.get(parent) ?? [];
      return {
        parent,
        waiting: tokens.length,
        tokens: tokens.slice(0, tokens_shown_max).map(({ order: _, soft, ...run }) => ({
          ...run,
          at: iso(run.at),
          well: run.outcome === 'succeeded' || soft === true,
        })),
      };
    }),
    links: { job: jobPath(key) },
  };
}

async function clear(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const { parent } = exchange.query;
  const key = keyOfPath(exchange);
  const answer = await command(exchange, { type: 'clear-tokens', key, ...(parent === undefined ? {} : { parent }) });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'cleared') throw unexpected(answer);
  return { status: 200, body: { job: key, cleared: answer.count } };
}
