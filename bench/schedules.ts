// schedules.ts: how fast the next run is found, beside the two libraries that people use for it.
//
//   npm run bench -- schedules [--json] [--check] [--seed 1] [--specs 1200] [--seconds 1]
//
// Everybody gets the same lines, zones and instants. Each instant is asked for once per round and rounds use different
// instants, so that nothing can be answered from memory. The libraries keep their parsed line between questions, as their
// users do. Before anything is timed, answers are compared: figures of engines that do not agree mean nothing.

import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';
import { parseCron } from '../schedules/cron.ts';
import { compile, next, type Schedule, type ScheduleSpec } from '../schedules/schedule.ts';
import { type Report, readOptions, report } from './report.ts';

type Peer = { readonly next_zone_per_s: number; readonly next_utc_per_s: number; readonly parse_per_s: number };
type Comparison = {
  readonly compared: number;
  readonly by_rule: number;
  readonly croner: number;
  readonly cron_parser: number;
  readonly examples: readonly string[];
};

type Question = { readonly line: string; readonly zone: string };
type Engine = {
  readonly parse: (line: string) => unknown;
  /** Prepares a question; the answer is then a function of the instant. */
  readonly prepare: (question: Question) => (after: number) => number | undefined;
};

const from = Date.UTC(2020, 0, 1);
const span_ms = 12 * 365 * 86_400_000;

export async function schedules(options: {
  readonly seed: number;
  readonly specs: number;
  readonly seconds: number;
}): Promise<Report> {
  const window_ms = options.seconds * 1000;
  const throwDie = dice(options.seed);
  const zone_names = Intl.supportedValuesOf('timeZone');
  const lines = distinctLines(options.specs, throwDie);
  const in_zones = lines.map(line => ({ line, zone: zone_names[Math.floor(throwDie() * zone_names.length)]! }));
  const in_utc = lines.map(line => ({ line, zone: 'UTC' }));
  const instants = Array.from({ length: 100_003 }, () => from + Math.floor(throwDie() * (span_ms / 1000)) * 1000);

  // The first question to each zone and stretch of years: its clock changes have yet to be read from ICU.
  const next_cold_zone_per_s = measureNext(ours, in_zones, instants, 0);
  // Then every zone is asked about every year before the clock starts, as in a scheduler that has run for a while.
  for (const ask of in_zones.map(ours.prepare))
    for (let year = 0; year <= 12; year++) ask(from + (year * span_ms) / 12);

  const comparison = compareAnswers(in_zones, instants);
  for (const example of comparison.examples) console.error(`bench: answers differ: ${example}`);
  const next_zone_per_s = measureNext(ours, in_zones, instants, window_ms);
  const croner = measurePeer(cronerEngine, lines, in_zones, in_utc, instants, window_ms);
  const cron_parser = measurePeer(cronParserEngine, lines, in_zones, in_utc, instants, window_ms);
  return {
    name: 'schedules',
    figures: {
      next_zone_per_s,
      next_utc_per_s: measureNext(ours, in_utc, instants, window_ms),
      parse_per_s: measureParse(ours, lines, window_ms),
      // Whole schedules, with zone, rules and the proof that they run at all.
      compile_per_s: perSecond(window_ms, i => compileOne(in_zones[i % in_zones.length]!)),
      next_cold_zone_per_s,
      ratio_to_croner: next_zone_per_s / croner.next_zone_per_s,
      ratio_to_cron_parser: next_zone_per_s / cron_parser.next_zone_per_s,
      ...Object.fromEntries(Object.entries(croner).map(([name, value]) => [`croner_${name}`, value])),
      ...Object.fromEntries(Object.entries(cron_parser).map(([name, value]) => [`cron_parser_${name}`, value])),
      specs: new Set(lines).size,
      zones: new Set(in_zones.map(question => question.zone)).size,
      answers_compared: comparison.compared,
      answers_by_another_dst_rule: comparison.by_rule,
      answers_unlike_croner: comparison.croner,
      answers_unlike_cron_parser: comparison.cron_parser,
      seed: options.seed,
    },
    floors: {
      next_zone_per_s: { at_least: 300_000 },
      parse_per_s: { at_least: 100_000 },
      ratio_to_croner: { at_least: 20 },
      ratio_to_cron_parser: { at_least: 20 },
      answers_unlike_croner: { at_most: 0 },
      answers_unlike_cron_parser: { at_most: 0 },
    },
  };
}

// --- the engines ----------------------------------------------------------------------------------------------------

function compileOne(question: Question, dst: NonNullable<ScheduleSpec['dst']> = {}): Schedule {
  const read = compile(
    { cron: question.line, zone: question.zone, dst },
    { now: from, default_zone: 'UTC', job_key: 'bench/bench/bench' },
  );
  if (!read.ok) throw new Error(`"${question.line}" was refused: ${JSON.stringify(read.problems)}`);
  return read.value;
}
const ours: Engine = {
  parse: text => {
    const read = parseCron(text);
    if (!read.ok) throw new Error(`"${text}" was refused: ${JSON.stringify(read.problems)}`);
    return read.value;
  },
  prepare: question => {
    const schedule = compileOne(question);
    return after => next(schedule, after);
  },
};
const cronerEngine: Engine = {
  parse: text => new Cron(text, { paused: true }),
  prepare: question => {
    const cron = new Cron(question.line, { timezone: question.zone, paused: true });
    return after => cron.nextRun(new Date(after))?.getTime();
  },
};
const cronParserEngine: Engine = {
  parse: text => CronExpressionParser.parse(text),
  prepare: question => {
    const cron = CronExpressionParser.parse(question.line, { tz: question.zone });
    return after => {
      cron.reset(new Date(after));
      return cron.next().getTime();
    };
  },
};

