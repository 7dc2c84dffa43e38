// work.test.ts: the real program does real work: every kind of job runs, is seen, is followed and is ended.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { isAlive } from '../support/processes.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, everything, outcomesOf, type RunAnswer, runsOf, startHorae } from './horae.ts';

// One program for all of them: they must not disturb each other anyhow.
const owner = fileOwner();
let api: Api;
let scratch: string;
test.before(async () => {
  scratch = await tempDir(owner);
  const flags = ['--agent-resources', 'cpus:16;mem:16000;disk:10000'];
  ({ api } = await startHorae(owner, join(scratch, 'data'), flags));
});
test.after.always(owner.clean);

async function create(name: string, fields: object): Promise<string> {
  const key = `me/test/${name}`;
  const answer = await api.request('POST', '/api/v1/jobs', { role: 'me', environment: 'test', name, ...fields });
  if (answer.status !== 201) throw new Error(`${key}: ${answer.status} ${answer.text}`);
  return key;
}
const written = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);
const only = (runs: readonly RunAnswer[]) => runs.length === 1 && runs[0]!;
const started = (key: string) =>
  until(`${key} to run`, async () => (await runsOf(api, key)).find(({ state }) => state === 'running'));

test('a job without a schedule runs once, and its exit code and output are told', async t => {
  const key = await create('once', { command: 'echo out; echo err >&2; exit 3' });
  const run = await until('its end', async () => {
    const found = only(await runsOf(api, key));
    return found && found.state === 'failed' && found;
  });
  t.like(run.instances[0], { state: 'failed', attempt: 1, failures: 1, reason: { code: 'exited', exit_code: 3 } });
  t.is((await api.request('GET', run.instances[0]!.links.stdout!)).text, 'out\n');
  t.is((await api.request('GET', run.instances[0]!.links.stderr!)).text, 'err\n');
  t.is((await runsOf(api, key)).length, 1);
});

test('a failed attempt is tried again as often as the job says, each in a sandbox of its own', async t => {
  const command =
    'ls -A | grep -v -e stdout -e stderr; touch mine; echo attempt $HORAE_ATTEMPT; [ $HORAE_ATTEMPT = 3 ]';
  const key = await create('again', { command, retries: 5, retry_delay_ms: 10 });
  const run = await until('its end', async () => (await runsOf(api, key)).find(({ state }) => state === 'succeeded'));
  t.like(run.instances[0], { attempt: 3, failures: 2 });
  for (const attempt of [1, 2, 3]) {
    const { text } = await api.request('GET', `${run.instances[0]!.links.stdout!}?attempt=${attempt}`);
    t.is(text, `attempt ${attempt}\n`);
  }
});

test('a cron job with seconds runs at each of its targets, and knows for which', async t => {
  const path = join(scratch, 'cron');
  const command = `echo "$HORAE_SCHEDULED_AT" >> ${path}`;
  const key = await create('cron', {
    command,
    cron: '* * * * * *',
    overlap: { policy: 'allow' },
    catch_up: { policy: 'all' },
  });
  const lines = await until('four targets', () => written(path).length >= 4 && written(path));
  const outcomes = await outcomesOf(api, key);
  t.is((await api.request('DELETE', `/api/v1/jobs/${key}`)).status, 204);
  const targets = lines.map(line => Date.parse(line)).sort((a, b) => a - b);
  for (const [index, target] of targets.entries()) t.is(target, targets[0]! + 1000 * index);
  for (const target of targets.slice(0, -1))
    t.is(outcomes.filter(({ from }) => Date.parse(from) === target).length, 1, new Date(target).toISOString());
});

test('a service has its copies, and one that ends is started again', async t => {
  const key = await create('service', { command: 'echo $$; exec sleep 1000', service: true, instances: 2 });
  const running = async () => {
    const run = only(await runsOf(api, key));
    const instances = run === false ? [] : run.instances.filter(({ state }) => state === 'running');
    return instances.length === 2 && instances;
  };
  const before = await until('both copies', running);
  t.deepEqual(before.map(({ index }) => index).sort(), [0, 1]);
  const output = () => api.request('GET', before[0]!.links.stdout!);
  const pid = Number(await until('its number', async () => (await output()).text.trim() || undefined));
  process.kill(pid, 'SIGKILL');
  const after = await until('another in its place', async () => {
    const found = await running();
    if (found === false) return false;
    return found.some(({ index, attempt }) => index === before[0]!.index && attempt === 2) && found;
  });
  t.is(after.find(({ index }) => index === before[1]!.index)?.attempt, 1);
});

test('a log is followed while it is written, to its end', async t => {
  const go = join(scratch, 'go');
  const command = `echo first; while [ ! -e ${go} ]; do sleep 0.1; done; echo second`;
  const run = await started(await create('followed', { command }));
  const response = await fetch(`${api.url}${run.instances[0]!.links.stdout!}?follow=true`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    // Only what was followed up to here makes it go on.
    if (text === 'first\n') writeFileSync(go, '');
  }
  t.is(text, 'first\nsecond\n');
});

