// ledger.ts: what the tasks themselves wrote: who started, who ended and how, and who met another copy of himself.

import {
  type InstanceKey,
  instanceKey,
  type JobKey,
  type RunId,
  type TaskId,
  taskId,
} from '../../../actors/model/ids.ts';

export type Line = {
  readonly job: JobKey;
  readonly generation: string;
  readonly run: RunId;
  readonly instance: InstanceKey;
  readonly index: number;
  readonly attempt: number;
  readonly task: TaskId;
  readonly scheduled_at: string;
} & (
  | { readonly verb: 'start'; readonly pid: number; readonly at_ns: bigint }
  | { readonly verb: 'end'; readonly exit_code: number; readonly at_ns: bigint }
  /** It found the lock taken. */
  | { readonly verb: 'overlap' }
);

/** Throws on a line that no task writes: lines must not tear. */
export function readLedger(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [verb, job, generation, run, index, attempt, scheduled_at, ...rest] = line.split(' ');
      const key = instanceKey(job!, run!, Number(index));
      const common = {
        job: job!,
        generation: generation!,
        run: run!,
        instance: key,
        index: Number(index),
        attempt: Number(attempt),
        task: taskId(key, Number(attempt)),
        scheduled_at: scheduled_at!,
      };
      const [first, at_ns] = rest;
      if (verb === 'start' && rest.length === 2) return { ...common, verb, pid: Number(first), at_ns: BigInt(at_ns!) };
      if (verb === 'end' && rest.length === 2)
        return { ...common, verb, exit_code: Number(first), at_ns: BigInt(at_ns!) };
      if (verb === 'overlap') return { ...common, verb };
      throw new Error(`torn line in the ledger: "${line}"`);
    });
}
