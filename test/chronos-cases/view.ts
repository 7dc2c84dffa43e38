// view.ts: a simulated scheduler that takes Chronos's documents, and what Chronos's clients would see of it.

import type { Answer } from '../../actors/model/commands.ts';
import { chronosKey, chronosName, readChronos, writeChronos } from '../../transport/http/chronos/document.ts';
import { stateOf, statusOf } from '../../transport/http/chronos/graph.ts';
import { type ChronosRules, chronos_rules_default } from '../../transport/http/chronos/rules.ts';
import { createProjection, type Projection } from '../../transport/projection.ts';
import { type World, type WorldOptions, world } from '../support/world.ts';

export type Seen = {
  readonly w: World;
  readonly post: (document: object, generation?: ChronosRules['generation']) => Promise<Answer>;
  readonly start: (name: string, words?: readonly string[]) => Promise<Answer>;
  readonly remove: (name: string) => Promise<Answer>;
  readonly pass: (ms: number) => Promise<void>;
  /** What everybody may read, as of now. */
  readonly board: () => Projection;
  /** `idle`, `queued`, `2 running`; and how it went last. */
  readonly state: (name: string) => string;
  readonly status: (name: string) => string;
  /** The job as the list shows it. */
  readonly job: (name: string) => Readonly<Record<string, unknown>>;
  /** Names of the jobs whose runs began, in the order in which they did. */
  readonly begun: () => readonly string[];
};

export const keyOf = (name: string): string => chronosKey(name)!;

export async function seen(options: WorldOptions = {}): Promise<Seen> {
  const w = await world(options);
  const projection = createProjection({
    history: { page: () => ({ rows: [] }), get: () => undefined, count: () => 0 },
    pending: { keys: () => w.scheduler.pending.keys(), why: key => w.scheduler.pending.why(key) },
    nextAt: key => w.scheduler.nextAt(key),
  });
  let shown = 0;
  let requests = 0;
  const board = () => {
    projection.commit(w.committed.slice(shown), w.committed.length);
    shown = w.committed.length;
    return projection;
  };
  const view = (name: string) => {
    const found = board().job(keyOf(name));
    if (found === undefined) throw new Error(`there is no job ${name}`);
    return found;
  };
  return {
    w,
    board,
    post(document, generation = 3) {
      const rules = { ...chronos_rules_default, generation };
      const read = readChronos(document, rules, 'parents' in document ? 'dependency' : 'iso8601');
      if (!read.ok) throw new Error(JSON.stringify(read.problems));
      const origin = { dialect: 'chronos', document };
      return w.submit({ type: 'submit', mode: 'upsert', job: read.value.job, origin });
    },
    start(name, words) {
      const arguments_given = words === undefined ? {} : { arguments: words };
      return w.submit({ type: 'start-run', key: keyOf(name), request: `s${requests++}`, ...arguments_given });
    },
    remove: name => w.submit({ type: 'delete', key: keyOf(name), orphans: 'reschedule' }),
    pass: ms => w.until(w.clock.now() + ms),
    state: name => stateOf(view(name)),
    status: name => statusOf(view(name)),
    job: name => writeChronos(view(name)),
    begun: () =>
      w.committed.flatMap(({ kind, key, body }) =>
        kind === 'run' && body !== undefined ? [chronosName(key.slice(0, key.lastIndexOf('/')))] : [],
      ),
  };
}

/** A job that nobody starts by itself for years. */
export const rare = (name: string, more: object = {}) => ({
  name,
  command: 'sleep 10',
  schedule: 'R/2030-01-01T00:00:00Z/PT24H',
  retries: 0,
  ...more,
});
