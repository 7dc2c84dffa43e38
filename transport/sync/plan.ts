// plan.ts: what must be done so that a scheduler has what a directory says, and in which order.
//
// Pure: what the files want and what the server has go in, steps come out. Parents come before those that follow them, new ones
// too, and what goes, goes last, children first; so every prefix of the steps leaves a server that is right as far as it got.
// What is wrong with one file keeps that file's job as it is, and nothing else: others are planned as if it were not changed.

import type { Problem } from '../../schedules/problem.ts';
import type { FieldChange, Fields } from './diff.ts';

/** Something wrong, where it stands: a file of the directory, and a line in it where there is one. */
export type Finding = {
  /** Relative to the directory; '' for the directory itself. */
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly expected: string;
};

/** A job as a file wants it. */
export type Wanted = {
  /** By which the server knows it: a key, or a name of Chronos. */
  readonly name: string;
  readonly file: string;
  readonly parents: readonly string[];
  /** What is compared. */
  readonly fields: Fields;
  /** What is sent: what the file says. */
  readonly document: Fields;
  readonly placeOf: (pointer: string) => { readonly line: number; readonly column: number };
};

/** A job as the server has it. */
export type Found = {
  readonly name: string;
  readonly parents: readonly string[];
  readonly fields: Fields;
  /** As the server wrote it. */
  readonly document: Fields;
  /** Names this version to a conditional write. */
  readonly tag?: string;
  /** Why it is none of this directory's, though no file names it: it came by another dialect. */
  readonly foreign?: string;
};

export type Step =
  | {
      readonly kind: 'create';
      readonly name: string;
      readonly wanted: Wanted;
      readonly changes: readonly FieldChange[];
    }
  | {
      readonly kind: 'change';
      readonly name: string;
      readonly wanted: Wanted;
      readonly found: Found;
      readonly changes: readonly FieldChange[];
    }
  | { readonly kind: 'delete'; readonly name: string; readonly found: Found };

export type Plan = {
  /** In an order in which they can be done. */
  readonly steps: readonly Step[];
  /** Jobs that are as their files say. */
  readonly same: number;
  /** Jobs of the server that no file names, and that stay. */
  readonly unnamed: readonly string[];
  readonly findings: readonly Finding[];
};

export type Planned = {
  readonly wanted: readonly Wanted[];
  /** Jobs whose files cannot be used: they are neither changed nor missing. */
  readonly broken: ReadonlySet<string>;
  readonly found: readonly Found[];
  readonly compare: (wanted: Wanted, found: Found) => readonly FieldChange[];
  /** What a new job is told to have. */
  readonly brandNew: (wanted: Wanted) => readonly FieldChange[];
  readonly delete_missing: boolean;
  /** Also those that do not differ. */
  readonly force: boolean;
  /** Which jobs the directory speaks of: others are none of its business. */
  readonly covers: (name: string) => boolean;
  /** Parents that are neither in files nor listed, and may be there all the same. */
  readonly elsewhere: (name: string) => boolean;
};

export function plan(given: Planned): Plan {
  const found = new Map(given.found.map(one => [one.name, one]));
  const { fit, findings } = fitting(given.wanted, found, given);
  const steps: Step[] = [];
  for (const wanted of inOrder(fit)) {
    const there = found.get(wanted.name);
    if (there === undefined) {
      steps.push({ kind: 'create', name: wanted.name, wanted, changes: given.brandNew(wanted) });
      continue;
    }
    const changes = given.compare(wanted, there);
    if (changes.length > 0 || given.force)
      steps.push({ kind: 'change', name: wanted.name, wanted, found: there, changes });
  }
  const same = fit.length - steps.length;
  const named = new Set([...given.wanted.map(one => one.name), ...given.broken]);
  const unnamed = given.found.filter(
    one => !named.has(one.name) && one.foreign === undefined && given.covers(one.name),
  );
  if (!given.delete_missing) return { steps, same, unnamed: unnamed.map(one => one.name), findings };
  for (const one of inOrder(unnamed).reverse()) steps.push({ kind: 'delete', name: one.name, found: one });
  return { steps, same, unnamed: [], findings };
}

/** Each after its parents. What is part of a cycle is not to be had here. */
export function inOrder<T extends { readonly name: string; readonly parents: readonly string[] }>(
  jobs: readonly T[],
): T[] {
  const by_name = new Map(jobs.map(one => [one.name, one]));
  const children = new Map<string, T[]>();
  const waits = new Map<T, number>();
  const ordered: T[] = [];
  for (const job of jobs) {
    const parents = [...new Set(job.parents)].filter(parent => by_name.has(parent) && parent !== job.name);
    waits.set(job, parents.length);
    if (parents.length === 0) ordered.push(job);
    for (const parent of parents) {
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [job]);
      else known.push(job);
    }
  }
  // It grows while it is walked.
  for (const job of ordered)
    for (const child of children.get(job.name) ?? []) {
      const left = waits.get(child)! - 1;
      waits.set(child, left);
      if (left === 0) ordered.push(child);
    }
  return ordered;
}

