// stage.ts: what a storm strikes: the scheduler with its Mesos inside it, or the two as programs beside each other.

import { join } from 'node:path';
import type { Child } from '../../support/child.ts';
import { freePort } from '../../support/free-port.ts';
import type { Owner } from '../../support/temp.ts';
import { launchHorae } from '../horae.ts';
import { liveTasks, wrapperPid } from '../processes.ts';
import { killAlone, launchServe, startMesos } from '../serving.ts';

export type Stage = {
  /** A life of the scheduler. */
  readonly launch: () => Child;
  /** Kills the Mesos beside it and starts it again; absent where there is none. */
  readonly strike?: () => Promise<void>;
  readonly liveTasks: () => ReadonlyMap<string, readonly number[]>;
  readonly wrapperPid: (task: string) => number | undefined;
};

const roomy = ['--agent-resources', 'cpus:64;mem:64000;disk:10000'];

/** `horae dev`: one program that is everything. */
export function oneProgram(t: Owner, directory: string): Stage {
  const data_dir = join(directory, 'data');
  return {
    launch: () => launchHorae(t, data_dir, [...roomy, '--sandboxes-max', '100000']),
    liveTasks: () => liveTasks(data_dir),
    wrapperPid: task => wrapperPid(data_dir, task),
  };
}

/** `horae mesos` and `horae serve`, either of which may be gone. */
export async function twoPrograms(t: Owner, directory: string): Promise<Stage> {
  const work_dir = join(directory, 'mesos');
  const listen = `127.0.0.1:${await freePort()}`;
  // A real master offers what has become free once a second: too slow for jobs that are due every second.
  const flags = [...roomy, '--allocation-interval-ms', '0'];
  let mesos = await startMesos(t, work_dir, flags, listen);
  return {
    launch: () => launchServe(t, mesos.url, join(directory, 'data'), ['--refuse-seconds', '0']),
    async strike() {
      await killAlone(mesos.child);
      mesos = await startMesos(t, work_dir, flags, listen);
    },
    liveTasks: () => liveTasks(work_dir, 'agent-1'),
    wrapperPid: task => wrapperPid(work_dir, task, 'agent-1'),
  };
}
