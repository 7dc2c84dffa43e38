// round-trip.test.ts: whatever a server has, the files that are written of it say the same; and what differs by itself is no
// difference.

import test from 'ava';
import fc from 'fast-check';
import { type Job, readJob } from '../../actors/model/job.ts';
import { good } from '../../schedules/problem.ts';
import { readChronos } from '../../transport/http/chronos/document.ts';
import { readPlacedYaml } from '../../transport/http/yaml.ts';
import { chronosDialect, foundChronos, movedOn } from '../../transport/sync/chronos.ts';
import type { Dialect } from '../../transport/sync/dialect.ts';
import { foundNative, nativeDialect } from '../../transport/sync/native.ts';
import type { Found, Wanted } from '../../transport/sync/plan.ts';
import { readTexts } from '../../transport/sync/reading.ts';

const native = nativeDialect(() => good(undefined));
const chronos = {
  horae: chronosDialect(() => good(undefined), 'horae'),
  chronos: chronosDialect(() => good(undefined), 'chronos'),
};
const options = { source: 'http://test', keep_disabled: false };

/** What the files of these jobs differ in from them, and what cannot be read of them. */
function gap(dialect: Dialect, found: readonly Found[]): readonly unknown[] {
  const written = dialect.write(found, options);
  if (new Set(written.map(each => each.file)).size !== found.length) return ['two jobs in one file'];
  const { wanted, findings } = readTexts(written, dialect);
  const by_name = new Map(wanted.map(each => [each.name, each]));
  const lost = found.filter(each => !by_name.has(each.name)).map(each => `${each.name} is lost`);
  return [
    ...findings,
    ...lost,
    ...found.flatMap(each => (by_name.has(each.name) ? dialect.compare(by_name.get(each.name)!, each) : [])),
  ];
}

/** Text that YAML could take for something else: signs, numbers, booleans, line ends, spaces at the ends. */
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.constantFrom(
      'yes',
      'NO',
      'on',
      'null',
      '~',
      '0x1F',
      '010',
      '1e3',
      '.5',
      '2014-03-08',
      '12:30:45',
      '<<',
      '=',
      '- a',
      '? b',
    ),
    fc.string({
      unit: fc.constantFrom(
        ' ',
        '\n',
        '\t',
        ':',
        '#',
        '"',
        "'",
        '\\',
        '|',
        '>',
        '-',
        'a',
        '%',
        '@',
        '`',
        '\u00a0',
        '\u2028',
      ),
    }),
  )
  .filter(each => Buffer.from(each).toString() === each && !each.includes('\0'));
const some = text.filter(each => each !== '');
const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);
const env = fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,8}$/), text, { maxKeys: 4 });

test('Horae: every job, whatever stands in its texts, is the same when its file is read', t => {
  const document = fc.record(
    {
      name,
      command: some,
      description: text,
      owner: text,
      env,
      labels: fc.dictionary(name, text, { maxKeys: 3 }),
      cron: fc.constantFrom('@daily', '0 3 * * 1'),
      retries: fc.nat(5),
      cpus: fc.double({ min: 0.01, max: 64, noNaN: true }),
      arguments: fc.array(text, { maxLength: 3 }),
      enabled: fc.boolean(),
      service: fc.constant(false),
    },
    { requiredKeys: ['name', 'command'] },
  );
  fc.assert(
    fc.property(document, given => {
      const read = readJob({ ...given, role: 'www', environment: 'prod' });
      fc.pre(read.ok);
      const job = (read as { value: Job }).value;
      const key = `www/prod/${job.name}`;
      t.deepEqual(gap(native, [foundNative({ key, etag: '"1.1"', job })!]), []);
    }),
    { numRuns: 100 },
  );
});

