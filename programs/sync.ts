// sync.ts: `horae sync`: reads a directory, asks a scheduler, plans, tells, and carries it out.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout } from 'node:timers/promises';
import { checkJob } from '../actors/checks.ts';
import { calendarNames } from '../actors/model/schedules.ts';
import { systemClock } from '../schedules/clock.ts';
import { asksHelp } from '../transport/cli/arguments.ts';
import {
  printDone,
  printFailed,
  printFinding,
  printPlanned,
  printStep,
  readSync,
  type SyncRequest,
  sync_usage,
} from '../transport/cli/sync.ts';
import { apply, type Performed } from '../transport/sync/apply.ts';
import { chronosDialect } from '../transport/sync/chronos.ts';
import { chronosServer } from '../transport/sync/chronos-server.ts';
import type { Check, Dialect, Layout } from '../transport/sync/dialect.ts';
import { readDirectory } from '../transport/sync/files.ts';
import { createLink, NoAnswer, Refused } from '../transport/sync/link.ts';
import { nativeDialect } from '../transport/sync/native.ts';
import { nativeServer } from '../transport/sync/native-server.ts';
import { type Finding, type Found, type Plan, plan, type Step } from '../transport/sync/plan.ts';
import { brokenNames, type Reading, readTexts } from '../transport/sync/reading.ts';
import type { Remote } from '../transport/sync/server.ts';
import { version } from './start.ts';

/** 2 says that there is something to do, so everything that went wrong is 1 here, a slip of the fingers too. */
const status = { nothing_to_do: 0, failed: 1, something_to_do: 2 } as const;

/** How a sync speaks to whoever started it. */
export type Voice = {
  readonly say: (line: string) => void;
  readonly complain: (line: string) => void;
  /** undefined: nobody is there to answer. */
  readonly ask: (question: string) => Promise<string | undefined>;
};
type Asked = SyncRequest & Voice;

export async function sync(argv: readonly string[]): Promise<void> {
  process.exitCode = await syncAs({ say: console.log, complain: console.error, ask: atTerminal }, argv, process.env);
}

/** The status with which the program ends. */
export async function syncAs(
  voice: Voice,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (asksHelp(argv)) {
    voice.say(sync_usage);
    return 0;
  }
  const read = readSync(argv, env);
  if (!read.ok) {
    for (const problem of read.problems) voice.complain(`horae: ${problem.message}`);
    return status.failed;
  }
  try {
    const asked = { ...read.value, ...voice };
    return asked.what === 'init' ? await init(asked) : await synchronise(asked);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    const is_known = error instanceof NoAnswer || error instanceof Refused || error instanceof NoRoles;
    if (is_known) voice.complain(`horae: ${error.message}`);
    else if (code !== undefined && path !== undefined) voice.complain(`horae: ${path} cannot be written: ${code}`);
    else throw error;
    return status.failed;
  }
}

async function atTerminal(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asked.question(question);
  asked.close();
  return answer;
}

class NoRoles extends Error {
  override readonly message = "Chronos's jobs have no roles: expected no --role with its layout";
}

const clock = systemClock();

/** What the server would say of a job, as far as that can be known here: days of calendars that have names are its own. */
const check: Check = job => {
  const named = calendarNames(job).length > 0;
  const schedules = named ? job.schedules.map(({ calendar: _, ...rest }) => rest) : job.schedules;
  return checkJob({ ...job, schedules }, clock.now(), { default_zone: process.env.HORAE_DEFAULT_ZONE ?? 'UTC' });
};

/** The scheduler, in the tongue that the layout has. The dialect is final once the scheduler has been listed. */
function serverFor(request: Asked, layout: Layout): { readonly remote: Remote; readonly dialect: () => Dialect } {
  const waiting = (why: string) => request.complain(`horae: ${why}; trying again for ${request.timeout_ms / 1_000} s`);
  const link = createLink({ ...request, waiting });
  if (layout === 'native') {
    const dialect = nativeDialect(check);
    return { remote: nativeServer(link, dialect, request.force), dialect: () => dialect };
  }
  const remote = chronosServer(link, kind => chronosDialect(check, kind), request.force);
  return { remote, dialect: () => chronosDialect(check, remote.kind()) };
}