// --- measuring ------------------------------------------------------------------------------------------------------

function measurePeer(
  engine: Engine,
  lines: readonly string[],
  in_zones: readonly Question[],
  in_utc: readonly Question[],
  instants: readonly number[],
  window_ms: number,
): Peer {
  return {
    next_zone_per_s: measureNext(engine, in_zones, instants, window_ms),
    next_utc_per_s: measureNext(engine, in_utc, instants, window_ms),
    parse_per_s: measureParse(engine, lines, window_ms),
  };
}

/** `window_ms` 0: one round only. */
function measureNext(
  engine: Engine,
  questions: readonly Question[],
  instants: readonly number[],
  window_ms: number,
): number {
  const asked = questions.map(engine.prepare);
  let sum = 0;
  const ask = (i: number) => {
    sum += asked[i % asked.length]!(instants[i % instants.length]!) ?? 0;
  };
  const rate = window_ms === 0 ? onceThrough(asked.length, ask) : perSecond(window_ms, ask);
  if (Number.isNaN(sum)) throw new Error('an engine answered with no number');
  return rate;
}

const measureParse = (engine: Engine, lines: readonly string[], window_ms: number): number =>
  perSecond(window_ms, i => engine.parse(lines[i % lines.length]!));

function onceThrough(count: number, work: (i: number) => unknown): number {
  const started = performance.now();
  for (let i = 0; i < count; i++) work(i);
  return Math.round((count / (performance.now() - started)) * 1000);
}

/** Calls `work` with 0, 1, 2... for `window_ms` after a fifth of that to warm up. */
function perSecond(window_ms: number, work: (i: number) => unknown): number {
  let i = 0;
  const run = (ms: number) => {
    const started = performance.now();
    const before = i;
    let elapsed = 0;
    while (elapsed < ms) {
      for (let batch = 0; batch < 64; batch++) work(i++);
      elapsed = performance.now() - started;
    }
    return ((i - before) / elapsed) * 1000;
  };
  run(window_ms / 5);
  return Math.round(run(window_ms));
}

function compareAnswers(questions: readonly Question[], instants: readonly number[]): Comparison {
  const counts = { croner: 0, cron_parser: 0 };
  let by_rule = 0;
  const examples: string[] = [];
  for (const [i, question] of questions.entries()) {
    const after = instants[(i * 31) % instants.length]!;
    const answer = ours.prepare(question)(after);
    for (const [peer, engine] of [
      ['croner', cronerEngine],
      ['cron_parser', cronParserEngine],
    ] as const) {
      const theirs = engine.prepare(question)(after);
      if (theirs === answer) continue;
      if (anyRule(question, after, theirs)) {
        by_rule++;
        continue;
      }
      counts[peer]++;
      const show = (t: number | undefined) => (t === undefined ? 'nothing' : new Date(t).toISOString());
      if (examples.length < 5)
        examples.push(
          `"${question.line}" in ${question.zone} after ${show(after)}: ours ${show(answer)}, ${peer} ${show(theirs)}`,
        );
    }
  }
  return { compared: questions.length * 2, by_rule, ...counts, examples };
}

/**
 * Whether an answer is ours under other rules for clock changes: the libraries disagree there with one another (half past
 * two in a gap is three o'clock for croner and half past three for cron-parser), and ours is told what to do.
 */
function anyRule(question: Question, after: number, theirs: number | undefined): boolean {
  for (const gap of ['skip', 'next_valid', 'shift'] as const)
    for (const fold of ['first', 'second', 'both'] as const)
      if (next(compileOne(question, { gap, fold }), after) === theirs) return true;
  return false;
}

// --- the questions --------------------------------------------------------------------------------------------------

/** Lines as people write them, all different. */
function distinctLines(count: number, throwDie: () => number): string[] {
  const pick = (n: number) => Math.floor(throwDie() * n);
  const kinds: (() => string)[] = [
    () => `${pick(60)} ${pick(24)} * * *`,
    () => `*/${2 + pick(28)} ${pick(12)}-${12 + pick(12)} * * *`,
    () => `${pick(60)} ${pick(24)} * * ${pick(7)}`,
    () => `${pick(60)} ${pick(24)} ${1 + pick(28)} * *`,
    () => `${pick(60)} ${pick(24)} ${1 + pick(28)} ${1 + pick(12)} *`,
    () => `${pick(60)} ${pick(12)},${12 + pick(12)} * * 1-5`,
    () => `${pick(30)},${30 + pick(30)} * * * *`,
    () => `${pick(60)} ${pick(24)} L * *`,
  ];
  const lines = new Set<string>();
  while (lines.size < count) lines.add(kinds[pick(kinds.length)]!());
  return [...lines];
}

function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (import.meta.main) {
  const options = readOptions(process.argv.slice(2), { seed: 1, specs: 1200, seconds: 1 });
  report(await schedules(options), options);
}