/** Whom the files and the server together let be, and what is wrong with the others: cycles, and parents that are nowhere. */
function fitting(
  wanted: readonly Wanted[],
  found: ReadonlyMap<string, Found>,
  { broken, delete_missing, covers, elsewhere }: Planned,
): { readonly fit: readonly Wanted[]; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const files = new Map(wanted.map(one => [one.name, one]));
  const goes = (name: string) => {
    const there = found.get(name);
    return (
      delete_missing &&
      there?.foreign === undefined &&
      there !== undefined &&
      !files.has(name) &&
      !broken.has(name) &&
      covers(name)
    );
  };
  const kept = [...found.values()].filter(one => !files.has(one.name));
  const edges = new Map<string, readonly string[]>();
  for (const one of [...kept, ...wanted]) edges.set(one.name, one.parents);
  const cycles = cyclesOf(edges, wanted);
  const unfit = new Set<string>();
  for (const cycle of cycles) {
    for (const name of cycle) unfit.add(name);
    const first = files.get(cycle.find(name => files.has(name))!)!;
    // From the first file on, round and back to it.
    const from = cycle.indexOf(first.name);
    const round = [...cycle.slice(from), ...cycle.slice(0, from), first.name];
    const path = round.map(name => `${name} (${files.get(name)?.file ?? 'on the server'})`).join(' follows ');
    const pointer = `/parents/${first.parents.indexOf(round[1]!)}`;
    const expected = 'parents that do not follow it';
    findings.push({
      file: first.file,
      ...first.placeOf(pointer),
      message: `${first.name} would follow itself: ${path}`,
      expected,
    });
  }
  for (const { name, file } of wanted) {
    const foreign = found.get(name)?.foreign;
    if (foreign === undefined) continue;
    unfit.add(name);
    const expected = 'a file in the layout of that dialect, or another name';
    findings.push({ file, message: `there is a job ${name}, and ${foreign}: expected ${expected}`, expected });
  }
  // Without a parent there is no child; without the child, none of its own.
  for (let before = -1; before !== unfit.size; ) {
    before = unfit.size;
    for (const one of wanted) {
      if (unfit.has(one.name)) continue;
      for (const [index, parent] of one.parents.entries()) {
        const why = noParent(parent, { files, found, broken, unfit, goes, elsewhere });
        if (why === undefined) continue;
        unfit.add(one.name);
        const place = one.placeOf(`/parents/${index}`);
        findings.push({ file: one.file, ...place, message: why.message, expected: why.expected });
        break;
      }
    }
  }
  return { fit: wanted.filter(one => !unfit.has(one.name)), findings };
}

function noParent(
  parent: string,
  {
    files,
    found,
    broken,
    unfit,
    goes,
    elsewhere,
  }: {
    readonly files: ReadonlyMap<string, Wanted>;
    readonly found: ReadonlyMap<string, Found>;
    readonly broken: ReadonlySet<string>;
    readonly unfit: ReadonlySet<string>;
    readonly goes: (name: string) => boolean;
    readonly elsewhere: (name: string) => boolean;
  },
): { readonly message: string; readonly expected: string } | undefined {
  if (goes(parent))
    return {
      message: `its parent ${parent} has no file, and would be deleted`,
      expected: 'a file for the parent, or another parent',
    };
  if (found.has(parent)) return undefined;
  if (unfit.has(parent) || broken.has(parent))
    return { message: `its parent ${parent} cannot be made: see its file`, expected: 'parents that can be made' };
  if (files.has(parent) || elsewhere(parent)) return undefined;
  return {
    message: `there is no job ${parent}, neither in a file nor on the server`,
    expected: 'parents that exist',
  };
}

/** One cycle for each knot: parents after children, as they stand in the files, the shortest way round from its first file. */
function cyclesOf(
  edges: ReadonlyMap<string, readonly string[]>,
  wanted: readonly Wanted[],
): readonly (readonly string[])[] {
  const all = [...edges].map(([name, parents]) => ({ name, parents: parents.filter(each => each !== name) }));
  const free = new Set(inOrder(all).map(one => one.name));
  const cycles: (readonly string[])[] = [];
  const told = new Set<string>();
  for (const { name } of wanted) {
    if (told.has(name)) continue;
    if (edges.get(name)?.includes(name)) {
      cycles.push([name]);
      told.add(name);
      continue;
    }
    if (free.has(name)) continue;
    const cycle = roundOf(name, edges, free);
    if (cycle === undefined) continue;
    cycles.push(cycle);
    for (const each of cycle) told.add(each);
  }
  return cycles;
}

/** The shortest way from a job over its parents back to it; undefined for one that merely follows a cycle. */
function roundOf(
  name: string,
  edges: ReadonlyMap<string, readonly string[]>,
  free: ReadonlySet<string>,
): readonly string[] | undefined {
  const from = new Map<string, string>();
  const ahead = [name];
  for (const one of ahead)
    for (const parent of edges.get(one) ?? []) {
      if (parent === name) {
        const way: string[] = [one];
        for (let at = one; at !== name; ) {
          at = from.get(at)!;
          way.unshift(at);
        }
        return way;
      }
      if (free.has(parent) || from.has(parent)) continue;
      from.set(parent, one);
      ahead.push(parent);
    }
  return undefined;
}

/** A problem of a document, where it stands in its file. */
export function findingOf(
  file: string,
  { place, message, expected }: Problem,
  placeOf: Wanted['placeOf'] | undefined,
): Finding {
  const text = message.includes(expected) ? message : `${message}: expected ${expected}`;
  const field = place.startsWith('/') ? `${place}: ` : '';
  const at = /^line (\d+), column (\d+)$/.exec(place);
  const where =
    at === null
      ? place.startsWith('/') || place === ''
        ? placeOf?.(place)
        : undefined
      : { line: Number(at[1]), column: Number(at[2]) };
  return { file, ...where, message: `${field}${text}`, expected };
}
