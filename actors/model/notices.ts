// notices.ts: what somebody asked to be told of, and the letters in which it goes out.
//
// A notice is one thing that happened to one job. It is written down in the step in which it happens, so it is as durable as
// what it tells of. A letter goes to one place and tells of one or more notices; it is written down, word for word, before it
// is sent for the first time, so that whoever sends it again, after a crash or on another node, sends the very same.

import type { JobKey } from './ids.ts';

/** What a job can be asked to tell of. */
export const notice_events = [
  /** A run has failed, and is not tried again: its retries are exhausted. */
  'failed',
  /** It starts no more by itself: it failed too often in a row, or somebody disabled it. */
  'disabled',
  /** It was deleted. */
  'deleted',
  /** Its schedules have nothing left to start. */
  'exhausted',
  /** A run has succeeded. */
  'succeeded',
  /** Targets passed that nobody will run any more. */
  'missed',
  /** A target has passed for a while, and its run has not begun. */
  'late',
  /** A run has been going on for longer than it should. */
  'long-running',
  /** An instance has been waiting for a place for longer than it should. */
  'stuck-pending',
] as const;
export type NoticeEvent = (typeof notice_events)[number];

export const channel_names = ['mail', 'slack', 'mattermost', 'sentry', 'webhook'] as const;
export type ChannelName = (typeof channel_names)[number];

/** Plain JSON, and durable. */
export type Notice = {
  /** Of the job, its run or target, and the event: the same thing has the same id for ever. */
  readonly id: string;
  readonly event: NoticeEvent;
  readonly at: number;
  readonly job: JobKey;
  /** Its name in Chronos's words, where it came from there. */
  readonly name?: string;
  readonly run?: string;
  readonly task?: string;
  readonly host?: string;
  readonly attempt?: number;
  readonly attempts?: number;
  readonly command?: string;
  /** In words, with Mesos's message. */
  readonly reason?: string;
  readonly owner?: string;
  /** Where the console shows its job. */
  readonly link?: string;
  /** The last lines that its task wrote. */
  readonly log?: string;
  /** What Chronos's HTTP body has: cpus, mem, errorCount and so on. */
  readonly facts?: Readonly<Record<string, string>>;
};

/** Where a letter goes. `to` is one mailbox, or an address of the job's own; '' is the place that the settings name. */
export type Place = { readonly channel: ChannelName; readonly to: string };

/** One message as it goes out. The same id is the same message, however often it is sent. */
export type Letter = Place & {
  readonly id: string;
  readonly subject: string;
  readonly text: string;
  /** Those that it lists; there is one at least. */
  readonly notices: readonly Notice[];
  /** Notices beyond those listed. */
  readonly more: number;
};

/** What became of one attempt to deliver a letter. `refused`: it is never to be tried again. */
export type Delivery =
  | { readonly type: 'delivered' }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'failed'; readonly message: string; readonly retry_after_ms?: number };

/** A place, and the job's own words for what goes there. */
export type Addressed = Place & { readonly words?: Words };
/** Templates, in the place of Horae's own subject and text. */
export type Words = { readonly subject?: string; readonly text?: string };

/** kind `notice`, key its id: whom it has yet to be told. It goes when it is in a letter to each of them. */
export type NoticeRecord = {
  readonly notice: Notice;
  readonly to: readonly Addressed[];
  /** Where the last lines of its log are. */
  readonly agent_id?: string;
};
/** kind `letter`, key its id: one that was not delivered yet, or will not be any more. */
export type LetterRecord = {
  readonly letter: Letter;
  /** The roles of all the jobs that it tells of: who may see it. */
  readonly roles: readonly string[];
  readonly formed_at: number;
  /** Since when it is being tried; later than `formed_at` when somebody asked for it once more. */
  readonly since: number;
  readonly attempts: number;
  readonly not_before?: number;
  /** What the last attempt came to. */
  readonly message?: string;
  /** It is not tried any more. */
  readonly dead_at?: number;
};
/** kind `place`, key `placeKey`: what must outlive a letter for the next one to be right. */
export type PlaceRecord = {
  /** When the last letter to it was formed. */
  readonly last_at: number;
  /** Notices that were dropped since, because too many waited. */
  readonly left_out: number;
};
/** kind `sent-letter`, key `<instant, sortable>/<id>`. */
export type SentLetter = Pick<LetterRecord, 'letter' | 'roles' | 'formed_at' | 'attempts'> & {
  readonly sent_at: number;
};

export const placeKey = ({ channel, to }: Place): string => `${channel} ${to}`;