test('Chronos: every list of jobs becomes files that say the same, one each, however alike their names are', t => {
  const job = fc.record({
    name: fc.stringMatching(/^[A-Za-z0-9_.# -]{1,6}$/),
    command: some,
    description: text,
    owner: text,
    environmentVariables: env.map(each => Object.entries(each).map(([key, value]) => ({ name: key, value }))),
    arguments: fc.array(text, { maxLength: 2 }),
    cpus: fc.constantFrom(0.1, '0.5', 2),
    mem: fc.constant(128),
    disk: fc.constant(256),
    runAsUser: fc.constantFrom('', 'root', 'www'),
    schedule: fc.constantFrom('R/2030-01-01T00:00:00.000Z/PT24H', 'R5/2030-01-01T00:00:00.000+01:00/P1M'),
    scheduleTimeZone: fc.constantFrom('', 'Europe/Vienna'),
    retries: fc.nat(3),
    disabled: fc.boolean(),
    highPriority: fc.boolean(),
    softError: fc.boolean(),
    errorCount: fc.nat(),
    uris: fc.constantFrom([], ['http://x/b', 'http://x/a']),
    fetch: fc.constantFrom([], [{ uri: 'http://x/b', extract: false, executable: true, cache: false }]),
    epsilon: fc.constantFrom('PT60S', 'PT15M'),
  });
  const jobs = fc.uniqueArray(job, { selector: each => each.name, maxLength: 6 });
  for (const [server, dialect] of Object.entries(chronos))
    fc.assert(
      fc.property(jobs, listed => {
        // What our own parser does not take, a file cannot say.
        const found = listed.filter(each => readChronos(each).ok).map(each => foundChronos(each)!);
        t.deepEqual(gap(dialect, found), [], server);
      }),
      { numRuns: 100 },
    );
});

test('a schedule that Chronos has moved on is the one that it was; another period, or an earlier start, is not', t => {
  const start = '2030-01-01T00:00:00.000Z';
  const later = '2030-01-03T05:00:00.000Z';
  for (const [from, to, same] of [
    [`R/${start}/P1D`, `R/${later}/P1D`, true],
    [`R/${start}/PT24H`, `R/${start}/PT1440M`, true],
    [`R5/${start}/P1D`, `R2/${later}/P1D`, true],
    [`R1/${start}/P1D`, `R0/${start}/P1D`, true],
    [`R//P1D`, `R/${later}/P1D`, true],
    [`R/2030-01-01T00:00:00/P1D`, `R/${later}/P1D`, true],
    [`R/${later}/P1D`, `R/${start}/P1D`, false],
    [`R/${start}/P1D`, `R/${start}/P2D`, false],
    [`R2/${start}/P1D`, `R5/${start}/P1D`, false],
    [`R/${start}/P1D`, `R5/${start}/P1D`, false],
    [`R5/${start}/P1D`, `R/${start}/P1D`, false],
    [`R/${start}/P1D`, '', false],
    [`R/${start}/P1D`, 'R/x/y', false],
  ] as const)
    t.is(movedOn(from, to), same, `${from} -> ${to}`);
});

const base = { name: 'a', command: 'x', owner: '', cpus: 1, mem: 64, disk: 0, runAsUser: 'root', schedule: 'R//PT1H' };
const file = (more: object): Wanted => {
  const { wanted, findings } = readTexts(
    [{ file: 'scheduled/a.yaml', text: JSON.stringify({ ...base, ...more }) }],
    chronos.horae,
  );
  if (wanted[0] === undefined) throw new Error(JSON.stringify(findings));
  return wanted[0];
};
const fieldsOf = (dialect: Dialect, said: object, listed: object) =>
  dialect.compare(file(said), foundChronos({ ...base, ...listed })!).map(({ field, from, to }) => [field, from, to]);

test('what a server adds of its own is no difference, and what a file takes back is one', t => {
  const added = {
    retries: 2,
    shell: true,
    fetch: [],
    uris: [],
    container: null,
    softError: false,
    lastSuccess: 'x',
    errorCount: 3,
  };
  for (const dialect of Object.values(chronos)) {
    t.deepEqual(fieldsOf(dialect, {}, added), []);
    t.deepEqual(fieldsOf(dialect, {}, { disabled: true }), [], 'that is for people to say');
    t.deepEqual(fieldsOf(dialect, { disabled: false }, { disabled: true }), [['/disabled', true, false]]);
    t.deepEqual(fieldsOf(dialect, {}, { retries: 5 }), [['/retries', 5, 2]]);
    t.deepEqual(
      fieldsOf(dialect, { description: 'x' }, {}).map(each => each[0]),
      dialect === chronos.horae ? ['/description'] : [],
    );
    t.deepEqual(
      fieldsOf(dialect, { uris: ['/b', '/a'] }, { fetch: [{ uri: '/a' }, { uri: '/b' }], uris: ['/a', '/b'] }),
      [],
    );
    t.deepEqual(
      fieldsOf(
        dialect,
        { environmentVariables: [{ name: 'A', value: 1 }] },
        { environmentVariables: [{ name: 'A', value: '2' }] },
      ),
      [['/environmentVariables/A', '2', '1']],
    );
    t.deepEqual(fieldsOf(dialect, { cpus: 0 }, { cpus: 0.1 }), [], 'the server chose');
    const over = {
      schedule: 'R0/2030-01-01T00:00:00.000Z/PT1H',
      disabled: true,
      lastSuccess: '2030-01-01T00:00:00.000Z',
    };
    const said = { schedule: 'R1/2030-01-01T00:00:00.000Z/PT1H', disabled: false };
    t.false(
      fieldsOf(dialect, said, over).some(each => each[0] === '/disabled'),
      'it has run as often as it was to',
    );
  }
  t.deepEqual(fieldsOf(chronos.horae, {}, { epsilon: 'PT900S' }), [['/epsilon', 'PT15M', undefined]]);
  t.deepEqual(fieldsOf(chronos.chronos, {}, { epsilon: 'PT60S' }), []);
  t.deepEqual(fieldsOf(chronos.chronos, { epsilon: 'PT15M' }, {}), [], 'Chronos 3 does not keep it');
});

test('a place in a file is where an editor would go', t => {
  const read = readPlacedYaml('# x\na:\n  - b: 1\n  -\n    "c/d": {e: [1, 2]}\nf: &f {g: 1}\nh: *f\n');
  if (!read.ok) throw new Error(read.problems[0]?.message);
  const { placeOf } = read.value;
  for (const [pointer, line, column] of [
    ['', 2, 1],
    ['/a/0/b', 3, 5],
    ['/a/1/c~1d', 5, 5],
    ['/a/1/c~1d/e/1', 5, 20],
    ['/f/g', 6, 8],
    ['/h', 7, 1],
    ['/h/g', 6, 8],
    ['/f/missing', 6, 1],
    ['/nowhere/at/all', 2, 1],
  ] as const)
    t.deepEqual(placeOf(pointer), { line, column }, pointer);
});
