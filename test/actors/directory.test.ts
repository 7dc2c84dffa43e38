// directory.test.ts: which jobs there are, and who may have which name.

import test from 'ava';
import { type DirectoryState, directory, newDirectory } from '../../actors/directory.ts';
import type { Effect } from '../../actors/effects.ts';
import type { Command } from '../../actors/model/commands.ts';
import { readJob } from '../../actors/model/job.ts';

const now = Date.UTC(2026, 0, 1);
const key = 'www/prod/hello';

function door(keys: readonly (readonly [string, 'live' | 'deleting'])[] = [], jobs_max = 3, docker_secrets = true) {
  let state: DirectoryState = newDirectory(41, keys);
  let requests = 0;
  const move = directory({ jobs_max, held_max: 2, docker_secrets });
  const take = (message: Parameters<typeof move>[1]): readonly Effect[] => {
    const next = move(state, message, now);
    state = next.state;
    return next.effects;
  };
  return {
    take,
    ask: (command: Command) =>
      take({ type: 'command', envelope: { command, principal: { name: 'ann' }, request_id: `r${requests++}` } }),
  };
}
const submit = (mode: 'create' | 'replace' | 'upsert', more: object = {}, if_version?: number): Command => {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', command: 'true', ...more });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return { type: 'submit', mode, job: read.value, ...(if_version === undefined ? {} : { if_version }) };
};
const says = (effects: readonly Effect[]) =>
  effects.flatMap(one => (one.type === 'reply' ? ['code' in one.answer ? one.answer.code : one.answer.type] : []));
const records = (effects: readonly Effect[]) => effects.flatMap(one => (one.type === 'record' ? [one.kind] : []));

test('a new job, its number, its first run and the answer are one step', t => {
  t.deepEqual(records(door().ask(submit('create'))), ['meta', 'job', 'run', 'audit']);
  t.deepEqual(records(door().ask(submit('create', { service: true, instances: 3 }))), ['meta', 'job', 'run', 'audit']);
  t.deepEqual(records(door().ask(submit('create', { cron: '* * * * *' }))), ['meta', 'job', 'audit']);
  t.deepEqual(records(door().ask(submit('create', { enabled: false }))), ['meta', 'job', 'audit']);
  t.deepEqual(says(door().ask(submit('create'))), ['created']);
});

test('every life of a name has a number of its own, above all that were given out', t => {
  const one = door();
  t.like(
    one.ask(submit('create')).find(effect => effect.type === 'record'),
    { body: { last: 42 } },
  );
  one.take({ type: 'leaving', key });
  one.take({ type: 'gone', key });
  t.like(
    one.ask(submit('create')).find(effect => effect.type === 'record'),
    { body: { last: 43 } },
  );
});

test('a name that is taken is not to be had, one that is not there cannot be used', t => {
  const one = door([[key, 'live']]);
  t.deepEqual(says(one.ask(submit('create'))), ['exists']);
  for (const command of [
    submit('replace', { name: 'other' }),
    { type: 'delete', key: 'www/prod/other' },
    { type: 'start-run', key: 'www/prod/other', request: 'a' },
    { type: 'kill-all', key: 'www/prod/other' },
  ] as const)
    t.deepEqual(says(one.ask(command)), ['not-found'], command.type);
});

test('what concerns a job is handed to it, and answered there', t => {
  const one = door([[key, 'live']]);
  for (const command of [submit('replace'), submit('upsert'), { type: 'delete', key }] as const) {
    const effects = one.ask(command);
    t.deepEqual(says(effects), []);
    t.like(effects[0], { type: 'tell', to: 'job', key });
  }
});

test('an upsert creates what is not there, unless it is about a version', t => {
  t.deepEqual(says(door().ask(submit('upsert'))), ['created']);
  t.deepEqual(says(door().ask(submit('upsert', {}, 3))), ['version-mismatch']);
});

test('whoever wants the name of a job that is going waits for it; only so many may', t => {
  const one = door([[key, 'live']]);
  t.deepEqual(one.take({ type: 'leaving', key }), [{ type: 'tell', to: 'job', key, message: { type: 'dismissed' } }]);
  t.deepEqual(says(one.ask({ type: 'kill-all', key })), ['not-found'], 'nothing is handed to it any more');
  t.deepEqual(one.ask(submit('create')), []);
  t.deepEqual(one.ask(submit('create')), []);
  t.deepEqual(says(one.ask(submit('create'))), ['too-many']);
  t.deepEqual(says(one.take({ type: 'gone', key })), ['created', 'exists']);
});

test('there are no more jobs than the limit says', t => {
  const one = door([], 1);
  one.ask(submit('create'));
  t.deepEqual(says(one.ask(submit('create', { name: 'other' }))), ['too-many']);
  one.take({ type: 'gone', key });
  t.deepEqual(says(one.ask(submit('create', { name: 'other' }))), ['created']);
});

test('every command leaves a row that says who, what and how it ended', t => {
  const row = (effects: readonly Effect[]) => effects.find(one => one.type === 'record' && one.kind === 'audit');
  t.like(row(door().ask(submit('create'))), {
    body: { principal: 'ann', command: 'submit', target: key, result: 'created' },
  });
  t.like(row(door().ask({ type: 'kill-run', key, run: 'x' })), { body: { target: `${key}/x`, result: 'not-found' } });
});

test('where agents would leave out the secrets of a Docker container, such a job is refused and told the way round', t => {
  const secrets = [{ name: 'db', env: 'DB' }];
  const docker = { container: { image: 'x' }, secrets };
  const among = (more: object, docker_secrets: boolean) =>
    says(door([], 3, docker_secrets).ask(submit('create', more)));
  t.deepEqual(among(docker, false), ['invalid']);
  t.deepEqual(among(docker, true), ['created']);
  t.deepEqual(among({ ...docker, secrets: [] }, false), ['created']);
  t.deepEqual(among({ container: { type: 'mesos', image: 'x' }, secrets }, false), ['created']);
  t.deepEqual(among({ secrets }, false), ['created']);
  t.deepEqual(says(door([[key, 'live']], 3, false).ask(submit('replace', docker))), ['invalid']);
});
