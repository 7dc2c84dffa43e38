// notifications.ts: the routes for letters: what people were told, what they could not be told, and what to do about it.

import { z } from 'zod';
import { channel_names, type LetterRecord, notice_events, type SentLetter } from '../../../actors/model/notices.ts';
import { type Authenticated, permits, type Role } from '../../credentials.ts';
import { isTimed, nextPage, page_query, readCursor } from '../cursor.ts';
import { Refused, refusedBy } from '../problems.ts';
import { iso, isoOf, jobPath, present } from '../resources.ts';
import { command, type Exchange, limitOf, noBody, problem, type Reply, type Route, unexpected } from '../route.ts';

const path = '/api/v1/notifications';
const no_letter = { 404: problem('There is no such letter that waits or was given up.') };

export const notification_routes: readonly Route[] = [
  {
    method: 'GET',
    path,
    id: 'listNotifications',
    tag: 'notifications',
    summary: 'Letters to people and their channels, newest first',
    description:
      'Only those that tell of no job whose role the sender may not read. `delivered` goes back as far as --notify-sent-max. Of the address of a webhook only its beginning is told.',
    permission: 'read',
    query: page_query.extend({
      state: z
        .enum(['pending', 'dead', 'delivered'])
        .optional()
        .describe('pending: not delivered yet, and what is left out means; dead: given up.'),
    }),
    answers: { 200: { description: 'A page of letters.', schema: 'NotificationPage' } },
    handle: list,
  },
  {
    method: 'GET',
    path: `${path}/:letter`,
    id: 'getNotification',
    tag: 'notifications',
    summary: 'Read a letter that waits or was given up',
    permission: 'read',
    answers: { 200: { description: 'The letter.', schema: 'Notification' }, ...no_letter },
    handle: exchange => ({ status: 200, body: ofRecord(found(exchange, 'read')) }),
  },
  {
    method: 'POST',
    path: `${path}/:letter/retry`,
    id: 'retryNotification',
    tag: 'notifications',
    summary: 'Try a letter once more, at once, under the same id',
    permission: 'operate',
    answers: { 202: { description: 'It is being tried.', schema: 'Notification' }, ...no_letter },
    handle: retry,
  },
  {
    method: 'DELETE',
    path: `${path}/:letter`,
    id: 'deleteNotification',
    tag: 'notifications',
    summary: 'Forget a letter that was given up',
    permission: 'operate',
    answers: { 204: { description: 'Forgotten.' }, 409: problem('It is still being tried.'), ...no_letter },
    handle: remove,
  },
];

export const notification = z.object({
  id: z.string().describe('The same for every attempt; receivers know by it what they have seen.'),
  state: z.enum(['pending', 'dead', 'delivered']),
  channel: z.enum(channel_names),
  to: z.string().optional().describe("Left out: the place that the server's settings name."),
  subject: z.string(),
  text: z.string(),
  jobs: z
    .array(
      z.object({ job: z.string(), event: z.enum(notice_events), at: z.string(), links: z.object({ job: z.string() }) }),
    )
    .describe('What it lists.'),
  more: z.int().describe('Notices beyond those listed.'),
  formed_at: z.string(),
  attempts: z.int(),
  message: z.string().optional().describe('What the last attempt came to.'),
  next_attempt_at: z.string().optional(),
  dead_at: z.string().optional(),
  delivered_at: z.string().optional(),
});
export const notification_page = z.object({
  notifications: z.array(notification),
  next: z.string().optional().describe('Path of the next page.'),
  channels: z
    .record(
      z.enum(channel_names),
      z.object({
        notices: z.int().describe('Waiting to be put into a letter.'),
        pending: z.int(),
        dead: z.int(),
      }),
    )
    .describe('How many there are of each channel, whoever may see them.'),
});
type NotificationResource = z.infer<typeof notification>;

/** Rows looked at for one page, whoever may see them. */
const rows_scanned_max = 10_000;
const isId = (text: string): boolean => /^[0-9a-z]{11}-[0-9a-f]{16}$/.test(text);

