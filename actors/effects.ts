// effects.ts: everything that a transition may ask for: the closed vocabulary between pure decisions and the world.
//
// Three sorts. *Records* and *outward* effects go, in the order in which they stand, into the outbox: a record becomes
// durable, and an outward effect leaves when every record before it is. *Mail* to other actors travels at once. The rest
// (spawning, stopping, noting) concerns this process alone.

import type { Call } from '../mesos/protocol.ts';
import type { WhyNot } from '../mesos/why-not.ts';
import type { DirectoryMessage } from './directory.ts';
import type { FrameworkMessage } from './framework/framework.ts';
import type { OffersMessage } from './framework/offers.ts';
import type { PlacementMessage, Wanted } from './framework/placement.ts';
import type { InstanceMessage, InstanceState } from './instance/instance.ts';
import type { JobMessage } from './job/job.ts';
import type { Happening } from './job/wishes.ts';
import type { Answer } from './model/commands.ts';
import type { InstanceKey, JobKey } from './model/ids.ts';
import type { Letter } from './model/notices.ts';
import type { Bodies, InstanceRecord, JobRecord, RunRecord, TallyRecord, TriggerRecord } from './model/records.ts';
import type { UpdateRecord } from './model/updates.ts';
import type { NoticesMessage } from './notices/notices.ts';
import type { TimetableMessage } from './timetable.ts';
import type { TriggerMessage } from './trigger/trigger.ts';

/** A record to be kept. `body` undefined deletes the key. */
export type RecordEffect = {
  [K in keyof Bodies]: {
    readonly type: 'record';
    readonly kind: K;
    readonly key: string;
    readonly body: Bodies[K] | undefined;
  };
}[keyof Bodies];

/** Outward: leaves this process, after every record before it is durable. */
export type OutwardEffect =
  | {
      readonly type: 'call';
      readonly call: Call /** Told how the call went, when somebody must know. */;
      readonly tag?: string;
    }
  | { readonly type: 'subscribe'; readonly framework_id: string | undefined }
  | { readonly type: 'reply'; readonly request_id: string; readonly answer: Answer }
  | { readonly type: 'deliver'; readonly letter: Letter };

/** Mail to one actor of this tree. */
export type Mail =
  | { readonly to: 'directory'; readonly message: DirectoryMessage }
  | { readonly to: 'framework'; readonly message: FrameworkMessage }
  | { readonly to: 'notices'; readonly message: NoticesMessage }
  | { readonly to: 'offers'; readonly message: OffersMessage }
  | { readonly to: 'placement'; readonly message: PlacementMessage }
  | { readonly to: 'timetable'; readonly message: TimetableMessage }
  | { readonly to: 'job'; readonly key: JobKey; readonly message: JobMessage }
  | { readonly to: 'trigger'; readonly key: JobKey; readonly message: TriggerMessage }
  | { readonly to: 'instance'; readonly key: InstanceKey; readonly message: InstanceMessage };

/** What a job actor is born with; also what it is reborn with after a crash or a restart. */
export type JobBirth = {
  readonly key: JobKey;
  readonly record: JobRecord;
  readonly tally: TallyRecord | undefined;
  readonly trigger: TriggerRecord | undefined;
  /** The update that is not over. */
  readonly update?: UpdateRecord | undefined;
  readonly runs: readonly {
    readonly record: RunRecord;
    readonly instances: readonly { readonly index: number; readonly record: InstanceRecord }[];
  }[];
};

/** Of a notice: where its task ran. */
export type WantedLog = { readonly notice: string; readonly agent_id: string; readonly task: string };

export type Effect =
  | RecordEffect
  | OutwardEffect
  | ({ readonly type: 'tell' } & Mail)
  /** Becomes a record, of this step, if anybody wants to be told of it. */
  | { readonly type: 'notice'; readonly key: JobKey; readonly what: Happening }
  /** The last lines of what these tasks wrote; the answer is a letter `read`, whatever comes of it. */
  | { readonly type: 'read-logs'; readonly place: string; readonly wanted: readonly WantedLog[] }
  /** An update for a task id that parses: to its instance if it lives, else back to the framework as `unrouted`. */
  | {
      readonly type: 'route';
      readonly message: Extract<InstanceMessage, { type: 'updated' }>;
      readonly key: InstanceKey | undefined;
    }
  | { readonly type: 'spawn-job'; readonly birth: JobBirth }
  | {
      readonly type: 'spawn-trigger';
      readonly key: JobKey;
      readonly record: JobRecord;
      readonly trigger: TriggerRecord | undefined;
      readonly active: readonly string[];
      /** Failed runs since the last success, by the job's own count. */
      readonly failures: number;
    }
  | { readonly type: 'spawn-instance'; readonly state: InstanceState }
  | { readonly type: 'stop-instance'; readonly key: InstanceKey }
  | { readonly type: 'stop-job'; readonly key: JobKey }
  /** The one timer behind the timetable: replaces the one before; undefined = none. */
  | { readonly type: 'wake'; readonly at: number | undefined }
  /** Everything that Mesos should know of, gathered from the records and sent to the framework as `doubt`. */
  | {
      readonly type: 'gather-tasks' /** Only those that have been as they are since before this. */;
      readonly settled_before: number | undefined;
      /** Only those on these agents, as `residents` and not as `doubt`. */
      readonly of?: ReadonlySet<string>;
    }
  /** Who waits and why, for the views: the live map of placement, read in place, and the reasons by group. */
  | {
      readonly type: 'note-pending';
      readonly waiting: ReadonlyMap<InstanceKey, Wanted>;
      readonly why: ReadonlyMap<string, WhyNot>;
    }
  /** Nothing below can go on, and restarting it would not help: the process ends with this line. */
  | { readonly type: 'give-up'; readonly reason: string }
  | {
      readonly type: 'count';
      readonly name: string;
      readonly labels?: Readonly<Record<string, string>>;
      readonly value: number;
    }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };

export const record = <K extends keyof Bodies>(kind: K, key: string, body: Bodies[K] | undefined): Effect =>
  ({ type: 'record', kind, key, body }) as Effect;
export const notice = (key: JobKey, what: Happening): Effect => ({ type: 'notice', key, what });
export const tell = (mail: Mail): Effect => ({ type: 'tell', ...mail });
export const reply = (request_id: string, answer: Answer): Effect => ({ type: 'reply', request_id, answer });
export const call = (what: Call, tag?: string): Effect =>
  tag === undefined ? { type: 'call', call: what } : { type: 'call', call: what, tag };
export const count = (name: string, labels?: Readonly<Record<string, string>>, value = 1): Effect => ({
  type: 'count',
  name,
  labels,
  value,
});
export const log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  fields: Readonly<Record<string, unknown>>,
  message: string,
): Effect => ({ type: 'log', level, fields, message });
