// apply.ts: a plan is carried out: several jobs at a time, each as soon as its parents are there.
//
// What fails takes along only what cannot be without it. Nothing is deleted unless everything else went well: a job that could
// not be written may be why another is still needed.

import type { Step } from './plan.ts';
import type { Outcome, Remote } from './server.ts';

export type Performed = { readonly step: Step; readonly outcome: Outcome };

export type Applying = {
  readonly remote: Pick<Remote, 'perform' | 'pace'>;
  readonly pause: (ms: number) => Promise<void>;
  readonly told: (performed: Performed) => void;
};

/** The outcome of every step, in the order of the steps. */
export async function apply(steps: readonly Step[], applying: Applying): Promise<readonly Performed[]> {
  const writes = steps.filter(step => step.kind !== 'delete');
  const written = await inTurn(writes, parentsAmong(writes), applying);
  const deletes = steps.filter(step => step.kind === 'delete');
  if (written.every(each => each.outcome.type === 'done'))
    return [...written, ...(await inTurn(deletes, childrenAmong(deletes), applying))];
  const message = 'not deleted, since not everything else could be written';
  return [...written, ...deletes.map(step => skip(step, message, applying))];
}

/** Steps that must be over before one begins. */
type Before = ReadonlyMap<Step, readonly Step[]>;

function parentsAmong(steps: readonly Step[]): Before {
  const by_name = new Map(steps.map(step => [step.name, step]));
  return new Map(
    steps.map(step => [
      step,
      step.kind === 'delete' ? [] : step.wanted.parents.flatMap(each => by_name.get(each) ?? []),
    ]),
  );
}

function childrenAmong(steps: readonly Step[]): Before {
  const before = new Map<Step, Step[]>(steps.map(step => [step, []]));
  const by_name = new Map(steps.map(step => [step.name, step]));
  for (const step of steps)
    if (step.kind === 'delete') for (const parent of step.found.parents) before.get(by_name.get(parent)!)?.push(step);
  return before;
}

async function inTurn(steps: readonly Step[], before: Before, applying: Applying): Promise<readonly Performed[]> {
  const { remote, pause, told } = applying;
  const { at_a_time, pause_ms } = remote.pace();
  const done = new Map<Step, Performed>();
  const waits = new Map(steps.map(step => [step, before.get(step)?.length ?? 0]));
  const after = new Map<Step, Step[]>();
  for (const [step, firsts] of before)
    for (const first of firsts) {
      const known = after.get(first);
      if (known === undefined) after.set(first, [step]);
      else known.push(step);
    }
  const ready = steps.filter(step => waits.get(step) === 0);
  let next = 0;

  const over = (step: Step, performed: Performed) => {
    done.set(step, performed);
    for (const each of after.get(step) ?? []) {
      const left = waits.get(each)! - 1;
      waits.set(each, left);
      if (left === 0) ready.push(each);
    }
  };
  const perform = async (step: Step): Promise<void> => {
    const lacking = before.get(step)?.find(each => isLacking(done.get(each)));
    if (lacking !== undefined) return over(step, skip(step, lackingText(step, lacking), applying));
    const performed = { step, outcome: await remote.perform(step) };
    told(performed);
    over(step, performed);
    if (pause_ms > 0) await pause(pause_ms);
  };
  // Each of so many takes what can be done next; whoever finds nothing waits for those who may make something possible.
  const working = new Set<Promise<void>>();
  while (next < ready.length || working.size > 0) {
    while (next < ready.length && working.size < at_a_time) {
      const work: Promise<void> = perform(ready[next++]!).finally(() => working.delete(work));
      working.add(work);
    }
    await Promise.race(working);
  }
  return steps.flatMap(step => done.get(step) ?? []);
}

/** A parent that was to be made and is not; one that merely was not changed is there all the same. */
const isLacking = (performed: Performed | undefined): boolean =>
  performed !== undefined && performed.outcome.type !== 'done' && performed.step.kind !== 'change';

const lackingText = (step: Step, lacking: Step): string =>
  step.kind === 'delete' ? `${lacking.name} follows it, and is still there` : `its parent ${lacking.name} is not there`;

function skip(step: Step, message: string, { told }: Applying): Performed {
  const performed: Performed = { step, outcome: { type: 'skipped', message } };
  told(performed);
  return performed;
}
