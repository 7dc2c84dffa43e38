// verdict.test.ts: the judge of a storm is not blind: each way of breaking one's word is seen.

import test from 'ava';
import type { JobAnswer, OutcomeAnswer, RunAnswer } from './horae.ts';
import { readLedger } from './storm/ledger.ts';
import { type Complaint, type Facts, judge } from './storm/verdict.ts';

const second = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
const key = 'storm/test/beat';
const web = 'storm/test/web';
const task = (run: string, index: number, attempt: number) => `storm:test:beat:${run}:${index}:${attempt}`;
const web_task = 'storm:test:web:2.service:0:2';

const line = (verb: string, run: string, attempt: number, at: number, rest: string) =>
  `${verb} ${key} 1 ${run} 0 ${attempt} ${second(at)} ${rest}`;
/** Two targets: one ran, one failed, was tried again and ran. */
const ledger = [
  line('start', '1.s0.a', 1, 1, '100 1000'),
  line('end', '1.s0.a', 1, 1, '0 2000'),
  line('start', '1.s0.b', 1, 2, '101 3000'),
  line('end', '1.s0.b', 1, 2, '7 4000'),
  line('start', '1.s0.b', 2, 2, '102 5000'),
  line('end', '1.s0.b', 2, 2, '0 6000'),
  `start ${web} 3 2.service 0 1 ${second(0)} 103 1000`,
  `end ${web} 3 2.service 0 1 ${second(0)} 143 2000`,
  `start ${web} 3 2.service 0 2 ${second(0)} 104 3000`,
];
const run = (id: string, at: number, attempt: number, failures: number): RunAnswer => ({
  run: id,
  state: 'succeeded',
  cause: { type: 'target', schedule: 's0', at: second(at) },
  instances: [{ index: 0, state: 'succeeded', attempt, failures, reason: { code: 'exited', exit_code: 0 }, links: {} }],
});
const outcome = (id: string, at: number): OutcomeAnswer => ({
  schedule: 's0',
  from: second(at),
  to: second(at),
  count: 1,
  outcome: 'ran',
  run: id,
});
const job = (of: string, generation: string): JobAnswer => ({
  key: of,
  etag: '"1.1"',
  version: 1,
  state: 'idle',
  created_at: '2026-01-01T00:00:00.500Z',
  active_runs: 0,
  waiting_starts: 0,
  job: { env: { GENERATION: generation } },
});
const service: RunAnswer = {
  run: '2.service',
  state: 'running',
  cause: { type: 'service' },
  instances: [{ index: 0, state: 'running', attempt: 2, failures: 0, links: {} }],
};

function facts(): Facts & { lines: Facts['lines'] } {
  return {
    jobs: new Map([
      [key, { sort: { kind: 'recurring', period_ms: 1000, fates: [] }, generation: '1' }],
      [web, { sort: { kind: 'service', copies: 1 }, generation: '3' }],
    ]),
    wishes: [],
    told: new Map([
      [key, job(key, '1')],
      [web, job(web, '3')],
    ]),
    runs: new Map([
      [key, [run('1.s0.a', 1, 1, 0), run('1.s0.b', 2, 2, 1)]],
      [web, [service]],
    ]),
    outcomes: new Map([[key, [outcome('1.s0.a', 1), outcome('1.s0.b', 2)]]]),
    lines: readLedger(ledger.join('\n')),
    alive: new Set([web_task]),
    across: new Set([task('1.s0.a', 0, 1), web_task]),
    victims: new Set(),
    doubtful: new Set(),
    until: Date.parse(second(2)),
  };
}
const without = (text: string) => readLedger(ledger.filter(each => each !== text).join('\n'));
const also = (...more: string[]) => readLedger([...ledger, ...more].join('\n'));
const runs = (...of: RunAnswer[]): Facts['runs'] =>
  new Map([
    [key, of],
    [web, [service]],
  ]);
const first = run('1.s0.a', 1, 1, 0);
const other = run('1.s0.b', 2, 2, 1);
const ended = (reason: RunAnswer['instances'][number]['reason'], state = 'failed'): RunAnswer => ({
  ...first,
  instances: [{ ...first.instances[0]!, state, ...(reason === undefined ? {} : { reason }) }],
});

test('a storm in which every word was kept has nothing to complain of', t => {
  t.deepEqual(judge(facts()), { complaints: [], runs: 3, targets: 2, adopted: 2 });
});

