// service.ts: a real service, with what it stands on killed again and again: is there one copy of each instance, never two?
//
// Two instances of a server that comes up after two processes in order, looked after by Horae's executor. At moments that a seed
// chooses a process of it is killed, its executor, its whole container, the agent, or the scheduler, and at times another of them
// before it has recovered. That there are never two copies is witnessed by the copies themselves: each takes a lock that the
// kernel lets go when it dies, and one that finds it taken writes that down. What was only looked after must live on untouched.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mulberry32 } from '../../mesos/support/seeded.ts';
import type { Child } from '../../support/child.ts';
import { freePort } from '../../support/free-port.ts';
import { isAlive, killUnder, runningUnder, send } from '../../support/processes.ts';
import type { Owner } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { type Api, apiAt, type InstanceAnswer, runsOf } from '../horae.ts';
import { killAlone, launchServe, startMesos } from '../serving.ts';

const victims = ['process', 'executor', 'container', 'agent', 'scheduler'] as const;
type Victim = (typeof victims)[number];
export type ServiceReport = {
  readonly seed: number;
  readonly kills: number;
  readonly complaints: readonly string[];
  readonly directory: string;
  /** How long an instance was missing, by what was killed last; a blow that took nobody down is none of these. */
  readonly short_ms: ReadonlyMap<Victim, readonly number[]>;
  /** Blows after which the same processes lived on. */
  readonly unharmed: number;
};
export type ServiceOptions = { readonly kills: number; readonly seed: number; readonly say: (line: string) => void };

const instances = 2;
const key = 'me/test/hardy';
/** What the job and the settings say of a restart: nobody waits longer before it is begun. */
const backoff_ms = 1_000;
/** An executor whose start script is gone has so long to end what it began; until then a second copy would be one too many. */
const ending_ms = 5_000;
/**
 * What the machine adds to that: executor, two processes and a server are started, on one that does other things as well. For
 * a single one that is much, so that a busy moment is no fault; for the middle of many it is little.
 */
const start_ms_max = 20_000;
const start_ms_p50_max = 5_000;
const starts_judged_from = 10;
/** After so long nobody comes any more. */
const given_up_ms = 180_000;
const calm_ms_max = 1_500;
const again_ms_max = 700;
const again_chance = 0.25;

export async function serviceStorm(t: Owner, { kills, seed, say }: ServiceOptions): Promise<ServiceReport> {
  const directory = mkdtempSync(join(tmpdir(), `horae-service-${seed}-`));
  // Whatever happens, no process of ours stays.
  t.teardown(() => killUnder(directory));
  const stage = await raise(t, directory);
  const chance = mulberry32(seed);
  const complaints: string[] = [];
  const short_ms = new Map<Victim, number[]>();
  let unharmed = 0;
  try {
    await stage.submit();
    let before = await stage.whole(new Set());
    for (let kill = 1; kill <= kills; ) {
      const struck: Victim[] = [];
      /** Servers that must be gone by it. */
      const doomed = new Set<number>();
      const began = performance.now();
      do {
        const victim = victims[Math.floor(chance() * victims.length)]!;
        const index = Math.floor(chance() * instances);
        await later(chance() * (struck.length === 0 ? calm_ms_max : again_ms_max), async () => {
          for (const pid of await stage.strike(victim, index)) doomed.add(pid);
        });
        struck.push(victim);
        kill++;
      } while (kill <= kills && chance() < again_chance);
      const fell = performance.now();
      const after = await stage.whole(doomed);
      const missing_ms = performance.now() - fell;
      const told = `after ${struck.join(', ')} (kill ${kill - 1})`;
      const hurt = struck.some(one => one === 'process' || one === 'container');
      const same = before.every((pid, index) => pid === after[index]);
      if (same) unharmed++;
      else if (!hurt) complaints.push(`${told}: servers ${before} became ${after}, although nobody touched them`);
      if (!same) short_ms.set(struck.at(-1)!, [...(short_ms.get(struck.at(-1)!) ?? []), missing_ms]);
      if (missing_ms > backoff_ms + ending_ms + start_ms_max)
        complaints.push(`${told}: short for ${Math.round(missing_ms)} ms`);
      complaints.push(...stage.doubles().map(line => `${told}: ${line}`));
      say(
        `service: ${told}: whole again after ${Math.round(missing_ms)} ms, ${same ? 'unharmed' : 'replaced'}; ${Math.round(performance.now() - began)} ms in all`,
      );
      before = after;
      if (complaints.length > 0) break;
    }
    const all = [...short_ms.values()].flat();
    const p50 = middle(all);
    if (all.length >= starts_judged_from && p50 > backoff_ms + ending_ms + start_ms_p50_max)
      complaints.push(`half of ${all.length} times it was short for ${Math.round(p50)} ms or longer`);
  } catch (error) {
    complaints.push(error instanceof Error ? error.message : String(error));
  }
  await killUnder(directory);
  if (complaints.length === 0) rmSync(directory, { recursive: true, maxRetries: 5 });
  return { seed, kills, complaints, directory, short_ms, unharmed };
}