test('a job that can never fit is accepted, and says what is missing where', async t => {
  const key = await create('huge', { command: 'true', cpus: 5000 });
  // Asked in the moment in which everything is lent to others, it says that instead.
  const reason = await until('a reason that speaks of cpus', async () => {
    const run = only(await runsOf(api, key));
    const said = run === false ? undefined : run.instances[0]?.pending_reason;
    return said?.includes('cpus') === true && said;
  });
  t.regex(reason, /5,?000/);
  const pending = await everything<{ instance: string; summary: string }>(api, '/api/v1/pending', 'pending');
  t.true(pending.some(({ instance }) => instance.startsWith(`${key}/`)));
});

test('a killed run gets SIGTERM, then SIGKILL, with all of its process group', async t => {
  const command = `trap 'echo asked to go' TERM; (trap '' TERM; exec sleep 1000) & echo $$ $!; while :; do wait; sleep 0.1; done`;
  const key = await create('stubborn', { command, kill_grace_ms: 1000 });
  const run = await started(key);
  const output = async () => (await api.request('GET', run.instances[0]!.links.stdout!)).text;
  const first = await until('its numbers', async () => /^(\d+) (\d+)\n/.exec(await output()) ?? undefined);
  const pids = first.slice(1, 3).map(Number);
  t.true(pids.every(isAlive));
  const answer = await api.request('DELETE', `/api/v1/jobs/${key}/runs/${run.run}`);
  t.is(answer.status, 202, answer.text);
  const killed = await until('its end', async () => (await runsOf(api, key)).find(({ state }) => state === 'killed'));
  t.like(killed.instances[0], { state: 'killed', reason: { code: 'killed' } });
  t.false(pids.some(isAlive));
  t.regex(await output(), /asked to go/);
});

test('KILL_EXISTING ends the run before it starts the next, CANCEL_NEW leaves the next one out', async t => {
  const path = join(scratch, 'collisions');
  const job = (who: string) => `echo ${who} $HORAE_SCHEDULED_AT >> ${path}; exec sleep 1000`;
  const killing = await create('killing', {
    command: job('kill'),
    schedule: 'R/2026-01-01T00:00:00Z/PT2S',
    collision_policy: 'KILL_EXISTING',
  });
  const cancelling = await create('cancelling', {
    command: job('cancel'),
    schedule: 'R/2026-01-01T00:00:00Z/PT1S',
    collision_policy: 'CANCEL_NEW',
  });
  const outcomes = await until('both to have collided twice', async () => {
    const of = { killing: await outcomesOf(api, killing), cancelling: await outcomesOf(api, cancelling) };
    return (
      of.killing.filter(({ outcome }) => outcome === 'ran').length >= 3 &&
      of.cancelling.filter(({ outcome }) => outcome === 'skipped').length >= 2 &&
      of
    );
  });
  const starts = (who: string) => written(path).filter(line => line.startsWith(who)).length;
  t.is(starts('cancel'), 1);
  t.is(outcomes.cancelling.filter(({ outcome }) => outcome === 'ran').length, 1);
  t.true(
    outcomes.cancelling.every(({ outcome, why }) => outcome === 'ran' || (outcome === 'skipped' && why === 'overlap')),
  );
  await until('three starts', () => starts('kill') >= 3);
  const runs = await runsOf(api, killing);
  t.true(runs.filter(({ state }) => state === 'running').length <= 1);
  t.true(runs.filter(({ state }) => state === 'killed').length >= 2);
});

test("Chronos's sample runs at once and then every two seconds, ten times in all", async t => {
  const path = join(scratch, 'JOB1_OUT');
  const sample = {
    schedule: 'R10/2012-10-01T05:52:00Z/PT2S',
    name: 'SAMPLE_JOB1',
    epsilon: 'PT15M',
    command: `echo 'FOO' >> ${path}`,
    owner: 'bob@example.com',
    async: false,
  };
  const posted_at = Date.now();
  const answer = await api.request('POST', '/scheduler/iso8601', sample);
  t.is(answer.status, 204, answer.text);
  await until('the first run, at once', () => written(path).length > 0, 10_000);
  t.log(`first run after ${Date.now() - posted_at} ms`);
  await until('ten runs', () => written(path).length >= 10, 60_000);
  const took_ms = Date.now() - posted_at;
  const key = 'chronos/default/SAMPLE_JOB1';
  await until('every run to be over', async () => (await runsOf(api, key)).every(({ state }) => state === 'succeeded'));
  t.is((await runsOf(api, key)).length, 10);
  t.deepEqual(
    written(path),
    Array.from({ length: 10 }, () => 'FOO'),
  );
  // Not before its time: the first at once, nine more on a grid of two seconds.
  t.true(took_ms > 16_000, `${took_ms} ms`);
  const job = (await api.get('/scheduler/jobs')) as { name: string; successCount: number }[];
  t.like(
    job.find(({ name }) => name === sample.name),
    { successCount: 10 },
  );
});
