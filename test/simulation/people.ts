// people.ts: the work of a simulated cluster, and the people who give it: jobs of every kind, starts, kills, second
// thoughts; and what they were promised.

import type { Answer, Command } from '../../actors/model/commands.ts';
import type { JobRecord, RunRecord } from '../../actors/model/records.ts';
import { job } from '../support/world.ts';
import type { Agenda } from './agenda.ts';
import type { Ledger } from './ledger.ts';
import type { SimulatedNode } from './node.ts';
import type { Truth } from './truth.ts';
import { wishFor } from './updates.ts';

export type People = {
  readonly begin: (until: number) => void;
  /** Asks until it is done. Resolves with whether it was, once the answer is there. */
  readonly insist: (command: Command) => void;
  /** Requests without an answer, of which whoever asked has not died. */
  readonly waiting: () => number;
  readonly counts: ReadonlyMap<string, number>;
  /** Runs by hand that somebody was told of: `KEY RUN`. */
  readonly promised: ReadonlySet<string>;
  /** Requests of which somebody was told that nothing was done. */
  readonly refused: ReadonlySet<string>;
};
export type PeopleWorld = {
  readonly agenda: Agenda;
  readonly random: () => number;
  readonly nodes: readonly SimulatedNode[];
  readonly ledger: Ledger;
  readonly truth: Truth;
  readonly wrong: (what: string) => void;
  /** The chance by which services are updated; left out, nobody does. */
  readonly updates?: () => number;
};