export function serviceLine({ seed, kills, complaints, short_ms, unharmed }: ServiceReport): string {
  const shown = [...short_ms].map(([victim, all]) => {
    const [p50, longest] = [middle(all), Math.max(...all)].map(Math.round);
    return `${victim} ${all.length} times, p50 ${p50} ms, longest ${longest} ms`;
  });
  const short = shown.length === 0 ? '' : `; short after ${shown.join('; ')}`;
  return `crash --service: ${kills} kills, complaints ${complaints.length}, unharmed ${unharmed} times${short} (seed ${seed})`;
}

const middle = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] ?? 0;

/** At this moment, which the seed has chosen. */
const later = (ms: number, strike: () => Promise<void> | void): Promise<void> =>
  new Promise((struck, failed) => {
    setTimeout(() => void Promise.resolve().then(strike).then(struck, failed), ms);
  });

// --- the stage ----------------------------------------------------------------------------------------------------------

type Stage = {
  readonly submit: () => Promise<void>;
  /** The servers' process ids, by instance, when all of them serve and all of Horae knows. */
  readonly whole: (doomed: ReadonlySet<number>) => Promise<readonly number[]>;
  /** Which servers go with it. */
  readonly strike: (victim: Victim, index: number) => Promise<readonly number[]>;
  /** What copies have written who met another. */
  readonly doubles: () => readonly string[];
};

/** Answers, and prints a line for each question. */
const server = `require('node:http').createServer((request, response) => {
  console.log('asked for ' + request.url + ' ' + 'x'.repeat(200));
  response.end('ok');
}).listen(Number(process.argv[2]), '127.0.0.1');`;

