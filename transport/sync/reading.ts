// reading.ts: texts become the jobs that a directory wants, or everything that is wrong with them, by file and line.

import { readPlacedYaml } from '../http/yaml.ts';
import { unknownFields } from './chronos.ts';
import type { Dialect } from './dialect.ts';
import type { SourceText } from './files.ts';
import { type Finding, findingOf, type Wanted } from './plan.ts';

export type Reading = {
  readonly wanted: readonly Wanted[];
  readonly findings: readonly Finding[];
  /** What does no harm, and is most likely not meant. */
  readonly notes: readonly Finding[];
  /** Files whose jobs stay as they are. */
  readonly broken_files: readonly string[];
};

export function readTexts(texts: readonly SourceText[], dialect: Dialect): Reading {
  const findings: Finding[] = [];
  const notes: Finding[] = [];
  const broken = new Set<string>();
  const by_name = new Map<string, Wanted[]>();
  for (const { file, text } of texts) {
    const yaml = readPlacedYaml(text);
    if (!yaml.ok) {
      broken.add(file);
      findings.push(...yaml.problems.map(each => findingOf(file, each, undefined)));
      continue;
    }
    const { value, placeOf } = yaml.value;
    const read = dialect.read(value, file);
    if (!read.ok) {
      broken.add(file);
      findings.push(...read.problems.map(each => findingOf(file, each, placeOf)));
      continue;
    }
    const job = { ...read.value, file, placeOf: placesIn(text) };
    if (dialect.layout === 'chronos')
      notes.push(...unknownFields(job.document).map(each => findingOf(file, each, placeOf)));
    by_name.set(job.name, [...(by_name.get(job.name) ?? []), job]);
  }
  const wanted: Wanted[] = [];
  for (const [name, jobs] of by_name) {
    if (jobs.length === 1) {
      wanted.push(jobs[0]!);
      continue;
    }
    // Which of them is meant is nobody's to guess.
    for (const job of jobs) {
      const rest = jobs.filter(each => each !== job).map(each => each.file);
      broken.add(job.file);
      const expected = 'one file for each job';
      const message = `the job ${name} is in ${rest.join(' and ')} too: expected ${expected}`;
      findings.push({ file: job.file, ...job.placeOf('/name'), message, expected });
    }
  }
  return { wanted, findings, notes, broken_files: [...broken] };
}

/**
 * A tree of places is twenty times the text that it is of, and hardly any job is ever asked for one: it is made anew for whoever
 * asks.
 */
const placesIn =
  (text: string): Wanted['placeOf'] =>
  pointer => {
    const read = readPlacedYaml(text);
    return read.ok ? read.value.placeOf(pointer) : { line: 1, column: 1 };
  };

/** Of the names that anybody mentions, those whose files cannot be used. */
export function brokenNames(
  reading: Reading,
  findings: readonly Finding[],
  names: Iterable<string>,
  { owns }: Dialect,
): ReadonlySet<string> {
  const files = new Set([...reading.broken_files, ...findings.map(each => each.file).filter(file => file !== '')]);
  if (files.size === 0) return new Set();
  return new Set([...names].filter(name => [...files].some(file => owns(file, name))));
}
