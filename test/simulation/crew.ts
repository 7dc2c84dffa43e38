// crew.ts: many seeds at once, one to a thread: a seed is a world of its own, so threads share nothing and change nothing.

import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Options, type Report, simulate } from './cluster.ts';

export const workers_default = availableParallelism();

/** Plays one world for each of `wishes`, and tells each report as it comes. Rejects when a thread fails. */
export async function playAll(
  wishes: Iterable<Omit<Options, 'trace'>>,
  workers: number,
  told: (report: Report) => void,
): Promise<void> {
  const next = wishes[Symbol.iterator]();
  const work = async () => {
    const worker = new Worker(new URL(import.meta.url));
    try {
      for (;;) {
        const { value, done } = next.next();
        if (done === true) return;
        worker.postMessage(value);
        told(await answerOf(worker, value.seed));
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
}

const answerOf = (worker: Worker, seed: number): Promise<Report> =>
  new Promise((resolve, reject) => {
    const failed = (error: unknown) => reject(new Error(`seed ${seed} could not be played`, { cause: error }));
    worker.once('error', failed);
    worker.once('message', (report: Report) => {
      worker.off('error', failed);
      resolve(report);
    });
  });

if (!isMainThread)
  parentPort!.on('message', async (wish: Options) => {
    parentPort!.postMessage(await simulate(wish));
  });
