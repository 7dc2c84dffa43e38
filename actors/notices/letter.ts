// letter.ts: the words of a letter: from notices to a subject and a text.
//
// One notice makes a letter of its own words. Several share one: a subject that counts them, then each in turn, then how many
// there are beyond those. A letter is put together once, and its words are kept: whoever sends it again changes none of them.

import { stableHash } from '../../schedules/hash.ts';
import { filled } from '../model/letter-template.ts';
import type { Letter, Notice, NoticeEvent, Place, Words } from '../model/notices.ts';
import { placeKey } from '../model/notices.ts';
import { sortable } from '../model/records.ts';

export type Listed = { readonly notice: Notice; readonly words?: Words | undefined };
export type LetterParts = {
  readonly place: Place;
  readonly at: number;
  /** In the order in which they are told; one at least. */
  readonly listed: readonly Listed[];
  /** How many there are of each event, those that are not listed included. */
  readonly counts: ReadonlyMap<NoticeEvent, number>;
  /** Notices that were dropped before anybody could be told. */
  readonly left_out: number;
  /** What this scheduler is called in subjects; '' when it has no name. */
  readonly cluster: string;
  /** Address of the console, where others than this machine can reach it. */
  readonly console_url?: string | undefined;
  /** Longest text. */
  readonly text_max: number;
};

/** What has happened, after "job x". */
const said: Readonly<Record<NoticeEvent, string>> = {
  failed: 'failed',
  disabled: 'is disabled',
  deleted: 'was deleted',
  exhausted: 'has nothing left to run',
  succeeded: 'succeeded',
  missed: 'missed a target',
  late: 'is late',
  'long-running': 'runs for a long time',
  'stuck-pending': 'waits for a place',
};

export function compose(parts: LetterParts): Letter {
  const { place, at, counts, left_out, cluster, text_max } = parts;
  const listed = parts.listed.map(one => ({ ...one, notice: linked(one.notice, parts.console_url) }));
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const [first] = listed;
  if (first === undefined) throw new Error(`a letter to ${place.channel} has no notice: expected one at least`);
  const single = all === 1;
  const more = all - listed.length;
  const prefix = `${cluster === '' ? '' : `[${cluster}] `}[Horae] `;
  const subject = single
    ? first.words?.subject === undefined
      ? prefix + headline(first.notice)
      : filled(first.words.subject, first.notice, cluster)
    : `${prefix}${all} notices: ${[...counts].map(([event, count]) => `${count} ${event}`).join(', ')}`;
  const blocks = listed.map(one => block(one, cluster));
  const closing = [
    ...(more > 0 ? [`... and ${more} more.`] : []),
    ...(left_out > 0 ? [`${left_out} further notices were left out: too many were waiting.`] : []),
  ];
  const text = [...blocks, ...(closing.length > 0 ? [closing.join('\n')] : [])].join('\n\n----\n\n');
  return {
    id: `${sortable(at)}-${code(`${placeKey(place)} ${first.notice.id}`)}`,
    ...place,
    subject: oneLine(subject),
    text: bounded(text, text_max),
    notices: listed.map(one => one.notice),
    more,
  };
}

/** With the place at which the console shows its job. */
function linked(notice: Notice, console_url: string | undefined): Notice {
  if (console_url === undefined) return notice;
  const page = `#/jobs/${notice.job.split('/').map(encodeURIComponent).join('/')}`;
  return { ...notice, link: `${console_url.replace(/\/+$/, '')}/${page}` };
}

const nameOf = ({ job, name }: Notice): string => name ?? job;
const headline = (notice: Notice): string =>
  `job '${nameOf(notice)}' ${said[notice.event]}${notice.reason === undefined ? '' : `: ${notice.reason}`}`;

function block({ notice, words }: Listed, cluster: string): string {
  if (words?.text !== undefined) return filled(words.text, notice, cluster);
  const { at, run, task, host, attempt, attempts, command, owner, link, log } = notice;
  const tries = attempt === undefined ? undefined : `${attempt}${attempts === undefined ? '' : ` of ${attempts}`}`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['when', new Date(at).toISOString()],
    ['run', run],
    ['task', task],
    ['host', host],
    ['attempt', tries],
    ['command', command],
    ['owner', owner],
    ['see', link],
  ];
  const lines = rows.flatMap(([name, value]) => (value === undefined ? [] : [`${`${name}:`.padEnd(9)}${value}`]));
  const headed = headline(notice);
  const tail = log === undefined || log === '' ? [] : ['', 'The last lines that it wrote:', '', log];
  return [`${headed[0]!.toUpperCase()}${headed.slice(1)}`, '', ...lines, ...tail].join('\n');
}

/** A subject is one line, and not a long one. */
const subject_max = 250;
const oneLine = (text: string): string => bounded(text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim(), subject_max);
const bounded = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 3).replace(/[\uD800-\uDBFF]$/, '')}...`;
/** Sixteen letters that the text alone decides. */
const code = (text: string): string =>
  [stableHash(text), stableHash(`${text} once more`)].map(part => part.toString(16).padStart(8, '0')).join('');
