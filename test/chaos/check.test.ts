// check.test.ts: the judge of a chaos run is not blind: each way of breaking one's word is seen.

import test from 'ava';
import { mulberry32 } from '../mesos/support/seeded.ts';
import { judge, readBeginnings } from './callers.ts';
import { assign, check, type Row, window_ms } from './check.ts';
import { failovers, percentile, resumptions } from './figures.ts';
import { picture } from './picture.ts';
import { kinds, plan } from './plan.ts';
import { readMarks, works } from './targets.ts';

const start_ms = Date.UTC(2026, 0, 1);
/** Five targets, two seconds apart. */
const [two] = works('/book', start_ms, 10_000);
const at = (n: number) => new Date(start_ms + n * 2_000).toISOString();
const line = (verb: string, n: number, after_ms: number, attempt = 1) =>
  `${verb} ${two!.key} ${at(n)} run-${n} ${attempt} ${start_ms + n * 2_000 + after_ms}`;
const sound = [0, 1, 2, 3, 4].flatMap(n => [line('start', n, 100), line('end', n, 400)]);
const row = (from: number, to: number, outcome: string): Row => ({
  from: at(from),
  to: at(to),
  count: to - from + 1,
  outcome,
});
const judged = (lines: readonly string[], rows: readonly Row[] = [0, 1, 2, 3, 4].map(n => row(n, n, 'ran'))) =>
  check([two!], readMarks(lines.join('\n')), new Map([[two!.key, rows]]), 60_000);

test('five targets, each run once and to its end, are beyond reproach', t => {
  t.like(judged(sound), {
    ran: 5,
    late: 0,
    missed: 0,
    lost: 0,
    doubled: 0,
    incomplete: 0,
    extra: 0,
    unserved: 0,
    outcomes: { ran: 5 },
    complaints: [],
  });
});

test('a target without a run is lost, or missed where the books own up to it', t => {
  const without = sound.slice(2);
  t.like(judged(without), { ran: 4, lost: 1, missed: 0, unserved: 1 });
  t.is(judged(without).complaints.length, 1);
  const rows = [row(0, 0, 'missed'), ...[1, 2, 3, 4].map(n => row(n, n, 'ran'))];
  t.like(judged(without, rows), { ran: 4, lost: 0, missed: 1 });
  t.is(judged(without, rows).complaints.length, 1);
});

test('a second run of a target is seen, whatever its attempt is called', t => {
  const twice = judged([...sound, line('start', 2, 900, 2)]);
  t.like(twice, { doubled: 1, extra: 1, lost: 0 });
  t.regex(twice.complaints[0]!, /was run 2 times/);
});

test('a run that never ended, one that came too early, and one for no target are seen', t => {
  t.like(judged(sound.slice(0, -1)), { incomplete: 1, ran: 5 });
  t.regex(judged([line('start', 0, -1), ...sound.slice(1)]).complaints[0]!, /1 ms early/);
  t.regex(judged([...sound, line('start', 7, 1)]).complaints[0]!, /no target at 2026-01-01T00:00:14/);
});

test('books that say nothing of a target, two things, or less than was done are complained of', t => {
  const some = [1, 2, 3, 4].map(n => row(n, n, 'ran'));
  t.is(judged(sound, some).complaints.length, 2);
  t.is(judged(sound, [row(0, 1, 'ran'), ...some]).complaints.length, 1);
  t.is(judged(sound, [row(0, 0, 'skipped'), ...some]).complaints.length, 1);
});

test('a late run is late, and no more than that', t => {
  const late = sound.with(0, line('start', 0, window_ms + 1)).with(1, line('end', 0, window_ms + 2));
  t.like(judged(late, [row(0, 0, 'caught-up'), ...[1, 2, 3, 4].map(n => row(n, n, 'ran'))]), {
    late: 1,
    complaints: [],
  });
});

test('a wish has one run, begun once, which every node knows by one name; all else is complained of', t => {
  const wish = (n: number, run = `r${n}`) => ({
    name: `wish-${n}`,
    asked_ms: 0,
    tries: n,
    done: { at_ms: 10 * n, run },
  });
  const begun = (...runs: readonly string[]) => runs.map(run => ({ run, attempt: 1 }));
  const two_wishes = [wish(1), wish(2)];
  t.deepEqual(judge(two_wishes, begun('r1', 'r2'), ['r1', 'r2']), {
    asked: 2,
    done: 2,
    repeated: 1,
    lost: 0,
    doubled: 0,
    waits_ms: [10, 20],
    complaints: [],
  });
  const wrong = (...given: Parameters<typeof judge>) => judge(...given).complaints;
  t.regex(wrong(two_wishes, begun('r1'), ['r1', 'r2'])[0]!, /wish-2 was promised as r2, which began 0 times/);
  t.like(judge(two_wishes, begun('r1', 'r2', 'r2'), ['r1', 'r2']), { doubled: 1, lost: 0 });
  t.regex(wrong(two_wishes, begun('r1', 'r2'), ['r1'])[0]!, /which no node knows/);
  t.regex(wrong([wish(1), wish(2, 'r1')], begun('r1'), ['r1'])[0]!, /wish-2 and wish-1 were given one run/);
  t.regex(wrong([{ ...wish(1), again: 'r9' }], begun('r1'), ['r1'])[0]!, /r1 at one node, and r9 at another/);
  t.regex(wrong([{ name: 'wish-1', asked_ms: 0, tries: 3 }], [], [])[0]!, /told 3 times, and never done/);
  t.regex(wrong([wish(1)], begun('r1', 'r2'), ['r1'])[0]!, /r2 was run, and no wish was answered with it/);
  t.throws(() => readBeginnings(import.meta.filename), { message: /torn line/ });
});