function list(exchange: Exchange): Reply {
  const { query, services, who } = exchange;
  const { state = 'pending' } = query;
  const limit = limitOf(exchange);
  const rows: NotificationResource[] = [];
  let next: string | undefined;
  if (state === 'delivered') {
    let before = readCursor(query.before, isTimed);
    for (let scanned = 0; rows.length < limit && scanned < rows_scanned_max; ) {
      const page = services.history.page('sent-letter', '', limit - rows.length, before);
      for (const { body } of page.rows)
        if (maySee(who, 'read', body as SentLetter)) rows.push(ofSent(body as SentLetter));
      scanned += page.rows.length;
      before = page.next;
      if (before === undefined) break;
    }
    next = before;
  } else {
    const before = readCursor(query.before, isId);
    const all = services.views
      .letters()
      .filter(one => (one.dead_at !== undefined) === (state === 'dead') && maySee(who, 'read', one))
      .filter(one => before === undefined || one.letter.id < before);
    rows.push(...all.slice(0, limit).map(ofRecord));
    next = all.length > limit ? rows.at(-1)!.id : undefined;
  }
  const more = nextPage(path, limit, next);
  const following = more.next === undefined ? {} : { next: `${more.next}&state=${state}` };
  return { status: 200, body: { notifications: rows, ...following, channels: services.views.letter_counts() } };
}

const maySee = (who: Authenticated, role: Role, { roles }: Pick<LetterRecord, 'roles'>): boolean =>
  roles.every(each => permits(who, role, each));

/** A letter that the sender may not read is not there for him. */
function found({ params, services, who }: Exchange, role: Role): LetterRecord {
  const { letter: id = '' } = params;
  const letter = services.views.letter(id);
  if (letter === undefined || !maySee(who, 'read', letter))
    throw new Refused('not-found', `there is no letter ${id.slice(0, 60)} that waits or was given up`);
  if (!maySee(who, role, letter))
    throw new Refused(
      'not-permitted',
      `letter ${id} tells of jobs of ${letter.roles.join(', ')}: expected ${role} for each`,
    );
  return letter;
}

async function retry(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const before = found(exchange, 'operate');
  const { id } = before.letter;
  const answer = await command(exchange, { type: 'retry-letter', letter: id });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'letter-retrying') throw unexpected(answer);
  return { status: 202, body: ofRecord(exchange.services.views.letter(id) ?? before) };
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const answer = await command(exchange, { type: 'delete-letter', letter: found(exchange, 'operate').letter.id });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'letter-deleted') throw unexpected(answer);
  return { status: 204 };
}

// --- what is told of a letter ---------------------------------------------------------------------------------------------

const common = ({ letter, formed_at, attempts }: Pick<LetterRecord, 'letter' | 'formed_at' | 'attempts'>) => ({
  id: letter.id,
  channel: letter.channel,
  to: shownTo(letter),
  subject: letter.subject,
  text: letter.text,
  jobs: letter.notices.map(({ job, event, at }) => ({ job, event, at: iso(at), links: { job: jobPath(job) } })),
  more: letter.more,
  formed_at: iso(formed_at),
  attempts,
});

const ofRecord = (record: LetterRecord): NotificationResource =>
  present({
    ...common(record),
    state: record.dead_at === undefined ? ('pending' as const) : ('dead' as const),
    message: record.message,
    next_attempt_at: record.dead_at === undefined ? isoOf(record.not_before) : undefined,
    dead_at: isoOf(record.dead_at),
  });
const ofSent = (sent: SentLetter): NotificationResource =>
  present({ ...common(sent), state: 'delivered' as const, delivered_at: iso(sent.sent_at) });

/** What opens a webhook is often in its path. */
function shownTo({ channel, to }: LetterRecord['letter']): string | undefined {
  if (to === '') return undefined;
  return channel === 'mail' || !URL.canParse(to) ? to : `${new URL(to).origin}/...`;
}
