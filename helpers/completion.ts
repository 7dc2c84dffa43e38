// completion.ts: telling the scheduler how the work of an async task ended.
//
// A registered letter: it is brought again and again until somebody signs for it, says that nobody here waits for it, or
// the time is up. Any node of a cluster may take it. It may arrive twice; the scheduler takes the same word twice for one.

import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { delayBefore } from '../schedules/backoff.ts';
import { type Environment, HelperFailed, sayError, type World, type Wrongs } from './helper.ts';

export type Destination = {
  readonly task: string;
  /** Where schedulers listen, tried in turn. */
  readonly urls: readonly string[];
  readonly token?: string;
  /** Whose words are spoken: ours, or those of a Chronos. */
  readonly dialect: 'horae' | 'chronos';
  readonly deadline_ms: number;
};

export const completion_flags = {
  values: ['--task', '--token-file', '--dialect', '--deadline'],
  lists: ['--url'],
} as const;

export const completion_usage = `  --url URL        Where a scheduler listens; again for each node of a cluster. $HORAE_URL (several with commas between),
                   or http://127.0.0.1:8080 when left out.
  --token-file F   A file with a bearer token; $HORAE_TOKEN when left out.
  --task ID        Whose end is reported; $HORAE_TASK_ID or $MESOS_TASK_ID when left out.
  --dialect NAME   horae (POST /api/v1/tasks/ID/complete) or chronos (PUT /scheduler/task/ID); horae when left out.
  --deadline S     Seconds in which the report must be accepted; 3600 when left out.`;

const answer_ms_max = 10_000;
const pauses = { delay_ms: 250, factor: 2, delay_ms_max: 30_000, jitter: 0.5 };

export function readDestination(
  values: ReadonlyMap<string, string>,
  lists: ReadonlyMap<string, readonly string[]>,
  env: Environment,
  wrongs: Wrongs,
): Destination {
  const task = values.get('--task') ?? env.HORAE_TASK_ID ?? env.MESOS_TASK_ID ?? env.mesos_task_id ?? '';
  if (task === '' || task.length > 1_000)
    wrongs.refuse(
      '--task',
      task,
      'it is not known whose end is to be reported',
      'HORAE_TASK_ID in a task, or --task ID',
    );
  const urls = lists.get('--url') ?? env.HORAE_URL?.split(',') ?? ['http://127.0.0.1:8080'];
  for (const url of urls)
    if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(url))
      wrongs.refuse('--url', url, `--url is ${url.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  const dialect = values.get('--dialect') ?? 'horae';
  if (dialect !== 'horae' && dialect !== 'chronos')
    wrongs.refuse('--dialect', dialect, `--dialect is ${dialect.slice(0, 40)}`, 'horae or chronos');
  const file = values.get('--token-file');
  if (file !== undefined && !existsSync(file))
    wrongs.refuse('--token-file', file, `--token-file is ${file}, which is not there`, 'a file with a token');
  const token = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : env.HORAE_TOKEN;
  return {
    task,
    urls: urls.map(url => url.replace(/\/+$/, '')),
    dialect: dialect === 'chronos' ? 'chronos' : 'horae',
    deadline_ms: wrongs.whole(values, '--deadline', 3_600, 1, 30 * 86_400) * 1_000,
    ...(token === undefined || token === '' ? {} : { token }),
  };
}

export type Request = {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  /** Of the body: the one that holds the status. */
  readonly field: string;
  readonly body: string;
};

/** What is sent. A task id may hold characters that mean something in an address. */
export function requestOf({ task, dialect }: Pick<Destination, 'task' | 'dialect'>, status_code: number): Request {
  const id = encodeURIComponent(task);
  const field = dialect === 'chronos' ? 'statusCode' : 'status_code';
  const body = JSON.stringify({ [field]: status_code });
  return dialect === 'chronos'
    ? { method: 'PUT', path: `/scheduler/task/${id}`, field, body }
    : { method: 'POST', path: `/api/v1/tasks/${id}/complete`, field, body };
}

/** Resolves when the report is accepted; throws when it never will be. `hurry` says that there is no time left to wait. */
export async function report(
  destination: Destination,
  status_code: number,
  { clock, say }: World,
  hurry: AbortSignal,
): Promise<void> {
  const { urls, token, deadline_ms } = destination;
  const given_up_at = clock.monotonic() + deadline_ms;
  const { method, path, body } = requestOf(destination, status_code);
  for (let attempt = 1; ; attempt++) {
    const last = hurry.aborted;
    const url = urls[(attempt - 1) % urls.length]!;
    const trouble = await send(`${url}${path}`, method, body, token);
    if (trouble === undefined) return;
    // A cluster of several is asked once around before anybody waits.
    const delay_ms =
      attempt % urls.length === 0 ? delayBefore(pauses, attempt / urls.length + 1, randomInt(1_000) / 1_000) : 0;
    if (last || clock.monotonic() + delay_ms > given_up_at)
      throw new HelperFailed(
        `nobody took the report that ${destination.task} ended with ${status_code}, in ${attempt} attempts: ${trouble}`,
      );
    // One line for the first trouble and then ever fewer: an outage of a night must not fill the disk.
    if ((attempt & (attempt - 1)) === 0) say(`report not accepted yet: ${trouble}; tried again`);
    await pause(delay_ms, undefined, { signal: hurry }).catch(() => undefined);
  }
}

/** Undefined when it was accepted; what to say when it may be later. */
async function send(url: string, method: string, body: string, token: string | undefined): Promise<string | undefined> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  let said: string;
  try {
    response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', ...authorization },
      body,
      signal: AbortSignal.timeout(answer_ms_max),
    });
    said = (await response.text()).slice(0, 500);
  } catch (error) {
    return `${new URL(url).origin}: ${sayError(error)}`;
  }
  const { status, ok } = response;
  if (ok) return undefined;
  const words = `${new URL(url).origin} answered ${status}${said === '' ? '' : `: ${detailOf(said)}`}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) return words;
  throw new HelperFailed(`the report was refused: ${words}`);
}

function detailOf(text: string): string {
  try {
    const { detail, message } = JSON.parse(text) as { readonly detail?: unknown; readonly message?: unknown };
    const words = detail ?? message;
    if (typeof words === 'string') return words;
  } catch {
    // No JSON: whatever stands between us and the scheduler speaks in its own words.
  }
  return text;
}
