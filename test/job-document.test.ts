// job-document.test.ts: what is read of a job says the same thing in the same words.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';

const textOf = (input: unknown): string => {
  const read = readJob(input);
  return read.ok ? JSON.stringify(read.value) : JSON.stringify(read.problems);
};
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };

test('a field that is misspelt is told with the one that was probably meant, any other with all there are', t => {
  t.regex(textOf({ ...base, comand: 'true' }), /unknown field \\"comand\\".*"expected":"\\"command\\""/);
  t.regex(
    textOf({ ...base, colour: 'green' }),
    /unknown field \\"colour\\".*"expected":"one of role, environment, name, /,
  );
});

test('a canonical document, read again, is the same text: sending back what was read changes nothing', t => {
  for (const more of [
    { cron: '* * * * *', zone: 'UTC' },
    { schedule: 'R/2030-01-01T00:00:00Z/P1D' },
    {
      zone: 'UTC',
      schedules: [
        { jitter_ms: 5, dst: { fold: 'both' }, cron: '@daily' },
        { id: 'x', iso8601: 'R//PT1H' },
      ],
    },
    { retries: 3, collision_policy: 'KILL_EXISTING' },
    { announce: { portmap: { b: 80, a: 'http' } }, ports: ['admin'] },
    { catch_up: { window_ms: 5, policy: 'all' }, overlap: { max: 2, policy: 'allow' } },
  ]) {
    const once = textOf({ ...base, ...more });
    t.is(textOf(JSON.parse(once)), once);
  }
});

test('the order in which a client writes its fields and variables means nothing', t => {
  const one = { ...base, env: { A: '1', B: '2' }, labels: { x: '1', y: '2' }, cron: '@daily', cpus: 1 };
  const other = { cpus: 1, cron: '@daily', labels: { y: '2', x: '1' }, env: { B: '2', A: '1' }, ...base };
  t.is(textOf(one), textOf(other));
});

test('what is announced must be a port of the job, which is asked for where it is not yet', t => {
  const read = readJob({ ...base, announce: { portmap: { aurora: 'http' } } });
  t.deepEqual(read.ok && [read.value.ports, read.value.announce], [
    ['http'],
    { primary_port: 'http', portmap: { aurora: 'http' } },
  ]);
  const said = (announce: unknown) => textOf({ ...base, ports: ['http'], announce });
  t.regex(said({ portmap: { x: 'nobody' } }), /there is no port \\"nobody\\".*one of http/);
  t.regex(said({ portmap: { http: 80 } }), /\\"http\\" is a port already/);
  t.regex(said({ primary_port: '8080' }), /primary_port.*expected the name of a port/);
  t.regex(said({ port: 'http' }), /unknown field \\"port\\"/);
});