const minute = 60_000;
const policies = ['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'kill-other', 'allow'] as const;
const catch_ups = ['all', 'all', 'last', 'first', 'none'] as const;
const insisting_ms = 5_000;

export function createPeople({ agenda, random, nodes, ledger, truth, wrong, updates }: PeopleWorld): People {
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
  const counts = new Map<string, number>();
  const promised = new Set<string>();
  const refused = new Set<string>();
  let requests = 0;
  let waiting = 0;
  let names = 0;

  /** Through any node that runs; `answered` is never called when it dies before. */
  const ask = (command: Command, answered: (answer: Answer) => void) => {
    const able = nodes.filter(node => node.running());
    const node = pick(able);
    const process = node?.machine.process();
    if (node === undefined || process === undefined) return;
    const request_id = `request-${++requests}`;
    counts.set(command.type, (counts.get(command.type) ?? 0) + 1);
    waiting++;
    let done = false;
    const finish = () => {
      if (!done) waiting--;
      done = true;
    };
    process.onDeath(finish);
    process.post(() => {
      if (!node.ready()) return finish();
      void node.submit({ command, principal: { name: 'somebody' }, request_id }).then(answer => {
        if (!done) judge(command, answer, request_id);
        finish();
        answered(answer);
      });
    });
  };

  /** What is answered must be in the log by now. */
  const judge = (command: Command, answer: Answer, request_id: string) => {
    switch (answer.type) {
      case 'created':
      case 'replaced':
      case 'changed': {
        const all = ledger.entries('job').filter(({ key }) => key === answer.key);
        if (!all.some(({ body }) => ((body as JobRecord | undefined)?.version ?? 0) >= answer.version))
          wrong(`${answer.key} was ${answer.type} as version ${answer.version}, and the log does not know it`);
        return;
      }
      case 'deleted':
        if (!isDeleted(answer.key)) wrong(`${answer.key} was deleted, and the log does not say so`);
        return;
      case 'started':
      case 'waiting':
        promised.add(`${answer.key} ${answer.run}`);
        return;
      case 'update':
        if (answer.result === 'started' && !ledger.entries('update').some(({ key }) => key === answer.key))
          if (!ledger.entries('finished-update').some(({ key }) => key.startsWith(`${answer.key}/`)))
            wrong(`update ${answer.update} of ${answer.key} was begun, and the log does not know it`);
        return;
      case 'killing':
        if (command.type === 'kill-run') truth.killed(command.key, command.run);
        return;
      case 'refused':
        if (answer.code === 'no-leader') refused.add(request_id);
        return;
    }
  };
  const isDeleted = (key: string) =>
    ledger
      .entries('job')
      .some(entry => entry.key === key && (entry.body === undefined || (entry.body as JobRecord).deleting === true));

  const submission = (service: boolean) => {
    const seconds = pick([0, 1, 5, 20, 100]);
    const schedule = pick([
      { cron: '* * * * *' },
      { cron: '*/5 * * * *' },
      { cron: '*/2 * * * *', zone: 'Europe/Vienna' },
      { iso8601: 'R/2026-01-01T00:00:30Z/PT45S' },
      { iso8601: 'R30/2026-01-01T00:10:00Z/PT1M' },
      { iso8601: 'R/2026-01-01T00:00:00Z/PT20S' },
    ]);
    return job({
      role: 'www',
      environment: 'prod',
      name: `job-${names++}`,
      command: service ? 'sleep infinity' : `sleep ${seconds}; exit ${pick([0, 0, 0, 3])}`,
      instances: 1 + below(3),
      cpus: pick([0.1, 0.3, 1]),
      ...(service ? { service } : { schedules: [{ id: 's0', ...schedule }], retries: below(3) }),
      overlap: { policy: pick(policies) },
      catch_up: { policy: pick(catch_ups), ...(below(3) === 0 ? { window_ms: 10 * minute } : {}) },
    });
  };
  const keys = () => ledger.living('job').map(([key]) => key);
  const insist = (command: Command) => {
    let settled = false;
    const again = () => {
      if (settled) return;
      ask(command, answer => {
        const passes = ['interrupted', 'no-leader', 'shutting-down', 'too-many', 'updating'];
        if (answer.type === 'refused' && passes.includes(answer.code)) return;
        settled = true;
      });
      agenda.after(insisting_ms * (1 + random()), again);
    };
    again();
  };
  const acts: readonly (() => void)[] = [
    () => {
      if (keys().length < 10) ask({ type: 'submit', mode: 'create', job: submission(below(5) === 0) }, () => undefined);
    },
    () => {
      const key = pick(keys());
      if (key !== undefined) ask({ type: 'start-run', key, request: `again-${below(30)}` }, () => undefined);
    },
    () => {
      const key = pick(keys());
      if (key !== undefined) ask({ type: 'start-run', key, request: `once-${requests}` }, () => undefined);
    },
    () => {
      const [key, body] = pick(ledger.living('run')) ?? [];
      if (key === undefined) return;
      const { run } = body as RunRecord;
      ask({ type: 'kill-run', key: key.slice(0, key.lastIndexOf('/')), run }, () => undefined);
    },
    () => {
      const key = pick(keys());
      if (key !== undefined) ask({ type: 'pause', key, note: 'for a while' }, () => undefined);
    },
    () => {
      const key = pick(keys());
      if (key !== undefined) ask({ type: 'resume', key }, () => undefined);
    },
    () => {
      const key = pick(keys());
      if (key !== undefined && below(4) === 0) ask({ type: 'kill-all', key }, () => undefined);
    },
  ];
  /** By chance of their own: who does without updates has the hours that there were before there were any. */
  const update = (chance: () => number) => {
    const any = <T>(all: readonly T[]): T => all[Math.floor(chance() * all.length)]!;
    const services = ledger.living('job').filter(([, body]) => (body as JobRecord).job.service);
    const [active] = any(ledger.living('update')) ?? [];
    const [, body] = any(services) ?? [];
    if (active !== undefined && chance() < 0.5) {
      const what = any(['pulse', 'pulse', 'pulse', 'resume', 'resume', 'pause', 'rollback', 'abort'] as const);
      ask({ type: 'steer-update', key: active, what }, () => undefined);
    } else if (body !== undefined) ask(wishFor(body as JobRecord, any, `update-${requests}`), () => undefined);
  };
  return {
    begin(until) {
      for (let n = 0; n < 5; n++) insist({ type: 'submit', mode: 'upsert', job: submission(n === 0) });
      const act = () => {
        if (agenda.now() > until) return;
        pick(acts)();
        agenda.after(random() * minute, act);
      };
      agenda.after(minute / 2, act);
      if (updates === undefined) return;
      const another = () => {
        if (agenda.now() > until) return;
        update(updates);
        agenda.after(updates() * 2 * minute, another);
      };
      agenda.after(minute, another);
    },
    insist,
    waiting: () => waiting,
    counts,
    promised,
    refused,
  };
}
