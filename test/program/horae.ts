// horae.ts: the real program as a child process, and a client of the API that it serves.

import { join } from 'node:path';
import { type Child, startChild } from '../support/child.ts';
import type { Owner } from '../support/temp.ts';

const root = join(import.meta.dirname, '..', '..');
const ready = /Console: (\S+)/;
/** A first start beside a busy compiler takes seconds; far more than that is broken. */
const ready_ms_max = 60_000;

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is empty. Throws when it is something else. */
  readonly body: () => unknown;
};
export type Api = {
  readonly url: string;
  readonly request: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answer>;
  /** GET that must be answered 200. */
  readonly get: (path: string) => Promise<unknown>;
};
export type Running = { readonly child: Child; readonly api: Api };

/** `horae dev` on any free port. Nothing of the tester's own settings reaches it. */
export function launchHorae(t: Owner, data_dir: string, flags: readonly string[] = [], cwd = '/'): Child {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HORAE_')));
  return startChild(t, {
    command: process.execPath,
    argv: [join(root, 'main.ts'), 'dev', '--http', '127.0.0.1:0', '--data-dir', data_dir, ...flags],
    cwd,
    env,
  });
}

/** The same, and resolves when it says where its console is. */
export async function startHorae(t: Owner, data_dir: string, flags: readonly string[] = []): Promise<Running> {
  const child = launchHorae(t, data_dir, flags);
  return { child, api: apiAt(await urlOf(child)) };
}

export async function urlOf(child: Child): Promise<string> {
  return (await child.line(ready, ready_ms_max))[1]!;
}

export function apiAt(url: string): Api {
  const request: Api['request'] = async (method, path, body, headers = {}) => {
    const given = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(given === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(given === undefined ? {} : { body: given }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: () => (text === '' ? undefined : JSON.parse(text)),
    };
  };
  return {
    url,
    request,
    async get(path) {
      const answer = await request('GET', path);
      if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
      return answer.body();
    },
  };
}

// --- what the API answers, as far as tests look at it -------------------------------------------------------------

export type Reason = { readonly code: string; readonly exit_code?: number; readonly signal?: string };
export type InstanceAnswer = {
  readonly index: number;
  readonly state: string;
  readonly attempt: number;
  readonly failures: number;
  readonly task_id?: string;
  readonly reason?: Reason;
  readonly pending_reason?: string;
  readonly links: Readonly<Record<string, string>>;
};
export type RunAnswer = {
  readonly run: string;
  readonly state: string;
  readonly cause: { readonly type: string; readonly schedule?: string; readonly at?: string };
  readonly killed_by?: string;
  readonly created_at?: string;
  readonly instances: readonly InstanceAnswer[];
};
export type OutcomeAnswer = {
  readonly schedule: string;
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly outcome: string;
  readonly why?: string;
  readonly run?: string;
};
export type JobAnswer = {
  readonly key: string;
  readonly etag: string;
  readonly version: number;
  readonly state: string;
  readonly created_at: string;
  readonly active_runs: number;
  readonly waiting_starts: number;
  readonly quarantined?: string;
  readonly job: { readonly env?: Readonly<Record<string, string>>; readonly instances?: number };
};

/** Every row of a listing, page after page. */
export async function everything<T>(api: Api, path: string, field: string): Promise<T[]> {
  const rows: T[] = [];
  let next: string | undefined = `${path}?limit=1000`;
  while (next !== undefined) {
    const page = (await api.get(next)) as { readonly next?: string } & Readonly<Record<string, readonly T[]>>;
    rows.push(...page[field]!);
    next = page.next;
  }
  return rows;
}
export const jobsOf = (api: Api) => everything<JobAnswer>(api, '/api/v1/jobs', 'jobs');
export const runsOf = (api: Api, key: string) => everything<RunAnswer>(api, `/api/v1/jobs/${key}/runs`, 'runs');
export const outcomesOf = (api: Api, key: string) =>
  everything<OutcomeAnswer>(api, `/api/v1/jobs/${key}/outcomes`, 'outcomes');
