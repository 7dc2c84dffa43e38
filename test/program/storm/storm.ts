// storm.ts: the real program, killed again and again while it is given work, and then held to its word.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobKey, RunId, TaskId } from '../../../actors/model/ids.ts';
import { mulberry32 } from '../../mesos/support/seeded.ts';
import type { Child } from '../../support/child.ts';
import { killUnder, send } from '../../support/processes.ts';
import type { Owner } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { type Api, apiAt, type JobAnswer, jobsOf, outcomesOf, type RunAnswer, runsOf, urlOf } from '../horae.ts';
import { type Entry, keyOf, type Place, victim } from './jobs.ts';
import { readLedger } from './ledger.ts';
import { type Blow, blows, type Operation, operations } from './plan.ts';
import { oneProgram, type Stage, twoPrograms } from './stage.ts';
import { type Complaint, type Facts, judge, type Verdict } from './verdict.ts';

export type Report = Verdict & { readonly seed: number; readonly kills: number; readonly directory: string };
export type StormOptions = {
  readonly kills: number;
  readonly seed: number;
  /** One line now and then, for whoever waits. */
  readonly say: (line: string) => void;
  /** Scheduler and Mesos as two programs, both of which are killed. */
  readonly apart?: boolean;
};

/** Between two writes. */
const gap_ms_max = 200;
/** A blow that waits for a write which never comes falls at last. */
const blow_ms_max = 5_000;
/** How long it works before it is asked to end. */
const stopping_ms_max = 2_000;
const settle_ms_max = 120_000;
/** How often the Mesos beside the scheduler is struck too. */
const mesos_strikes = 0.4;

/** Storms, and judges. The directory stays when there is something to look at. */
export async function storm(t: Owner, { kills, seed, say, apart = false }: StormOptions): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), `horae-storm-${seed}-`));
  // Whatever happens, no process of ours stays.
  t.teardown(() => killUnder(directory));
  const place: Place = { ledger: join(directory, 'ledger'), locks: join(directory, 'locks') };
  mkdirSync(place.locks);
  const stage = apart ? await twoPrograms(t, directory) : oneProgram(t, directory);
  const weather = new Weather({ directory, stage, place, seed, say });
  const verdict = await weather.judged(kills);
  const complaints = [...weather.complaints, ...verdict.complaints];
  writeFileSync(join(directory, 'complaints.txt'), complaints.map(({ kind, text }) => `${kind}: ${text}\n`).join(''));
  await killUnder(directory);
  if (complaints.length === 0) rmSync(directory, { recursive: true });
  return { ...verdict, complaints, seed, kills, directory };
}

export const reportLine = ({ kills, runs, targets, adopted, complaints, seed }: Report): string => {
  const count = (kind: Complaint['kind']) => complaints.filter(each => each.kind === kind).length;
  const wrong = count('untrue') + count('stray');
  return (
    `crash: ${kills} kills, ${runs} runs, ${targets} targets, ${adopted} adopted, lost ${count('lost')}, ` +
    `doubled ${count('doubled')}${wrong > 0 ? `, wrong ${wrong}` : ''} (seed ${seed})`
  );
};

type Sky = {
  readonly directory: string;
  readonly stage: Stage;
  readonly place: Place;
  readonly seed: number;
  readonly say: (line: string) => void;
};

/** The scheduler could not be reached, since it was killed. */
class Struck extends Error {}

class Weather {
  readonly complaints: Complaint[] = [];
  readonly #sky: Sky;
  readonly #chance: () => number;
  readonly #operations: Generator<Operation, never>;
  /** The operation that is under way, and whether it was sent before: then its fate may be unknown. */
  #next: { readonly operation: Operation; sent: boolean } | undefined;
  /** What was acknowledged. */
  readonly #jobs = new Map<JobKey, Entry>();
  readonly #gone = new Set<JobKey>();
  readonly #wishes: { key: JobKey; run: RunId; wish: string }[] = [];
  readonly #across = new Set<TaskId>();
  readonly #victims = new Set<TaskId>();
  readonly #doubtful = new Set<TaskId>();
  #child: Child | undefined;
  #lives = 0;

  constructor(sky: Sky) {
    this.#sky = sky;
    this.#chance = mulberry32(sky.seed + 1);
    this.#operations = operations(mulberry32(sky.seed + 2), sky.place);
  }

