// vacating.ts: leaving agents before they go into maintenance, politely.
//
// The landlord has given notice, and we answer that we shall be gone. Services lose nothing by moving early, so they begin an
// hour before, one instance of a job at a time, so that the others serve meanwhile. Work that has an end is let be, in the hope
// that it ends; whoever is still there in the last minutes is moved as well, before the lights go out.
//
// A notice is kept only as long as the master repeats it: it does not say when one that we have accepted is withdrawn.

import { acceptInverseOffersCall } from '../../mesos/calls.ts';
import { type Absence, absenceOf } from '../../mesos/maintenance.ts';
import type { InverseOffer } from '../../mesos/protocol.ts';
import type { Instant } from '../../schedules/clock.ts';
import { call, type Effect, log, tell } from '../effects.ts';
import { parseTaskId, splitInstanceKey } from '../model/ids.ts';
import { type Step, stepWith } from '../step.ts';
import type { Doubt } from './framework.ts';

export type Notice = { readonly offer_id: string; readonly absence: Absence; readonly heard_at: Instant };
/** By agent. */
export type Notices = ReadonlyMap<string, Notice>;

export const vacating = {
  /** Services begin to move so long before. */
  lead_ms: 3_600_000,
  /** Everything that is still there moves. */
  last_call_ms: 300_000,
  /** Between two instances of one job. */
  step_ms: 30_000,
  /** After this the master gives notice again. */
  repeat_s: 300,
} as const;

/** Notices, accepted and remembered. */
export function noticed(notices: Notices, offers: readonly InverseOffer[], now: Instant): Step<Notices, Effect> {
  const next = new Map(notices);
  const fresh: string[] = [];
  for (const { id, agent_id, unavailability } of offers) {
    // One without an agent asks for resources wherever they are: masters do not make such, and we could not answer it.
    if (agent_id === undefined) continue;
    const agent = agent_id.value;
    if (!next.has(agent)) fresh.push(agent);
    next.set(agent, { offer_id: id.value, absence: absenceOf(unavailability), heard_at: now });
  }
  const accepted = offers.filter(({ agent_id }) => agent_id !== undefined).map(({ id }) => id.value);
  if (accepted.length === 0) return stepWith(notices, []);
  return stepWith(next, [
    call(acceptInverseOffersCall(accepted, vacating.repeat_s)),
    ...fresh.map(agent =>
      log(
        'info',
        { agent, from: new Date(next.get(agent)!.absence.from).toISOString() },
        'Mesos announces that an agent goes into maintenance: services move away from it before',
      ),
    ),
    ...wake(next, now),
  ]);
}

/** A notice that is withdrawn. */
export function withdrawn(notices: Notices, offer_id: string): Notices {
  return new Map([...notices].filter(([, notice]) => notice.offer_id !== offer_id));
}

/** It is time to look who is still where. */
export function lookRound(notices: Notices, now: Instant): Step<Notices, Effect> {
  const still = new Map([...notices].filter(([, notice]) => isStanding(notice, now)));
  const of = new Set(
    [...still].filter(([, { absence }]) => absence.from - vacating.lead_ms <= now).map(([agent]) => agent),
  );
  if (of.size === 0) return stepWith(still, wake(still, now));
  return stepWith(still, [{ type: 'gather-tasks', settled_before: undefined, of }, arm(now + vacating.step_ms)]);
}

/** Who was found where: one of each job is asked to go, or all when it is late. */
export function asked(notices: Notices, residents: readonly Doubt[], now: Instant): readonly Effect[] {
  const moving = new Set<string>();
  return residents.flatMap(({ task_id, agent_id }): Effect[] => {
    const notice = notices.get(agent_id ?? '');
    const instance = parseTaskId(task_id)?.instance;
    if (notice === undefined || agent_id === undefined || instance === undefined) return [];
    const all = notice.absence.from - vacating.last_call_ms <= now;
    const { job } = splitInstanceKey(instance);
    if (!all && moving.has(job)) return [];
    moving.add(job);
    return [tell({ to: 'instance', key: instance, message: { type: 'vacate', agent_id, all } })];
  });
}

/** Given lately enough, and for a time that is not over. */
const isStanding = ({ heard_at, absence }: Notice, now: Instant): boolean =>
  now - heard_at <= 2 * vacating.repeat_s * 1000 && (absence.until === undefined || now < absence.until);

/** Wakes us when the first of the agents is to be left. */
function wake(notices: Notices, now: Instant): readonly Effect[] {
  const times = [...notices.values()].map(({ absence }) => absence.from - vacating.lead_ms);
  return times.length === 0 ? [] : [arm(Math.max(now, Math.min(...times)))];
}

const arm = (at: Instant): Effect =>
  tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'framework', key: 'notices', at }] } });
