// credentials.test.ts: who comes in, what for, and how quickly somebody is out again.

import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readJob } from '../actors/model/job.ts';
import {
  type Credentials,
  hashPassword,
  hashToken,
  openCredentials,
  parseCredentials,
  permits,
} from '../transport/credentials.ts';
import { problem } from '../transport/http/schemas.ts';
import { hello, hello_path, serve } from './http/support/serve.ts';
import { type Owner, tempDir } from './support/temp.ts';

const salt = Buffer.from('0123456789abcdef');
const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

const tokens = `
tokens:
  - name: ci
    sha256: ${hashToken('ci-token')}
    grants: [{role: submit, scope: www}]
  - name: watcher
    sha256: ${hashToken('watch-token')}
    grants: [{role: read, scope: '*'}]
  - name: oncall
    sha256: ${hashToken('oncall-token')}
    grants: [{role: operate, scope: www}]
  - name: old
    sha256: ${hashToken('old-token')}
    grants: [{role: admin, scope: '*'}]
    expires: 2020-01-01T00:00:00Z
`;

async function open(
  t: Owner,
  text: string,
  now = 1_700_000_000_000,
): Promise<{ path: string; credentials: Credentials }> {
  const path = join(await tempDir(t), 'credentials.yaml');
  await writeFile(path, text);
  const opened = await openCredentials(path, { log: quiet, now: () => now });
  if (!opened.ok) throw new Error(JSON.stringify(opened.problems));
  return { path, credentials: opened.value };
}

test('a password opens, another one does not, and neither stands in the file', async t => {
  const hashed = await hashPassword('correct horse', salt);
  t.false(hashed.includes('horse'));
  const { credentials } = await open(
    t,
    `users:\n  - {name: alice, password: "${hashed}", grants: [{role: admin, scope: "*"}]}\n`,
  );
  for (let n = 0; n < 2; n++) {
    const verdict = await credentials.authenticate(basic('alice', 'correct horse'));
    t.deepEqual(verdict, { type: 'known', who: { name: 'alice', grants: [{ role: 'admin', scope: '*' }] } });
  }
  for (const wrong of [
    basic('alice', 'correct hors'),
    basic('alice', ''),
    basic('bob', 'correct horse'),
    'Basic !',
    'x',
    '',
  ])
    t.deepEqual(await credentials.authenticate(wrong), { type: 'unknown' }, wrong);
  t.deepEqual(await credentials.authenticate(undefined), { type: 'unknown' });
});

test('a token opens until it expires or is taken out of the file', async t => {
  const { path, credentials } = await open(t, tokens);
  t.like(await credentials.authenticate('Bearer ci-token'), { type: 'known', who: { name: 'ci' } });
  t.deepEqual(await credentials.authenticate('Bearer old-token'), { type: 'unknown' });
  t.deepEqual(await credentials.authenticate('Bearer ci-toke'), { type: 'unknown' });
  await writeFile(`${path}.new`, tokens.replace(hashToken('ci-token'), hashToken('ci-token-2')));
  await rename(`${path}.new`, path);
  t.deepEqual(await credentials.authenticate('Bearer ci-token'), { type: 'unknown' });
  t.like(await credentials.authenticate('Bearer ci-token-2'), { type: 'known' });
});

test('a file that was broken by an edit keeps what it said; one that was taken away says nobody', async t => {
  const { path, credentials } = await open(t, tokens);
  await writeFile(path, 'tokens: [oops');
  t.like(await credentials.authenticate('Bearer ci-token'), { type: 'known' });
  await rm(path);
  t.deepEqual(await credentials.authenticate('Bearer ci-token'), { type: 'unknown' });
  await writeFile(path, tokens);
  t.like(await credentials.authenticate('Bearer ci-token'), { type: 'known' });
});

test('passwords that are guessed many at a time are told to come again, not worked off', async t => {
  const hashed = await hashPassword('x', salt);
  const { credentials } = await open(
    t,
    `users:\n  - {name: a, password: "${hashed}", grants: [{role: read, scope: "*"}]}\n`,
  );
  const verdicts = await Promise.all(
    Array.from({ length: 30 }, (_, n) => credentials.authenticate(basic('a', `guess ${n}`))),
  );
  t.is(verdicts.filter(verdict => verdict.type === 'busy').length, 14);
  t.is(verdicts.filter(verdict => verdict.type === 'unknown').length, 16);
});

test('a role within a scope permits what it says and nothing else', t => {
  const who = {
    name: 'x',
    grants: [
      { role: 'submit', scope: 'www' },
      { role: 'read', scope: '*' },
    ],
  } as const;
  t.true(permits(who, 'submit', 'www'));
  t.true(permits(who, 'submit', undefined));
  t.true(permits(who, 'read', 'db'));
  t.true(permits(who, 'read', '*'));
  t.false(permits(who, 'submit', 'db'));
  t.false(permits(who, 'submit', '*'));
  t.false(permits(who, 'operate', 'www'));
  t.false(permits(who, 'admin', undefined));
  const admin = { name: 'y', grants: [{ role: 'admin', scope: 'www' }] } as const;
  for (const role of ['read', 'submit', 'operate', 'admin'] as const) t.true(permits(admin, role, 'www'));
  t.false(permits(admin, 'read', '*'));
});