  /** All of it. A storm that cannot go on is judged by what it saw. */
  async judged(kills: number): Promise<Verdict> {
    try {
      await this.#rage(kills);
      const verdict = judge(await this.#settle());
      await this.#end();
      return verdict;
    } catch (error) {
      this.#complain('stray', `the storm could not go on: ${error instanceof Error ? error.message : String(error)}`);
      return { complaints: [], runs: 0, targets: 0, adopted: 0 };
    }
  }

  async #rage(kills: number): Promise<void> {
    const plan = blows(mulberry32(this.#sky.seed));
    for (let kill = 1; kill <= kills; kill++) {
      const blow = plan.next().value;
      await this.#live(blow);
      this.#sky.say(`kill ${kill} of ${kills}: ${JSON.stringify(blow)}`);
      if (kill === Math.ceil(kills / 2)) await this.#killWrapper();
    }
  }

  /** One life of the program, until the blow. */
  async #live(blow: Blow): Promise<void> {
    const child = this.#launch();
    if (blow.when === 'starting') {
      const timer = setTimeout(() => child.send('SIGKILL'), blow.after_ms);
      await child.ended;
      clearTimeout(timer);
    } else {
      const api = apiAt(await urlOf(child));
      const counted = blow.when === 'running' || blow.when === 'everything';
      const timers = [setTimeout(() => child.send('SIGKILL'), counted ? blow.after_ms : blow_ms_max)];
      // The Mesos beside it goes at a moment of its own, and may still be coming back when the scheduler does.
      const { strike } = this.#sky.stage;
      const stricken = strike !== undefined && this.#chance() < mesos_strikes ? strike() : undefined;
      stricken?.catch((error: unknown) => this.#complain('stray', `Mesos did not come back: ${String(error)}`));
      if (blow.when === 'stopping') {
        const stop = () => {
          child.send('SIGTERM');
          timers.push(setTimeout(() => child.send('SIGKILL'), blow.after_ms));
        };
        timers.push(setTimeout(stop, this.#chance() * stopping_ms_max));
      }
      await this.#work(api, child, blow);
      await child.ended;
      for (const timer of timers) clearTimeout(timer);
      await stricken?.catch(() => undefined); // Complained of above.
      if (blow.when === 'everything') await this.#killTasks();
    }
    await this.#struck(child, blow.when === 'stopping');
  }

  #launch(): Child {
    this.#lives++;
    const child = this.#sky.stage.launch();
    this.#child = child;
    return child;
  }

  /** After a blow: what the program said is kept, and who lives now has to be adopted. */
  async #struck(child: Child, may_end = false): Promise<void> {
    const { status, signal } = await child.ended;
    writeFileSync(join(this.#sky.directory, `life-${this.#lives}.log`), `${child.output()}\n`);
    if (signal !== 'SIGKILL' && !(may_end && status === 0))
      this.complaints.push({
        kind: 'stray',
        text: `life ${this.#lives} ended by itself with ${status ?? signal}: see life-${this.#lives}.log`,
      });
    const written = new Map<TaskId, boolean>();
    for (const line of this.#lines()) written.set(line.task, line.verb === 'end');
    for (const task of this.#sky.stage.liveTasks().keys()) if (written.get(task) === false) this.#across.add(task);
  }

  /** Every process of every task. A task that was ending just then may have left word of it or not. */
  async #killTasks(): Promise<void> {
    await until('the end of every task', () => {
      const tasks = this.#sky.stage.liveTasks();
      for (const [task, pids] of tasks) {
        this.#doubtful.add(task);
        for (const pid of pids) send(pid, 'SIGKILL');
      }
      return tasks.size === 0;
    });
  }

  #lines() {
    const { ledger } = this.#sky.place;
    return existsSync(ledger) ? readLedger(readFileSync(ledger, 'utf8')) : [];
  }

  /** Gives it work until it is struck. */
  async #work(api: Api, child: Child, blow: Blow): Promise<void> {
    let sent = 0;
    let answered = 0;
    const kill = () => child.send('SIGKILL');
    const write: Api['request'] = async (...request) => {
      sent++;
      const answering = api.request(...request);
      if (blow.when === 'sent' && sent === blow.nth) setTimeout(kill, blow.after_ms);
      const answer = await answering;
      answered++;
      // Before anything else happens here: what was promised must hold from this moment on.
      if (blow.when === 'answered' && answered === blow.nth) kill();
      return answer;
    };
    let over = false;
    void child.ended.then(() => {
      over = true;
    });
    try {
      await reach(() => this.#remembers(api));
      while (!over) {
        this.#next ??= { operation: this.#operations.next().value, sent: false };
        await reach(() => this.#carryOut(api, write, this.#next!));
        this.#next = undefined;
        await this.#pause(child);
      }
    } catch (error) {
      if (!(error instanceof Struck)) throw error;
    }
  }

  /** A moment between two writes, cut short by the program's end. */
  #pause(child: Child): Promise<unknown> {
    const gap_ms = this.#chance() * gap_ms_max;
    return Promise.race([child.ended, new Promise<void>(resume => void setTimeout(() => resume(), gap_ms))]);
  }

  /** Straight after a start: every acknowledged job is there, and none that was deleted. */
  async #remembers(api: Api): Promise<void> {
    const there = new Map((await jobsOf(api)).map(job => [job.key, job]));
    for (const key of this.#jobs.keys())
      if (!this.#isUnderWay(key) && !there.has(key))
        this.#complain('lost', `${key} was acknowledged and was not there after a start`);
    for (const key of this.#gone)
      if (!this.#isUnderWay(key) && (there.get(key)?.state ?? 'deleting') !== 'deleting')
        this.#complain('stray', `${key} was deleted and was there after a start`);
  }

  /** Its fate is not known: it was sent, and the answer was swallowed. */
  #isUnderWay(key: JobKey): boolean {
    const operation = this.#next?.operation;
    if (operation === undefined) return false;
    return ('entry' in operation ? keyOf(operation.entry.document) : operation.key) === key;
  }

  /** What goes on for several lives is said once. */
  #complain(kind: Complaint['kind'], text: string): void {
    if (!this.complaints.some(each => each.text === text)) this.complaints.push({ kind, text });
  }

  /** Comes back when the operation is acknowledged, whether now or before a crash that swallowed the answer. */
  async #carryOut(
    api: Api,
    write: Api['request'],
    next: { readonly operation: Operation; sent: boolean },
  ): Promise<void> {
    const { operation } = next;
    const again = next.sent;
    next.sent = true;
    const unexpected = (what: string, answer: { status: number; text: string }) =>
      this.#complain('untrue', `${what} was answered ${answer.status} ${answer.text}`);
    switch (operation.type) {
      case 'create': {
        const key = keyOf(operation.entry.document);
        const answer = await write('POST', '/api/v1/jobs', operation.entry.document);
        if (answer.status !== 201 && !(again && answer.status === 409)) unexpected(`creating ${key}`, answer);
        this.#jobs.set(key, operation.entry);
        this.#gone.delete(key);
        return;
      }
      case 'replace': {
        const key = keyOf(operation.entry.document);
        const path = `/api/v1/jobs/${key}`;
        const present = (await api.get(path)) as JobAnswer;
        const answer = await write('PUT', path, operation.entry.document, { 'if-match': present.etag });
        if (answer.status !== 200) unexpected(`replacing ${key}`, answer);
        this.#jobs.set(key, operation.entry);
        return;
      }
      case 'delete': {
        const answer = await write('DELETE', `/api/v1/jobs/${operation.key}`);
        if (answer.status !== 204 && !(again && answer.status === 404)) unexpected(`deleting ${operation.key}`, answer);
        this.#jobs.delete(operation.key);
        this.#gone.add(operation.key);
        return;
      }
      case 'run': {
        const { key, wish } = operation;
        const answer = await write('POST', `/api/v1/jobs/${key}/runs`, undefined, { 'idempotency-key': wish });
        if (answer.status !== 202) unexpected(`a run of ${key} for ${wish}`, answer);
        else this.#wishes.push({ key, wish, run: (answer.body() as { run: RunId }).run });
        return;
      }
      case 'kill-all': {
        const answer = await write('POST', `/api/v1/jobs/${operation.key}/kill`);
        if (answer.status !== 202) unexpected(`killing ${operation.key}`, answer);
      }
    }
  }

  // --- the victim -------------------------------------------------------------------------------------------------

  /** Kills a wrapper while nobody watches: the one case in which an end may be told as unknown. */
  async #killWrapper(): Promise<void> {
    const entry = victim(this.#sky.place);
    const key = keyOf(entry.document);
    const child = this.#launch();
    const api = apiAt(await urlOf(child));
    const answer = await api.request('POST', '/api/v1/jobs', entry.document);
    if (answer.status !== 201) throw new Error(`the victim was answered ${answer.status} ${answer.text}`);
    this.#jobs.set(key, entry);
    const started = await until('the victim to start', () => this.#lines().find(line => line.job === key));
    child.send('SIGKILL');
    await this.#struck(child);
    const pid = this.#sky.stage.wrapperPid(started.task);
    if (pid === undefined || Number.isNaN(pid)) throw new Error(`the wrapper of ${started.task} did not sign`);
    send(pid, 'SIGKILL');
    this.#victims.add(started.task);
    this.#across.delete(started.task);
  }

  // --- the calm after ---------------------------------------------------------------------------------------------

  /** Lets it come to rest, and gathers what both sides say. */
  async #settle(): Promise<Facts> {
    const api = apiAt(await urlOf(this.#launch()));
    await this.#remembers(api);
    if (this.#next !== undefined) await this.#carryOut(api, api.request, this.#next);
    this.#next = undefined;
    const limit = Date.now();
    const recurring = [...this.#jobs].filter(([, { sort }]) => sort.kind === 'recurring');
    for (const [key, { sort }] of recurring) {
      const last = Math.floor(limit / sort.period_ms!) * sort.period_ms!;
      const created_at = Date.parse(((await api.get(`/api/v1/jobs/${key}`)) as JobAnswer).created_at);
      if (last < created_at) continue;
      await this.#comes(`${key} to have decided its targets up to now`, async () => {
        const page = (await api.get(`/api/v1/jobs/${key}/outcomes?limit=1`)) as { outcomes: { to: string }[] };
        return page.outcomes.some(({ to }) => Date.parse(to) >= last);
      });
    }
    for (const [key] of recurring) {
      const answer = await api.request('POST', `/api/v1/jobs/${key}/disable`);
      if (answer.status !== 200) throw new Error(`disabling ${key}: ${answer.status} ${answer.text}`);
    }
    await this.#comes('every run to end, every service to stand, and every deleted job to be gone', async () => {
      const jobs = await jobsOf(api);
      const busy = jobs.filter(({ key, active_runs, waiting_starts }) => {
        const sort = this.#jobs.get(key)?.sort;
        return sort === undefined || (sort.kind !== 'service' && (active_runs > 0 || waiting_starts > 0));
      });
      if (busy.length > 0) return false;
      for (const [key, { sort, document }] of this.#jobs)
        if (sort.copies !== undefined && !(await this.#stands(api, key, document.env.GENERATION!))) return false;
      return true;
    });
    return this.#facts(api, limit);
  }

  async #stands(api: Api, key: JobKey, generation: string): Promise<boolean> {
    const running = (await runsOf(api, key))
      .filter(run => run.state === 'running')
      .flatMap(run => run.instances.filter(({ state }) => state === 'running').map(({ task_id }) => task_id!));
    const mine = new Set(
      this.#lines()
        .filter(line => line.generation === generation && line.verb === 'start')
        .map(line => line.task),
    );
    const copies = this.#jobs.get(key)?.sort.copies;
    return running.length === copies && running.every(task => mine.has(task));
  }

  async #facts(api: Api, limit: number): Promise<Facts> {
    const lines = this.#lines();
    const told = new Map((await jobsOf(api)).map(job => [job.key, job]));
    const keys = new Set<JobKey>([...this.#jobs.keys(), ...told.keys(), ...lines.map(({ job }) => job)]);
    const runs = new Map<JobKey, readonly RunAnswer[]>();
    const outcomes: Map<JobKey, Awaited<ReturnType<typeof outcomesOf>>> = new Map();
    for (const key of keys) {
      // A job that was deleted before any run of it ended has left nothing.
      const there = told.has(key) || (await api.request('GET', `/api/v1/jobs/${key}/runs`)).status === 200;
      runs.set(key, there ? await runsOf(api, key) : []);
      outcomes.set(key, told.has(key) ? await outcomesOf(api, key) : []);
    }
    return {
      jobs: new Map(
        [...this.#jobs].map(([key, { sort, document }]) => [key, { sort, generation: document.env.GENERATION! }]),
      ),
      wishes: this.#wishes,
      told,
      runs,
      outcomes,
      lines,
      alive: new Set(this.#sky.stage.liveTasks().keys()),
      across: this.#across,
      victims: this.#victims,
      doubtful: this.#doubtful,
      until: limit,
    };
  }

  /** Waits, and complains instead of failing: what there is then is judged all the same. */
  async #comes(what: string, probe: () => Promise<boolean>): Promise<void> {
    try {
      await until(what, probe, settle_ms_max);
    } catch (error) {
      this.#complain('lost', error instanceof Error ? error.message : String(error));
    }
  }

  /** A last life ends in good order, and its services live on. */
  async #end(): Promise<void> {
    const child = this.#child!;
    child.send('SIGTERM');
    const { status, signal } = await child.ended;
    writeFileSync(join(this.#sky.directory, `life-${this.#lives}.log`), `${child.output()}\n`);
    if (status !== 0) this.#complain('untrue', `SIGTERM ended the program with ${status ?? signal}: expected 0`);
  }
}

/** Turns the errors of a connection that broke into one that says so. */
async function reach<T>(what: () => Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (error) {
    // fetch: a refused, closed or reset connection, or an answer that was cut off.
    if (error instanceof TypeError) throw new Struck('the program is gone', { cause: error });
    throw error;
  }
}