test('by time alone runs go to the windows that close first', t => {
  const windows = [0, 10, 20].map(from => ({ from, to: from + 15 }));
  t.deepEqual(assign(windows, [12, 13, 21]), { extra: 0, unserved: 0 });
  t.deepEqual(assign(windows, [0, 1, 21]), { extra: 1, unserved: 1 });
  t.deepEqual(assign(windows, [36]), { extra: 1, unserved: 3 });
});

test('a failover is measured from the blow, from the return of the quorum where it was gone, and not across a standstill', t => {
  const reigns = [0, 20_000, 50_000, 80_000].map((at_ms, n) => ({ node: `node-${n % 2}`, epoch: n + 1, at_ms }));
  const events = [
    { fault: { kind: 'kill-leader', for_ms: 1 }, from_ms: 9_000, to_ms: 9_900, leader_hit_ms: 9_000 },
    { fault: { kind: 'kill-leader', for_ms: 1 }, from_ms: 30_000, to_ms: 31_000, leader_hit_ms: 30_000 },
    { fault: { kind: 'kill-quorum', for_ms: 1 }, from_ms: 32_000, to_ms: 46_000, back_ms: 45_000 },
    { fault: { kind: 'kill-leader', for_ms: 1 }, from_ms: 70_000, to_ms: 71_000, leader_hit_ms: 70_000 },
    { fault: { kind: 'kill-member', member: 1, for_ms: 1 }, from_ms: 80_500, to_ms: 90_000 },
  ] as const;
  const marks = [8_500, 20_400, 51_000, 81_000].map(at_ms => ({
    verb: 'start' as const,
    job: two!.key,
    target_ms: 0,
    run: 'x',
    attempt: 1,
    at_ms,
  }));
  const found = failovers(reigns, events, marks, [{ from_ms: 72_000, to_ms: 75_000 }]);
  t.deepEqual(
    found.map(({ after, first_launch_ms, stalled, struck_again }) => [after, first_launch_ms, stalled, struck_again]),
    [
      ['kill-leader', 11_400, false, false],
      ['kill-leader and kill-quorum', 6_000, false, false],
      ['kill-leader', 11_000, true, true],
    ],
  );
  const moments = [8_400, undefined, 20_000, 71_000, 90_000];
  t.deepEqual(resumptions(moments, marks, [{ from_ms: 72_000, to_ms: 75_000 }]), [100, 400]);
  t.deepEqual([percentile([], 0.5), percentile([3, 1, 2], 0.5), percentile([3, 1, 2], 0.99)], [undefined, 2, 3]);
});

test('a plan deals every kind of fault before any comes again, and a seed repeats it', t => {
  const dealt = (seed: number) => {
    const steps = plan(mulberry32(seed), 10_000);
    return kinds.map(() => steps.next().value!.fault);
  };
  t.deepEqual(
    dealt(1)
      .map(({ kind }) => kind)
      .sort(),
    [...kinds].sort(),
  );
  t.deepEqual(dealt(1), dealt(1));
  t.notDeepEqual(dealt(1), dealt(2));
});

test('the picture shows what was lost in black, what was late in red, and the faults below', t => {
  const { targets } = judged([line('start', 0, 1), line('end', 0, 2), line('start', 1, 9_000), line('end', 1, 9_001)]);
  const fault = { kind: 'kill-leader', for_ms: 1_000 } as const;
  const events = [{ fault, from_ms: start_ms, to_ms: start_ms + 1_000, node: 'node-1' }];
  const svg = picture({
    title: 'a < b',
    targets,
    events,
    reigns: [{ node: 'node-1', epoch: 1, at_ms: start_ms }],
    failovers: [],
    stalls: [],
    from_ms: start_ms,
    to_ms: start_ms + 10_000,
  });
  const count = (color: string) => svg.split(`fill="${color}"`).length - 1;
  t.deepEqual([count('#2f9e44'), count('#e03131'), count('#000000')], [1, 1, 3]);
  t.true(svg.includes('a &lt; b') && svg.includes('kill-leader') && svg.includes('node-1, epoch 1'));
});