async function raise(t: Owner, directory: string): Promise<Stage> {
  const notes = join(directory, 'notes');
  mkdirSync(notes);
  writeFileSync(join(notes, 'server.js'), server);
  const work_dir = join(directory, 'mesos');
  const listen = `127.0.0.1:${await freePort()}`;
  const ports = await Promise.all(Array.from({ length: 8 }, freePort));
  const resources = `cpus:8;mem:8000;disk:10000;ports:[${ports.map(port => `${port}-${port}`).join(',')}]`;
  const mesos_flags = ['--agent-resources', resources, '--allocation-interval-ms', '0'];
  let mesos = await startMesos(t, work_dir, mesos_flags, listen);
  const data_dir = join(directory, 'data');
  const flags = ['--refuse-seconds', '0', '--retry-delay-ms-max', String(backoff_ms)];
  const launch = () => launchServe(t, mesos.url, data_dir, flags);
  let scheduler: Child = launch();
  let api: Api = await reached(scheduler);

  const pidOf = (index: number): number | undefined => {
    const path = join(notes, `pid-${index}`);
    const pid = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
    return pid > 0 && isAlive(pid) ? pid : undefined;
  };
  const serves = async ({ index, ports: given }: Instance): Promise<boolean> => {
    if (pidOf(index) === undefined || given?.http === undefined) return false;
    const answer = await fetch(`http://127.0.0.1:${given.http}/by-hand`).catch(() => undefined);
    return (await answer?.text()) === 'ok';
  };
  const look = async (): Promise<readonly number[] | undefined> => {
    const [run] = await runsOf(api, key);
    const running = (run?.instances ?? []).filter(({ state }) => state === 'running') as readonly Instance[];
    if (running.length < instances || !(await Promise.all(running.map(serves))).every(Boolean)) return undefined;
    const pids = Array.from({ length: instances }, (_, index) => pidOf(index));
    return pids.every(pid => pid !== undefined) ? pids : undefined;
  };
  /** Processes of one instance: those whose command line or folder says so. */
  const of = (words: string, index: number): readonly number[] => {
    const found = runningUnder(join(work_dir, 'agent-1')).filter(pid => {
      const line = orEmpty(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      const mine = orEmpty(() => readFileSync(`/proc/${pid}/environ`, 'latin1'));
      return line.includes(words) && new RegExp(`MESOS_EXECUTOR_ID=[^\\0]*:${index}:\\d+\\0`).test(mine);
    });
    return found;
  };

  const fell = async (words: string, index: number): Promise<void> => {
    const pids = await until(
      `${words} of instance ${index}`,
      () => {
        const found = of(words, index);
        return found.length > 0 && found;
      },
      given_up_ms,
    );
    for (const pid of pids) send(pid, 'SIGKILL');
  };

  return {
    async submit() {
      const meets = `flock -n 9 || { echo "two copies of {{mesos.instance}} at $(date +%T.%N)" >> ${notes}/doubles; exit 1; }`;
      const lock = `exec 9>${notes}/lock-{{mesos.instance}}; ${meets}`;
      const answer = await api.request('POST', '/api/v1/jobs', {
        ...{ role: 'me', environment: 'test', name: 'hardy', service: true, instances, mem: 64 },
        ...{ retry_delay_ms: 100, kill_grace_ms: 5_000 },
        processes: [
          { name: 'prepare', command: `${lock}; echo prepared` },
          { name: 'check', command: `${lock}; echo checked` },
          {
            name: 'serve',
            command: `${lock}; echo $$ > ${notes}/pid-{{mesos.instance}}; exec ${process.execPath} ${notes}/server.js {{thermos.ports[http]}}`,
            min_duration_ms: 50,
            logger: { mode: 'rotate', size_bytes: 4_096, backups: 2 },
          },
        ],
        health_check: {
          checker: { type: 'http', port: 'http', path: '/well' },
          ...{ interval_ms: 500, initial_interval_ms: 20_000, timeout_ms: 20_000, max_consecutive_failures: 3 },
        },
      });
      if (answer.status !== 201) throw new Error(`${key}: ${answer.status} ${answer.text}`);
    },
    whole: doomed =>
      until(
        'the service to be whole',
        async () => {
          const pids = await look().catch(() => undefined);
          return pids !== undefined && !pids.some(pid => doomed.has(pid)) && pids;
        },
        given_up_ms,
      ),
    async strike(victim, index) {
      switch (victim) {
        case 'process': {
          const pid = await until(`a server of instance ${index}`, () => pidOf(index));
          send(pid, 'SIGKILL');
          return [pid];
        }
        case 'executor':
          await fell('mesos/executor/main.js', index);
          return [];
        case 'container': {
          // Its start script; the agent takes the rest for gone with it, and ends it.
          const pid = pidOf(index);
          await fell('horae-executor/run', index);
          return pid === undefined ? [] : [pid];
        }
        case 'agent':
          await killAlone(mesos.child);
          mesos = await startMesos(t, work_dir, mesos_flags, listen);
          return [];
        case 'scheduler':
          await killAlone(scheduler);
          scheduler = launch();
          api = await reached(scheduler);
          return [];
      }
    },
    doubles: () =>
      orEmpty(() => readFileSync(join(notes, 'doubles'), 'utf8'))
        .split('\n')
        .filter(Boolean),
  };
}
/** On a machine that does other things as well. */
const reached = async (child: Child): Promise<Api> => apiAt((await child.line(/Console: (\S+)/, given_up_ms))[1]!);
type Instance = InstanceAnswer & { readonly ports?: Readonly<Record<string, number>> };

/** A process may end between two looks at it, and what nobody has written is not there. */
function orEmpty(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