/** What there is to say at the end. */
type Report = {
  readonly layout: Layout;
  readonly findings: readonly Finding[];
  readonly notes: readonly Finding[];
  readonly plan?: Plan;
  readonly performed: readonly Performed[];
  /** Nobody said that it may be done. */
  readonly undeleted?: true;
};

async function synchronise(request: Asked): Promise<number> {
  const report = await work(request);
  const { findings, performed, undeleted, plan: planned } = report;
  const wrong = findings.length + performed.filter(each => each.outcome.type !== 'done').length > 0;
  const to_do = request.what === 'plan' && planned !== undefined && planned.steps.length > 0;
  const code = wrong || undeleted ? status.failed : to_do ? status.something_to_do : status.nothing_to_do;
  if (request.json) request.say(JSON.stringify({ status: code, ...asJson(report) }, undefined, 2));
  return code;
}

async function work(request: Asked): Promise<Report> {
  const { dir, what, delete_missing, strict, json, say, complain } = request;
  const directory = readDirectory(dir, request.layout);
  if (directory.layout === 'chronos' && request.roles.length > 0) throw new NoRoles();
  const { remote, dialect } = serverFor(request, directory.layout);
  const reading = readTexts(directory.texts, dialect());
  const amiss = [...directory.findings, ...reading.findings];
  const { notes } = reading;
  tell(request, amiss);
  for (const each of notes) complain(`note: ${printFinding(dir, each)}`);
  const report = { layout: directory.layout, notes, findings: amiss, performed: [] };
  // A directory that cannot be read as one says nothing of any job.
  if (directory.findings.some(each => each.file === '') || (strict && amiss.length > 0)) return report;

  const found = what === 'validate' ? [] : await remote.list();
  const planned = plan(comparison(request, reading, directory.findings, found, dialect()));
  tell(request, planned.findings);
  const findings = [...amiss, ...planned.findings];
  if (what === 'validate') {
    if (findings.length === 0 && !json) say(`${reading.wanted.length} job files are right.`);
    return { ...report, findings };
  }
  if (delete_missing && amiss.length > 0) complain('horae: nothing is deleted, since not every file could be read');
  if (!json) {
    for (const step of planned.steps) say(printStep(step, what === 'plan'));
    say(printPlanned(planned));
  }
  const reported = { ...report, findings, plan: planned };
  if (what !== 'plan' && strict && findings.length > 0) complain('horae: nothing is sent, since something is wrong');
  if (what === 'plan' || planned.steps.length === 0 || (strict && findings.length > 0)) return reported;
  if (await mayDelete(planned, request))
    return { ...reported, performed: await carryOut(planned.steps, remote, request) };
  const kept = planned.steps.filter(step => step.kind !== 'delete');
  return { ...reported, performed: await carryOut(kept, remote, request), undeleted: true };
}

function comparison(
  { roles, delete_missing, force, what }: SyncRequest,
  reading: Reading,
  amiss: readonly Finding[],
  found: readonly Found[],
  dialect: Dialect,
): Parameters<typeof plan>[0] {
  const { roleOf, compare, brandNew, layout } = dialect;
  const is_asked = (name: string) => roles.length === 0 || roles.includes(roleOf(name) ?? '');
  const wanted = reading.wanted.filter(each => is_asked(each.name));
  const ours = new Set(wanted.map(each => roleOf(each.name)));
  const names = new Set([...found.map(each => each.name), ...wanted.flatMap(each => each.parents)]);
  return {
    wanted,
    broken: brokenNames(reading, amiss, names, dialect),
    found,
    compare,
    brandNew,
    // What is missing can only be said when everything has been read.
    delete_missing: delete_missing && amiss.length + reading.findings.length === 0,
    force,
    // A directory speaks of the roles that have files in it. Whose has none is somebody else's, unless it is named.
    covers: name => is_asked(name) && (roles.length > 0 || ours.has(roleOf(name))),
    // Keys of other roles, among Chronos's names; and without a server, whoever lives in roles that have no files here.
    elsewhere: name => (layout === 'chronos' ? name.includes('/') : what === 'validate' && !ours.has(roleOf(name))),
  };
}

