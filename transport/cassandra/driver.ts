// driver.ts: the driver of Cassandra, in a thread of its own.
//
// When connections come and go it can throw where nobody can catch it (its issue NODEJS-681), which would be the end of the
// program. In a thread it is the end of that thread: whoever asked is told, and makes another. What it costs in time is not
// taken from the scheduler's thread either.

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Answer, DriverOptions, Question } from './driver-thread.ts';
import { type Driver, Refusal } from './store.ts';

export type { DriverOptions } from './driver-thread.ts';

/** Some thousands of rows under way, and what the driver keeps for itself. */
const heap_mb_max = 256;

/** Nothing is loaded, and nobody connected to, before it is asked something. */
export function cassandraDriver(options: DriverOptions): Driver {
  const pending = new Map<number, { resolve: (rows: Rows) => void; reject: (error: Error) => void }>();
  let asked = 0;
  let worker: Worker | undefined;
  let over: Error | undefined;
  const end = (error: Error) => {
    over ??= error;
    for (const { reject } of pending.values()) reject(over);
    pending.clear();
  };
  const thread = (): Worker => {
    if (worker !== undefined) return worker;
    worker = new Worker(join(import.meta.dirname, `driver-thread${import.meta.filename.slice(-3)}`), {
      workerData: options,
      resourceLimits: { maxOldGenerationSizeMb: heap_mb_max },
    });
    worker.unref();
    worker.on('message', ({ id, ...answer }: Answer) => {
      const one = pending.get(id);
      pending.delete(id);
      if ('rows' in answer) one?.resolve(answer.rows);
      else one?.reject(answer.refused ? new Refusal(answer.message) : new Error(answer.message));
    });
    worker.on('error', error => end(new Error(`the driver of Cassandra has failed: ${wordsOf(error)}`)));
    worker.on('exit', () => end(new Error('the driver of Cassandra has ended')));
    return worker;
  };
  const ask = (question: Omit<Question, 'id'>) =>
    new Promise<Rows>((resolve, reject) => {
      if (over !== undefined) return reject(over);
      const id = asked++;
      pending.set(id, { resolve, reject });
      thread().postMessage({ id, ...question } satisfies Question);
    });
  return {
    connect: async () => void (await ask({ what: 'connect' })),
    execute: (query, values, how) => ask({ what: 'execute', query, values, ...how }),
    async close() {
      if (worker === undefined) return;
      // What it still had under way is told as failed; it may or may not have arrived.
      end(new Error('the connection with Cassandra is being closed'));
      await worker.terminate();
    },
  };
}

type Rows = Awaited<ReturnType<Driver['execute']>>;
const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
