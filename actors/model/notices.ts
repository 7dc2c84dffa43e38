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