const broken: Readonly<Record<string, readonly [Complaint['kind'], Partial<Facts>]>> = {
  'a job that is gone': ['lost', { told: new Map([[web, job(web, '3')]]) }],
  'a job that fell back to what it was before': [
    'lost',
    {
      told: new Map([
        [key, job(key, '0')],
        [web, job(web, '3')],
      ]),
    },
  ],
  'a deleted job that is there': [
    'stray',
    {
      told: new Map([
        [key, job(key, '1')],
        [web, job(web, '3')],
        ['storm/test/gone', job('storm/test/gone', '1')],
      ]),
    },
  ],
  'a job that was put aside': [
    'stray',
    {
      told: new Map([
        [key, { ...job(key, '1'), quarantined: 'it crashed' }],
        [web, job(web, '3')],
      ]),
    },
  ],
  'a task that started twice': ['doubled', { lines: also(line('start', '1.s0.a', 1, 1, '100 1500')) }],
  'a task that ended twice': ['doubled', { lines: also(line('end', '1.s0.a', 1, 1, '0 2500')) }],
  'a task that met its double': ['doubled', { lines: also(line('overlap', '1.s0.a', 1, 1, '-')) }],
  'an attempt that began before the one before it was over': [
    'doubled',
    {
      lines: readLedger(ledger.map(each => each.replace('102 5000', '102 3500')).join('\n')),
    },
  ],
  'an attempt after one that succeeded': [
    'doubled',
    { lines: readLedger(ledger.map(each => each.replace('7 4000', '0 4000')).join('\n')) },
  ],
  'a task of which nobody knows': ['lost', { lines: also(line('start', '1.s0.c', 1, 3, '105 7000')) }],
  'an attempt too many': [
    'lost',
    { lines: also(line('start', '1.s0.a', 2, 1, '105 7000'), line('end', '1.s0.a', 2, 1, '0 8000')) },
  ],
  'a run that is said to have succeeded and never ended': ['untrue', { lines: without(ledger[1]!) }],
  'a run that is said to have ended otherwise': [
    'untrue',
    { runs: runs(ended({ code: 'exited', exit_code: 3 }), other) },
  ],
  'a signal that was an exit': ['untrue', { runs: runs(ended({ code: 'signalled', signal: 'SIGKILL' }), other) }],
  'a kill that nobody asked for': ['untrue', { runs: runs(ended({ code: 'killed' }, 'killed'), other) }],
  'an end that is not known, though the wrapper was let alone': [
    'lost',
    { runs: runs(ended({ code: 'result-unknown' }), other) },
  ],
  'an end that is known, though the wrapper was killed': ['untrue', { victims: new Set([task('1.s0.a', 0, 1)]) }],
  'a task that is said to be lost': ['lost', { runs: runs(ended({ code: 'lost' }), other) }],
  'a run that never comes to its end': ['lost', { runs: runs(ended(undefined, 'pending'), other) }],
  'failures that were not counted': ['untrue', { runs: runs(first, run('1.s0.b', 2, 2, 0)) }],
  'a run that is told of another target': ['untrue', { runs: runs(run('1.s0.a', 2, 1, 0), other) }],
  'a target without an outcome': ['lost', { outcomes: new Map([[key, [outcome('1.s0.a', 1)]]]) }],
  'a target with two outcomes': [
    'doubled',
    { outcomes: new Map([[key, [outcome('1.s0.a', 1), outcome('1.s0.b', 2), outcome('1.s0.b', 2)]]]) },
  ],
  'a target that was missed where all must run': [
    'lost',
    {
      outcomes: new Map([[key, [outcome('1.s0.a', 1), { ...outcome('1.s0.b', 2), outcome: 'missed', why: 'window' }]]]),
    },
  ],
  'a target that is said to have run, of which there is no run': ['lost', { runs: runs(first) }],
  'a row that stands for more targets than there are': [
    'untrue',
    { outcomes: new Map([[key, [outcome('1.s0.a', 1), { ...outcome('1.s0.b', 2), count: 2 }]]]) },
  ],
  'a service without its copy': ['lost', { alive: new Set() }],
  'a service of another generation': [
    'untrue',
    {
      lines: readLedger(ledger.map(each => each.replace('web 3 2.service 0 2', 'web 2 2.service 0 2')).join('\n')),
    },
  ],
  'a process that nobody wants': ['stray', { alive: new Set([web_task, task('1.s0.a', 0, 1)]) }],
  'a run by hand that was promised': ['lost', { wishes: [{ key, run: '1.m.x', wish: 'w' }] }],
};
for (const [what, [kind, change]] of Object.entries(broken))
  test(`the judge of a storm sees ${what}`, t => {
    const { complaints } = judge({ ...facts(), ...change });
    t.true(
      complaints.some(each => each.kind === kind),
      JSON.stringify(complaints),
    );
  });

test('an end that nobody can know is no complaint where the wrapper was killed', t => {
  const lines = without(ledger[1]!);
  const victims = new Set([task('1.s0.a', 0, 1)]);
  const failed = ended({ code: 'result-unknown' });
  const counted = { ...failed, instances: [{ ...failed.instances[0]!, failures: 1 }] };
  t.deepEqual(judge({ ...facts(), lines, victims, runs: runs(counted, other) }).complaints, []);
});

test('where everything was killed, an end may be unknown or known, but not otherwise than it was', t => {
  const doubtful = new Set([task('1.s0.a', 0, 1)]);
  t.deepEqual(judge({ ...facts(), doubtful }).complaints, []);
  const unknown = runs(ended({ code: 'result-unknown' }), other);
  t.deepEqual(judge({ ...facts(), doubtful, runs: unknown }).complaints, []);
  t.true(
    judge({ ...facts(), doubtful, runs: runs(ended({ code: 'exited', exit_code: 3 }), other) }).complaints.length > 0,
  );
});

test('a torn line of the ledger is not read as another', t => {
  t.throws(() => readLedger('start storm/test/beat 1 1.s0'), { message: /torn line/ });
});
