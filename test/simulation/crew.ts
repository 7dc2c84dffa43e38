// crew.ts: many seeds at once, one to a thread: a seed is a world of its own, so threads share nothing and change nothing.

import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Options, type Report, simulate } from './cluster.ts';

export const workers_default = availableParallelism();

/**
 * Plays one world for each of `wishes`, and tells each report as it comes; for a seed that could not be played, why.
 * The others are played all the same.
 */
export async function playAll(
  wishes: Iterable<Omit<Options, 'trace'>>,
  workers: number,
  told: (seed: number, played: Report | Error) => void,
): Promise<void> {
  const next = wishes[Symbol.iterator]();
  const work = async () => {
    let worker: Worker | undefined;
    try {
      for (;;) {
        const { value, done } = next.next();
        if (done === true) return;
        worker ??= new Worker(new URL(import.meta.url));
        worker.postMessage(value);
        const played = await answerOf(worker);
        told(value.seed, played);
        if (!(played instanceof Error)) continue;
        // A thread in which something went wrong has ended, or has who knows what left in it.
        await worker.terminate();
        worker = undefined;
      }
    } finally {
      await worker?.terminate();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
}

const answerOf = (worker: Worker): Promise<Report | Error> =>
  new Promise(resolve => {
    const settle = (played: Report | Error) => {
      worker.off('message', settle).off('error', failed).off('exit', left);
      resolve(played);
    };
    const failed = (error: unknown) => settle(error instanceof Error ? error : new Error(String(error)));
    const left = (code: number) => settle(new Error(`its thread ended with ${code} before it was over`));
    worker.on('message', settle).on('error', failed).on('exit', left);
  });

if (!isMainThread)
  parentPort!.on('message', async (wish: Options) => {
    parentPort!.postMessage(await simulate(wish));
  });
