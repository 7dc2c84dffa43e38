// ids.ts: the names of things, and how they are written down.
//
// A job is known by its key `role/environment/name`. A deleted job may come back under the same key, so each life of a
// key has an incarnation number, and every run id starts with it: run ids, and with them Mesos task ids, are never used
// twice. A task id is one attempt of one instance of one run, and can be read back:
//
//   www:prod:hello : 1.cron.mi9fwgao : 0 : 3
//   the job          the run           ^   attempt, from 1
//                                      instance index

import { bad, good, type Result } from '../../schedules/problem.ts';

/** `role/environment/name`. */
export type JobKey = string & { readonly brand?: 'JobKey' };
/**
 * Unique within a job key for ever: `<incarnation>.<schedule id>.<nominal instant in base 36>`,
 * `<incarnation>.m.<request>.<instant of the start in base 36>`, `<incarnation>.d.<number of the set of tokens in base 36>`,
 * `<incarnation>.once`, `<incarnation>.service`
 * and, once it was stopped and started again, `<incarnation>.service.<request or version>.<instant>`.
 */
export type RunId = string & { readonly brand?: 'RunId' };
/** `role/environment/name/run`. */
export type RunKey = string & { readonly brand?: 'RunKey' };
/** `role/environment/name/run/index`. */
export type InstanceKey = string & { readonly brand?: 'InstanceKey' };
/** A Mesos task id: `role:environment:name:run:index:attempt`, at most 255 bytes, without `/`. */
export type TaskId = string & { readonly brand?: 'TaskId' };

/** `<child>/<parent>/<run of the parent>`. */
export type TokenKey = string & { readonly brand?: 'TokenKey' };

/** What may stand in each part of a job key. `%` is there for names of dialects, whose other characters are percent-encoded. */
export const identifier = /^[A-Za-z0-9_][A-Za-z0-9_.%-]*$/;
/** Bytes in a whole job key. What a task id needs beside it is at most 75 bytes. */
export const job_key_bytes_max = 180;

export const jobKey = (role: string, environment: string, name: string): JobKey => `${role}/${environment}/${name}`;
export const runKey = (job: JobKey, run: RunId): RunKey => `${job}/${run}`;
export const instanceKey = (job: JobKey, run: RunId, index: number): InstanceKey => `${job}/${run}/${index}`;
/** The role in the key of a job, or of anything of a job. */
export const roleOf = (key: JobKey | RunKey | InstanceKey): string => key.slice(0, key.indexOf('/'));

export function parseJobKey(text: string): Result<{ role: string; environment: string; name: string }> {
  const [role, environment, name, ...rest] = text.split('/');
  if (role === undefined || environment === undefined || name === undefined || rest.length > 0)
    return bad({ place: '', value: text, message: `"${text}" is not a job key`, expected: 'role/environment/name' });
  return good({ role, environment, name });
}

/** Splits `role/environment/name/run`. Throws on anything else: such keys are made by us alone. */
export function splitRunKey(key: RunKey): { job: JobKey; run: RunId } {
  const cut = key.lastIndexOf('/');
  if (cut < 0) throw new Error(`invalid run key "${key}": expected role/environment/name/run`);
  return { job: key.slice(0, cut), run: key.slice(cut + 1) };
}

/** Splits `role/environment/name/run/index`. */
export function splitInstanceKey(key: InstanceKey): { job: JobKey; run: RunId; index: number } {
  const cut = key.lastIndexOf('/');
  if (cut < 0) throw new Error(`invalid instance key "${key}": expected role/environment/name/run/index`);
  return { ...splitRunKey(key.slice(0, cut)), index: Number(key.slice(cut + 1)) };
}

export const tokenKey = (child: JobKey, parent: JobKey, run: RunId): TokenKey => `${child}/${parent}/${run}`;
export function splitTokenKey(key: TokenKey): { child: JobKey; parent: JobKey; run: RunId } {
  let cut = -1;
  for (let part = 0; part < 3; part++) cut = key.indexOf('/', cut + 1);
  const last = key.lastIndexOf('/');
  if (cut < 0 || last <= cut) throw new Error(`invalid token key "${key}": expected child/parent/run`);
  return { child: key.slice(0, cut), parent: key.slice(cut + 1, last), run: key.slice(last + 1) };
}

/** The id under which Mesos knows attempt `attempt` (from 1) of an instance. */
export const taskId = (instance: InstanceKey, attempt: number): TaskId => `${instance.replaceAll('/', ':')}:${attempt}`;

/** The id by which Chronos's clients know a task. `attempt` counts from 1 here, and from 0 there. */
export const chronosTaskId = (task: {
  readonly due: number;
  readonly attempt: number;
  readonly name: string;
  readonly words: readonly string[];
}): string => `ct:${task.due}:${task.attempt - 1}:${task.name}:${chronosWords(task.words)}`;
/** Without ";", which Chronos took out of them. */
export const chronosWords = (words: readonly string[]): string => words.join(' ').replaceAll(';', '');

/** Reads one back. Words may hold colons, and may be left out with the one before them. */
export function parseChronosTaskId(
  text: string,
): { readonly due: number; readonly attempt: number; readonly name: string; readonly words: string } | undefined {
  const [, due, attempt, name, words = ''] = /^ct:(\d{1,15}):(\d{1,9}):([^:]+)(?::(.*))?$/s.exec(text) ?? [];
  if (name === undefined) return undefined;
  return { due: Number(due), attempt: Number(attempt) + 1, name, words };
}

/** Reads a task id back; undefined when it is not one of ours. */
export function parseTaskId(text: TaskId): { instance: InstanceKey; attempt: number } | undefined {
  const cut = text.lastIndexOf(':');
  if (cut < 0 || !is_task_id.test(text)) return undefined;
  return { instance: text.slice(0, cut).replaceAll(':', '/'), attempt: Number(text.slice(cut + 1)) };
}
/** Four parts, the instance's index and the attempt, neither with a zero in front. */
const is_task_id = /^(?:[^:/]+:){4}(?:0|[1-9]\d{0,8}):[1-9]\d{0,14}$/;

/** The attempt in a task id that is known to be one of ours. */
export const attemptOf = (text: TaskId): number => Number(text.slice(text.lastIndexOf(':') + 1));