test('everything that is wrong with a credentials file is told, and no secret with it', t => {
  const read = parseCredentials(`
users:
  - {name: alice, password: hunter2, grants: [{role: king, scope: '*'}]}
  - {name: alice, password: scrypt$3$8$1$AAAA$AAAA, grants: []}
tokens:
  - {name: '', sha256: abc, grants: [{role: read}], colour: red, expires: soon}
groups: []
`);
  t.false(read.ok);
  const problems = read.ok ? [] : read.problems;
  t.deepEqual(problems.map(each => each.place).toSorted(), [
    '/groups',
    '/tokens/0/colour',
    '/tokens/0/expires',
    '/tokens/0/grants/0/scope',
    '/tokens/0/name',
    '/tokens/0/sha256',
    '/users/0/grants/0/role',
    '/users/0/password',
    '/users/1/grants',
    '/users/1/name',
    '/users/1/password',
  ]);
  t.false(JSON.stringify(problems).includes('hunter2'));
});

test('a missing or broken file is told at the start', async t => {
  const path = join(await tempDir(t), 'none.yaml');
  const missing = await openCredentials(path, { log: quiet, now: () => 0 });
  t.regex(missing.ok ? '' : missing.problems[0]!.message, /cannot read the credentials/);
  await writeFile(path, 'users: 5');
  t.false((await openCredentials(path, { log: quiet, now: () => 0 })).ok);
});

test('without credentials every door but health and the description is shut, with 401', async t => {
  const { credentials } = await open(t, tokens);
  const { ask } = await serve(t, { credentials });
  for (const path of ['/', '/api/v1/jobs', '/metrics', '/scheduler/jobs', '/api/v1/audit', hello_path]) {
    const { status, headers } = await ask('GET', path);
    t.is(status, 401, path);
    t.regex(String(headers['www-authenticate']), /^Basic realm="Horae".*Bearer/);
  }
  t.is((await ask('POST', '/api/v1/jobs', { json: hello })).status, 401);
  t.is((await ask('GET', '/api/v1/jobs', { headers: { authorization: 'Bearer nonsense' } })).status, 401);
  t.is((await ask('GET', '/api/v1/health')).status, 200);
  t.is((await ask('GET', '/api/v1/openapi.json')).status, 200);
});

test('each principal does what its grants say, is told what is missing, and signs what it did', async t => {
  const { credentials } = await open(t, tokens);
  const { ask, core } = await serve(t, { credentials });
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  t.is((await ask('POST', '/api/v1/jobs', { json: hello, headers: as('ci-token') })).status, 201);
  t.is(core.asked.at(-1)?.principal.name, 'ci');
  const foreign = await ask('POST', '/api/v1/jobs', { json: { ...hello, role: 'db' }, headers: as('ci-token') });
  t.is(foreign.status, 403);
  t.regex(problem.parse(foreign.json).detail, /"ci" lacks the permission "submit" for jobs of role "db"/);
  t.is((await ask('POST', `${hello_path}/runs`, { headers: as('ci-token') })).status, 403);
  t.is((await ask('POST', `${hello_path}/runs`, { headers: as('oncall-token') })).status, 202);
  t.is((await ask('DELETE', hello_path, { headers: as('oncall-token') })).status, 403);
  t.is((await ask('DELETE', hello_path, { headers: as('watcher-token') })).status, 401);
  t.is((await ask('GET', hello_path, { headers: as('watch-token') })).status, 200);
  t.is((await ask('POST', `${hello_path}/kill`, { headers: as('watch-token') })).status, 403);
  t.is((await ask('GET', '/api/v1/audit', { headers: as('watch-token') })).status, 403);
  t.is((await ask('POST', '/scheduler/iso8601', { json: {}, headers: as('ci-token') })).status, 403);
});

test('somebody sees the jobs of his scope alone, whatever he asks for', async t => {
  const { credentials } = await open(t, tokens);
  const { ask, core } = await serve(t, { credentials });
  for (const role of ['aaa', 'db', 'www', 'zzz'])
    await core.submit({
      command: { type: 'submit', mode: 'create', job: jobOf(role) },
      principal: { name: 'test' },
      request_id: role,
    });
  const headers = { authorization: 'Bearer ci-token' };
  const { json } = await ask('GET', '/api/v1/jobs?limit=1', { headers });
  t.deepEqual(
    (json.jobs as { key: string }[]).map(job => job.key),
    ['www/prod/hello'],
  );
  t.is((await ask('GET', '/api/v1/jobs/db/prod/hello', { headers })).status, 403);
});

function jobOf(role: string) {
  const read = readJob({ ...hello, role });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value;
}
