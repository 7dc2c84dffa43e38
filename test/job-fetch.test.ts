// job-fetch.test.ts: what a job asks to be fetched: as it is submitted, as Chronos wrote it, and as Mesos is told.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';
import { fetchOfChronos } from '../transport/http/chronos/fetch.ts';

const job = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };
const read = (fetch: unknown) => readJob({ ...job, fetch });

test('what is to be fetched is spelled out in the canonical job, and an empty list is none', t => {
  const got = read([{ uri: 'https://host/app.tgz' }, { uri: '/etc/motd', output_file: 'a/b', cache: true }]);
  t.true(got.ok);
  t.deepEqual(got.ok && got.value.fetch, [
    { uri: 'https://host/app.tgz', extract: true, executable: false, cache: false },
    { uri: '/etc/motd', extract: true, executable: false, cache: true, output_file: 'a/b' },
  ]);
  const none = read([]);
  t.true(none.ok && !('fetch' in none.value));
});

for (const [what, fetch, place] of [
  ['an address with no scheme', [{ uri: 'host/app.tgz' }], '/fetch/0/uri'],
  ['an address with spaces', [{ uri: 'http://host/a b' }], '/fetch/0/uri'],
  ['an address that names no file', [{ uri: 'http://host/' }], '/fetch/0/output_file'],
  ['a way out of the sandbox', [{ uri: 'http://host/x', output_file: '../x' }], '/fetch/0/output_file'],
  ['an absolute place', [{ uri: 'http://host/x', output_file: '/etc/x' }], '/fetch/0/output_file'],
  ['a field that nobody knows', [{ uri: 'http://host/x', mode: 1 }], '/fetch/0/mode'],
] as const)
  test(`${what} is refused at its place`, t => {
    const got = read(fetch);
    t.false(got.ok);
    t.deepEqual(!got.ok && got.problems.map(problem => problem.place), [place]);
  });

const chronos = (document: object) => {
  const problems: string[] = [];
  const got = fetchOfChronos(document as Record<string, unknown>, place => problems.push(place));
  return { ...got, problems };
};

test("Chronos's fetch and uris become one list; texts for flags and an empty output_file are what they were there", t => {
  const got = chronos({
    command: 'true',
    fetch: [
      { uri: 'http://h/a.tgz', cache: 'true', output_file: '' },
      { uri: 'http://h/b', executable: true, extract: false },
    ],
    uris: ['/srv/c.zip'],
  });
  t.deepEqual(got.problems, []);
  t.deepEqual(got.fetch, [
    { uri: 'http://h/a.tgz', extract: true, executable: false, cache: true },
    { uri: 'http://h/b', extract: false, executable: true, cache: false },
    { uri: '/srv/c.zip', extract: true, executable: false, cache: false },
  ]);
});

test('a command that is an address is fetched as a program and run by its name, and nothing else is fetched', t => {
  const got = chronos({ command: 'https://h/bin/do%20it.sh?v=2', fetch: [{ uri: 'nonsense' }] });
  t.deepEqual(got.problems, []);
  t.is(got.command, "./'do it.sh'");
  t.deepEqual(got.fetch, [{ uri: 'https://h/bin/do%20it.sh?v=2', extract: false, executable: true, cache: false }]);
  t.deepEqual(chronos({ command: 'http://host/' }).problems, ['/command']);
});

test('rubbish in fetch and uris is refused at its place', t => {
  t.deepEqual(chronos({ fetch: 'x' }).problems, ['/fetch']);
  t.deepEqual(chronos({ fetch: [{}], uris: ['no address'] }).problems, ['/fetch/0/uri', '/uris/0/uri']);
  t.deepEqual(chronos({ fetch: [{ uri: 'http://h/x', cache: 'maybe' }] }).problems, ['/fetch/0/cache']);
});
