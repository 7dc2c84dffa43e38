// callers.ts: people who want something run while everything falls to pieces, and insist on it.
//
// Each wish has a name (its Idempotency-Key). It is told to one node after the other, whichever comes next, until one says
// that it is done, and then once more to another node, which is to name the same run. So a wish is a write that meets every
// fault on its way: at a standby, on the link to the leader, at a leader that dies over it. In the end every wish has one
// run, which was begun once, and there are no runs that nobody wished for.

import { existsSync, readFileSync } from 'node:fs';
import type { Api } from '../program/horae.ts';

export type Wish = {
  readonly name: string;
  readonly asked_ms: number;
  readonly tries: number;
  /** When it was done, and as which run; undefined when nobody would do it. */
  readonly done?: { readonly at_ms: number; readonly run: string };
  /** The run that another node named for it afterwards. */
  readonly again?: string;
};
export type Calls = {
  readonly asked: number;
  readonly done: number;
  /** Told more than once before it was done. */
  readonly repeated: number;
  readonly lost: number;
  readonly doubled: number;
  /** From the first word to the yes. */
  readonly waits_ms: readonly number[];
  readonly complaints: readonly string[];
};
/** A run that was begun, as it wrote itself. */
export type Beginning = { readonly run: string; readonly attempt: number };

const key = 'chaos/test/wish';
const pause_ms = 1_000;
/** As long as a node lets a write wait, and more. */
const answer_ms_max = 20_000;

export const wishJob = (book: string) => ({
  role: 'chaos',
  environment: 'test',
  name: 'wish',
  command: `printf '%s %s\\n' "$HORAE_RUN_ID" "$HORAE_ATTEMPT" >> "$BOOK"`,
  env: { BOOK: book },
  // Nobody is due of himself; a job without a schedule would run once as it comes.
  cron: '0 0 29 2 *',
  overlap: { policy: 'allow', max: 1_000 },
  cpus: 0.02,
  mem: 16,
});

/** Wishes something new every second until it is told to stop; then insists until `give_up_ms` on what is not done. */
export function startCallers(apis: readonly Pick<Api, 'url'>[]): {
  stop(give_up_ms: number): Promise<readonly Wish[]>;
} {
  const begun = new Set<Promise<Wish>>();
  let over_at = Number.POSITIVE_INFINITY;
  let count = 0;
  const next = () => {
    const n = count++;
    begun.add(insist(n));
  };
  const timer = setInterval(next, pause_ms);

  async function insist(n: number): Promise<Wish> {
    const name = `wish-${n}`;
    const asked_ms = Date.now();
    for (let tries = 1; ; tries++) {
      const run = await tell(apis[(n + tries) % apis.length]!, name);
      if (run !== undefined) {
        const done = { at_ms: Date.now(), run };
        const again = await tell(apis[(n + tries + 1) % apis.length]!, name);
        return { name, asked_ms, tries, done, ...(again === undefined ? {} : { again }) };
      }
      if (Date.now() > over_at) return { name, asked_ms, tries };
      await new Promise(resume => setTimeout(resume, pause_ms));
    }
  }

  return {
    stop(give_up_ms) {
      clearInterval(timer);
      over_at = Date.now() + give_up_ms;
      return Promise.all(begun);
    },
  };
}

/** The run that a node named; undefined when it is away, or says no. */
async function tell({ url }: Pick<Api, 'url'>, name: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${url}/api/v1/jobs/${key}/runs`, {
      method: 'POST',
      headers: { 'idempotency-key': name },
      signal: AbortSignal.timeout(answer_ms_max),
    });
    const { run } = (await answer.json()) as { readonly run?: string };
    return answer.status === 202 ? run : undefined;
  } catch {
    return undefined; // Dead, stopped, or not reached: the next one is asked.
  }
}

export const readBeginnings = (book: string): readonly Beginning[] =>
  (existsSync(book) ? readFileSync(book, 'utf8') : '')
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [run, attempt, ...rest] = line.split(' ');
      if (run === undefined || rest.length > 0 || !(Number(attempt) > 0)) throw new Error(`torn line: "${line}"`);
      return { run, attempt: Number(attempt) };
    });

/** `kept`: the runs that the cluster has of the job in the end. */
export function judge(wishes: readonly Wish[], begun: readonly Beginning[], kept: readonly string[]): Calls {
  const complaints: string[] = [];
  const times = new Map<string, number>();
  for (const { run } of begun) times.set(run, (times.get(run) ?? 0) + 1);
  const owners = new Map<string, string>();
  let lost = 0;
  let doubled = 0;
  for (const { name, done, again, tries } of wishes) {
    if (done === undefined) {
      complaints.push(`${name} was told ${tries} times, and never done`);
      continue;
    }
    const other = owners.get(done.run);
    if (other !== undefined) complaints.push(`${name} and ${other} were given one run, ${done.run}`);
    owners.set(done.run, name);
    if (again !== undefined && again !== done.run)
      complaints.push(`${name} is run ${done.run} at one node, and ${again} at another`);
    const starts = times.get(done.run) ?? 0;
    if (starts === 0) lost++;
    if (starts > 1) doubled++;
    if (starts !== 1)
      complaints.push(`${name} was promised as ${done.run}, which began ${starts} times: expected once`);
    if (!kept.includes(done.run)) complaints.push(`${name} was promised as ${done.run}, which no node knows`);
  }
  for (const run of new Set([...kept, ...times.keys()]))
    if (!owners.has(run)) complaints.push(`${run} was run, and no wish was answered with it`);
  return {
    asked: wishes.length,
    done: owners.size,
    repeated: wishes.filter(({ tries }) => tries > 1).length,
    lost,
    doubled,
    waits_ms: wishes.flatMap(({ asked_ms, done }) => (done === undefined ? [] : [done.at_ms - asked_ms])),
    complaints,
  };
}