function carryOut(steps: readonly Step[], remote: Remote, asked: Asked): Promise<readonly Performed[]> {
  const { dir, json, say, complain } = asked;
  return apply(steps, {
    remote,
    pause: ms => setTimeout(ms),
    told({ step, outcome }) {
      if (outcome.type !== 'done') for (const line of printFailed(dir, step, outcome)) complain(line);
      else if (!json) say(printDone(step));
    },
  });
}

/** More of them are of no help to anybody. */
const findings_told_max = 1_000;

function tell({ dir, complain }: Asked, findings: readonly Finding[]): void {
  for (const each of findings.slice(0, findings_told_max)) complain(printFinding(dir, each));
  const more = findings.length - findings_told_max;
  if (more > 0) complain(`horae: and ${more} more`);
}

/** Whether what no file names may go: asked of whoever sits there. */
async function mayDelete({ steps }: Plan, { yes, ask, complain }: Asked): Promise<boolean> {
  const count = steps.filter(step => step.kind === 'delete').length;
  if (count === 0 || yes) return true;
  const answer = await ask(`Delete ${count === 1 ? '1 job and kill its' : `${count} jobs and kill their`} runs? [yN] `);
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return true;
  complain(`horae: ${count === 1 ? '1 job was' : `${count} jobs were`} not deleted: nobody said yes; --yes says it`);
  return false;
}

function asJson({ layout, findings, notes, plan: planned, performed }: Report): object {
  return {
    layout,
    findings,
    notes,
    ...(planned === undefined
      ? {}
      : {
          same: planned.same,
          unnamed: planned.unnamed,
          steps: planned.steps.map(step => ({
            kind: step.kind,
            job: step.name,
            ...(step.kind === 'delete' ? {} : { file: step.wanted.file, changes: step.changes }),
          })),
        }),
    outcomes: performed.map(({ step, outcome }) => ({ kind: step.kind, job: step.name, ...outcome })),
  };
}

// --- the other way round ------------------------------------------------------------------------------------------------

/** Writes the jobs of a scheduler as files. What is there already is left alone, unless it is to be written over. */
async function init(request: Asked): Promise<number> {
  const { dir, force, keep_disabled, json, url, roles, say, complain } = request;
  const { remote, dialect, layout } = await listedBy(request);
  if (layout === 'chronos' && roles.length > 0) throw new NoRoles();
  const found = (await remote.list()).filter(
    each => each.foreign === undefined && (roles.length === 0 || roles.includes(dialect().roleOf(each.name) ?? '')),
  );
  const files = dialect().write(found, {
    source: `${new URL(url).origin}, written by horae sync --init (${version})`,
    keep_disabled,
  });
  const root = resolve(dir);
  const there = readDirectory(root, layout).texts.length;
  if (there > 0 && !force) {
    complain(`horae: there are ${there} job files in ${dir} already: expected an empty directory, or --force`);
    return status.failed;
  }
  mkdirSync(root, { recursive: true });
  for (const { file, text } of files) {
    const path = join(root, file);
    mkdirSync(dirname(path), { recursive: true });
    // Whoever reads at this moment finds a whole file, the old one or the new one.
    rmSync(`${path}.new`, { force: true });
    writeFileSync(`${path}.new`, text, { flag: 'wx' });
    renameSync(`${path}.new`, path);
  }
  if (layout === 'chronos')
    for (const folder of ['scheduled', 'dependent']) mkdirSync(join(root, folder), { recursive: true });
  if (json) say(JSON.stringify({ status: 0, layout, files: files.map(each => each.file) }, undefined, 2));
  else say(`${files.length} files written.`);
  return status.nothing_to_do;
}

/** Which tongue a scheduler is asked in, where nobody said: Horae's own, and that of Chronos where it does not answer to that. */
async function listedBy(
  request: Asked,
): Promise<{ readonly remote: Remote; readonly dialect: () => Dialect; readonly layout: Layout }> {
  if (request.layout !== undefined) return { ...serverFor(request, request.layout), layout: request.layout };
  const native = serverFor(request, 'native');
  try {
    await native.remote.list();
    return { ...native, layout: 'native' };
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) throw error;
    return { ...serverFor(request, 'chronos'), layout: 'chronos' };
  }
}
