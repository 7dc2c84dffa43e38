// desk.ts: where the leader answers what other nodes bring: commands, and questions about what only it knows.
//
// A command that is brought twice is done once. Within one reign the desk remembers what it has been given; over the end of
// a reign the audit remembers: every command that did something has a row there, committed together with what it did.

import type { Answer, CommandEnvelope, Submit } from '../../actors/model/commands.ts';
import { refusal } from '../../actors/model/reasons.ts';
import type { AuditRow } from '../../actors/model/records.ts';
import type { Pending, PendingReason } from '../../actors/model/views.ts';
import type { Instant } from '../../schedules/clock.ts';
import type { History } from '../journal/journal.ts';

/** A command on its way to the leader. `since`: when it was first sent; `again`: it may have been done already. */
export type Brought = { readonly envelope: CommandEnvelope; readonly since: Instant; readonly again: boolean };
/** `position`: whoever has come so far sees what the command did. */
export type Done = { readonly answer: Answer; readonly position: number };
/** What placement and supervision know, which no record says. */
export type Glance = {
  readonly pending: readonly PendingReason[];
  readonly quarantined: readonly (readonly [path: string, why: string])[];
};

export type DeskOptions = {
  readonly submit: Submit;
  /** Of the last record committed here. */
  readonly position: () => number;
  /** Resolves when this node surely led when asked; rejects when it does not. */
  readonly confirm: () => Promise<void>;
  readonly history: Pick<History, 'page'>;
  /** Resolves when the history here has everything that was committed before this reign. */
  readonly caught_up: Promise<void>;
  readonly pending: Pending;
  readonly quarantined: () => ReadonlyMap<string, string>;
};
export interface Desk {
  command(brought: Brought): Promise<Done>;
  position(): Promise<number>;
  glance(): Glance;
}

/** Commands remembered with their answers. Far more than may be under way at once. */
const remembered_max = 10_000;
/** Reasons told to a standby at once. */
const glance_rows_max = 1_000;
/** Clocks of two nodes differ by less than this; a row of the audit that is older is none of a command's. */
const skew_ms_max = 600_000;
const audit_rows_max = 50_000;
const audit_page = 1_000;

export function createDesk(options: DeskOptions): Desk {
  const { submit, position, confirm, history, pending } = options;
  const remembered = new Map<string, Promise<Done>>();

  const done = async (envelope: CommandEnvelope): Promise<Done> => {
    const answer = await submit(envelope);
    return { answer, position: position() };
  };

  const looked = async ({ envelope, since }: Brought): Promise<Done> => {
    await options.caught_up;
    const row = findRow(history, envelope.request_id, since - skew_ms_max);
    if (row === undefined) return done(envelope);
    const what = `request ${envelope.request_id} was done (${row.command} ${row.target}: ${row.result})`;
    const message = `${what}, but its answer was lost when the leader went away: read what became of it`;
    return { answer: refusal('interrupted', message), position: position() };
  };

  return {
    command(brought) {
      const { request_id } = brought.envelope;
      const known = remembered.get(request_id);
      if (known !== undefined) return known;
      const doing = brought.again ? looked(brought) : done(brought.envelope);
      remembered.set(request_id, doing);
      if (remembered.size > remembered_max) remembered.delete(remembered.keys().next().value!);
      return doing;
    },
    async position() {
      const asked = position();
      await confirm();
      return asked;
    },
    glance() {
      const reasons: PendingReason[] = [];
      for (const key of pending.keys()) {
        if (reasons.length >= glance_rows_max) break;
        const reason = pending.why(key);
        if (reason !== undefined) reasons.push(reason);
      }
      return { pending: reasons, quarantined: [...options.quarantined()] };
    },
  };
}

/** The row of a request, from the newest to those before `since`. */
function findRow(history: Pick<History, 'page'>, request_id: string, since: Instant): AuditRow | undefined {
  let before: string | undefined;
  for (let looked = 0; looked < audit_rows_max; looked += audit_page) {
    const page = history.page('audit', '', audit_page, before);
    for (const { body } of page.rows) {
      const row = body as AuditRow;
      if (row.request_id === request_id) return row;
      if (row.at < since) return undefined;
    }
    if (page.next === undefined) return undefined;
    before = page.next;
  }
  return undefined;
}
