// old-chronos.test.ts: syncing a Chronos of either generation: by its own routes, gently, and forgetting nothing that it counts.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { tempDir } from '../support/temp.ts';
import { oldChronos, ran } from './old-chronos.ts';
import { syncWith } from './support.ts';

const jobs = join(import.meta.dirname, '..', 'data', 'chronos', 'jobs');

for (const generation of [2, 3] as const)
  test(`a Chronos ${generation} has what the files say, and is left alone while only time goes on`, async t => {
    const chronos = await oldChronos(t, generation);
    const sync = syncWith(() => chronos.url);
    const first = await sync(jobs);
    t.is(first.status, 0, first.wrong);
    t.deepEqual(
      chronos.written.map(({ method, path, body }) => `${method} ${path.split('/').at(-1)} ${String(body.name)}`),
      ['a-b', 'a b', 'off', 'program']
        .map(name => `POST iso8601 ${name}`)
        .concat(['POST dependency c', 'POST dependency d']),
      'parents first, one after the other',
    );
    const again = await sync(jobs, '--plan');
    t.is(again.status, 0, again.said);

    // Runs, failures, people.
    ran(chronos.jobs.get('a b')!);
    ran(chronos.jobs.get('off')!);
    chronos.jobs.get('c')!.errorCount = 9;
    chronos.jobs.get('d')!.disabled = true;
    t.is((await sync(jobs, '--plan')).status, 0);

    const dir = join(await tempDir(t), 'jobs');
    cpSync(jobs, dir, { recursive: true });
    for (const file of ['scheduled/a_b.yaml', 'dependent/d.yaml']) {
      const path = join(dir, file);
      writeFileSync(path, readFileSync(path, 'utf8').replace('cpus: 0.5', 'cpus: 0.75'));
    }
    const changed = await sync(dir);
    t.is(changed.status, 0, changed.wrong);
    t.regex(
      changed.said,
      /~ a b {2}\(scheduled\/a_b.yaml\)\n {4}cpus: 0.5 -> 0.75\n~ d .*\n {4}cpus: 0.5 -> 0.75\n0 to create, 2/,
    );
    t.like(chronos.jobs.get('a b'), { cpus: 0.75, successCount: 1 }, 'what it counted, it goes on counting');
    t.like(chronos.jobs.get('d'), { cpus: 0.75, disabled: true }, 'whom people disabled stays disabled');
  });

test('what a Chronos has becomes files that say the same to it, and to a Chronos that had nothing', async t => {
  const has = {
    name: 'weekly report',
    command: 'echo "a: b" # c',
    schedule: 'R3/2014-03-08T20:00:00.000Z/P1W',
    disabled: true,
    successCount: 12,
    lastSuccess: '2014-03-08T16:57:17.507Z',
    uris: ['http://x/b', 'http://x/a'],
    environmentVariables: [{ name: 'NO', value: 'no' }],
  };
  const follows = {
    name: 'weekly-report',
    command: 'yes',
    parents: ['weekly report'],
    fetch: [{ uri: 'http://x/c', extract: false }],
  };
  const same = { ...has, name: 'weekly_report', schedule: 'R//PT1H' };
  const chronos = await oldChronos(t, 3, [has, same, follows]);
  const sync = syncWith(() => chronos.url);
  const dir = join(await tempDir(t), 'jobs');
  const written = await sync(dir, '--init');
  t.is(written.status, 0, written.wrong);
  t.regex(
    readFileSync(join(dir, 'scheduled/weekly%20report.yaml'), 'utf8'),
    /^# From http:.*\n# It was disabled .*\nname: weekly report\n(?!.*(successCount|lastSuccess|disabled:))/s,
  );
  t.regex(
    readFileSync(join(dir, 'scheduled/weekly_report.yaml'), 'utf8'),
    /\nuris:\n {2}- http:\/\/x\/a\n {2}- http:\/\/x\/b\n/,
  );
  const planned = await sync(dir, '--plan');
  t.is(planned.status, 0, planned.said + planned.wrong);
  t.deepEqual(chronos.written, []);

  const other = await oldChronos(t, 3);
  const there = syncWith(() => other.url);
  t.is((await there(dir)).status, 0);
  t.is((await there(dir, '--plan')).status, 0);
  t.deepEqual([...other.jobs.keys()], ['weekly report', 'weekly_report', 'weekly-report']);
});

test('somebody who changed a job of a Chronos since it was listed is not overwritten', async t => {
  const chronos = await oldChronos(t, 3, [
    { name: 'first', command: 'a', schedule: 'R/2030-01-01T00:00:00.000Z/P1D' },
    { name: 'second', command: 'a', schedule: 'R/2030-01-01T00:00:00.000Z/P1D' },
    { name: 'third', command: 'a', schedule: 'R/2030-01-01T00:00:00.000Z/P1D' },
  ]);
  const sync = syncWith(() => chronos.url);
  const dir = join(await tempDir(t), 'jobs');
  await sync(dir, '--init');
  for (const name of ['first', 'second', 'third']) {
    const path = join(dir, `scheduled/${name}.yaml`);
    writeFileSync(path, readFileSync(path, 'utf8').replace('command: a', 'command: b'));
  }
  // While the first is written.
  chronos.meanwhile = () => {
    chronos.jobs.get('second')!.command = 'theirs';
    ran(chronos.jobs.get('third')!);
  };
  const synced = await sync(dir);
  t.is(synced.status, 1);
  t.regex(synced.wrong, /second.yaml: second: not written, somebody was there meanwhile: changed since it was listed/);
  t.deepEqual(
    [...chronos.jobs.values()].map(job => job.command),
    ['b', 'theirs', 'b'],
    'that the third ran is no change of anybody',
  );
});
