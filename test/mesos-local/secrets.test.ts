// secrets.test.ts: secrets of real tasks and executors: whose they are, and which cannot be had in which way.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { as_root, testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { command, type Json, subscribe } from './support/client.ts';
import { executor, task } from './support/executors.ts';
import { machine } from './support/machine.ts';

const terminal = ['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_DROPPED'];
const reference = (name: string) => ({ type: 'REFERENCE', reference: { name } });
const variable = (name: string, of: string) => ({ name, type: 'SECRET', secret: reference(of) });
const inFile = (file: string, of: string) => ({
  type: 'MESOS',
  volumes: [{ mode: 'RO', container_path: `.secrets/${file}`, source: { type: 'SECRET', secret: reference(of) } }],
});

async function machineWith(t: ExecutionContext, secrets: Readonly<Record<string, string | Buffer>>) {
  const path = await tempDir(t);
  mkdirSync(join(path, 'me'));
  for (const [name, bytes] of Object.entries(secrets)) writeFileSync(join(path, 'me', name), bytes);
  const mesos = await machine(t, { secrets: { type: 'folder', path } });
  return { ...mesos, scheduler: await subscribe(mesos) };
}

testWith(as_root)(
  "secrets are their task user's own, in a task as in an executor, and nobody else reads them",
  async t => {
    const { scheduler, sandbox } = await machineWith(t, { db: 'open sesame\n' });
    const line =
      'echo "$DB" > seen; cat .secrets/db.txt >> seen; stat -c "%U %a" .secrets/db.txt .secrets >> seen; touch ready; until [ -e go ]; do sleep 0.05; done';
    const his = { value: line, user: 'nobody', environment: { variables: [variable('DB', 'me/db')] } };
    const container = inFile('db.txt', 'me/db');
    await scheduler.launch([
      { ...command('plain', ''), command: his, container },
      task('of-executor', { ...executor('ex', {}, { command: his }), container }),
    ]);
    for (const id of ['plain', 'of-executor']) {
      const at = (file: string) => join(sandbox(id), file);
      await until(`${id} to be ready`, () => existsSync(at('ready')));
      t.is(readFileSync(at('seen'), 'utf8'), 'open sesame\nopen sesame\nnobody 400\nnobody 700\n', id);
      const daemon = ['--reuid=daemon', '--regid=daemon', '--clear-groups', '--', 'cat', at('.secrets/db.txt')];
      t.regex(spawnSync('setpriv', daemon, { encoding: 'utf8' }).stderr, /Permission denied/, id);
      t.is(statSync(at('.secrets/db.txt')).size, 12);
      writeFileSync(at('go'), '');
      await until(`the secrets of ${id} to go`, () => !existsSync(at('.secrets')));
    }
  },
);

test('what cannot be a variable is refused by the name of the secret, and nothing of the task begins', async t => {
  const { scheduler, sandbox } = await machineWith(t, {
    bytes: Buffer.from([0xff, 0xfe]),
    zero: 'a\0b',
    large: 'x'.repeat(1_048_577),
  });
  const wants = (id: string, of: string): Json => {
    const own = command(id, 'touch ran');
    return { ...own, command: { ...own.command, environment: { variables: [variable('X', of)] } } };
  };
  const elsewhere = { ...command('elsewhere', 'touch ran'), container: inFile('../out', 'me/bytes') };
  await scheduler.launch([
    wants('bytes', 'me/bytes'),
    wants('zero', 'me/zero'),
    wants('large', 'me/large'),
    wants('climbs', '../me/bytes'),
    elsewhere,
  ]);
  const words: readonly (readonly [string, RegExp])[] = [
    ['bytes', /secret "me\/bytes" holds what is no UTF-8: expected a file for it$/],
    ['zero', /secret "me\/zero" holds a zero byte, which no variable can: expected a file for it$/],
    ['large', /secret "me\/large" has 1048577 bytes: expected at most 1048576$/],
    ['climbs', /is called "\.\.\/me\/bytes": expected letters/],
    ['elsewhere', /a secret is to be at "\.secrets\/\.\.\/out": this agent puts them into \.secrets\/NAME alone$/],
  ];
  for (const [id, why] of words) {
    const end = await scheduler.reached(id, ...terminal);
    t.like(end, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
    t.regex(end.message, why);
    t.false(existsSync(join(sandbox(id), 'ran')));
  }
});

test('a task of the name that an executor has its task under is refused, and takes nothing of it away', async t => {
  const mesos = await machineWith(t, { db: 'open sesame' });
  const { scheduler, sandbox } = mesos;
  const container = inFile('db.txt', 'me/db');
  await scheduler.launch([task('same', { ...executor('ex'), container })], 3_600);
  await scheduler.reached('same', 'TASK_RUNNING');
  const secret = join(sandbox('same'), '.secrets', 'db.txt');
  t.true(existsSync(secret));
  const other = await subscribe(mesos);
  await other.launch([command('same', 'true')]);
  t.like(await other.reached('same', ...terminal), {
    state: 'TASK_FAILED',
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
  });
  t.true(existsSync(secret));
});
