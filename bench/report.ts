// report.ts: how a benchmark says what it measured.
//
// One line for people, with the machine it ran on; with `--json` one line for programs instead; with `--check` the
// figures are held against the floors that the benchmark names, and the exit status tells. A figure carries its unit at
// the end of its name (`p99_ms`, `placements_per_s`, `rss_mb`), which is also how it is shown.

import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Problem } from '../schedules/problem.ts';
import { type Setting, whole, yes } from '../transport/cli/setting.ts';
import { readList } from '../transport/cli/settings-reader.ts';

export type Figures = { readonly [name: string]: number };
/** What a figure must hold to: a rate from below, a delay from above. */
export type Floors = { readonly [name: string]: { readonly at_least: number } | { readonly at_most: number } };
export type Report = { readonly name: string; readonly figures: Figures; readonly floors?: Floors };
export type Options<D> = { readonly [K in keyof D]: number } & { readonly json: boolean; readonly check: boolean };

/**
 * Reads a benchmark's arguments: `--json`, `--check` and one whole number per entry of `defaults`
 * (`{ agents: 1000 }` is `--agents 1000`). Anything else ends the program with all problems told.
 */
export function readOptions<D extends Readonly<Record<string, number>>>(
  argv: readonly string[],
  defaults: D,
): Options<D> {
  const list: Record<string, Setting<unknown>> = {
    json: yes({ group: 'Report', help: 'One line of JSON.' }),
    check: yes({ group: 'Report', help: 'Compare with the floors.' }),
  };
  for (const [name, value] of Object.entries(defaults))
    list[name] = whole({ group: 'Size', help: name, unit: name, default: value, min: 0, max: 1_000_000_000 });
  const read = readList(list, argv, {});
  if (read.ok) return read.value as Options<D>;
  for (const problem of read.problems) console.error(`bench: ${problem.message}`);
  const flags = Object.keys(list).map(name => `--${name.replaceAll('_', '-')}`);
  console.error(`bench: expected ${flags.join(', ')}`);
  process.exit(2);
}

/** Prints a report, and with `check` sets the exit status to 1 where a floor is not held. */
export function report(given: Report, { json, check }: { readonly json: boolean; readonly check: boolean }): void {
  console.log(json ? jsonLine(given, machine()) : humanLine(given, machine()));
  if (!check) return;
  const broken = brokenFloors(given);
  for (const problem of broken) console.error(`bench: ${problem.message}`);
  if (broken.length > 0) process.exitCode = 1;
}

export function humanLine({ name, figures }: Report, where: string): string {
  const parts = Object.entries(figures).map(([figure, value]) => shown(figure, value));
  return `${name}: ${parts.join(', ')} (${where})`;
}

export function jsonLine({ name, figures }: Report, where: string): string {
  return JSON.stringify({ bench: name, machine: where, ...figures });
}

/** Floors that do not hold. A floor for a figure that was not measured is broken too. */
export function brokenFloors({ name, figures, floors = {} }: Report): readonly Problem[] {
  return Object.entries(floors).flatMap(([figure, floor]) => {
    const value = figures[figure];
    const expected = 'at_least' in floor ? `at least ${floor.at_least}` : `at most ${floor.at_most}`;
    if (value === undefined)
      return [{ place: figure, message: `${name}: ${figure} was not measured: expected ${expected}`, expected }];
    const held = 'at_least' in floor ? value >= floor.at_least : value <= floor.at_most;
    return held
      ? []
      : [{ place: figure, value, message: `${name}: ${figure} is ${rounded(value)}: expected ${expected}`, expected }];
  });
}

/** The smallest of the values that at least the share `q` of them do not exceed; `q` 0.5 is the median. */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (values.length === 0 || !(q >= 0 && q <= 1))
    throw new Error(`no ${q} quantile of ${values.length} values: expected some, and 0 to 1`);
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

/** `2 x AMD EPYC 7B13, 8 GB, Node 24.21.0, linux x64`. */
export function machine(): string {
  const model = cpus()[0]?.model.trim().replace(/\s+/g, ' ') ?? 'unknown processor';
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  return `${availableParallelism()} x ${model}, ${memory}, Node ${process.versions.node}, ${process.platform} ${process.arch}`;
}

const units: readonly (readonly [string, string])[] = [
  ['_per_s', '/s'],
  ['_ms', ' ms'],
  ['_us', ' us'],
  ['_s', ' s'],
  ['_mb', ' MB'],
  ['_bytes', ' bytes'],
  ['_percent', '%'],
];

/** `5,234 placements/s`, `p99 3.4 ms`, `ratio to raw 0.021`. */
function shown(figure: string, value: number): string {
  const [suffix, unit] = units.find(([ending]) => figure.endsWith(ending)) ?? ['', ''];
  const words = figure.slice(0, figure.length - suffix.length).replaceAll('_', ' ');
  return suffix === '_per_s' ? `${rounded(value)} ${words}${unit}` : `${words} ${rounded(value)}${unit}`;
}

/** Whole numbers as they are, others to three figures. */
function rounded(value: number): string {
  const places =
    Number.isInteger(value) || Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString('en-US', places);
}
