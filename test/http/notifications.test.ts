// notifications.test.ts: the routes for letters: who sees which, page by page, and what may be done with them.

import test from 'ava';
import type { LetterRecord, Place, SentLetter } from '../../actors/model/notices.ts';
import { sortable } from '../../actors/model/records.ts';
import type { Credentials, Role } from '../../transport/credentials.ts';
import { notification_page } from '../../transport/http/routes/notifications.ts';
import { serve } from './support/serve.ts';

const at = Date.UTC(2026, 0, 1);
const id = (n: number) => `${sortable(at + n)}-0123456789abcdef`;
const letter = (
  n: number,
  more: Partial<LetterRecord> = {},
  place: Place = { channel: 'mail', to: 'a@example.com' },
): LetterRecord => ({
  letter: {
    id: id(n),
    ...place,
    subject: `letter ${n}`,
    text: 'words',
    notices: [{ id: `www/prod/j${n}/1.r/failed`, event: 'failed', at: at + n, job: `www/prod/j${n}` }],
    more: 0,
  },
  roles: ['www'],
  formed_at: at + n,
  since: at + n,
  attempts: 0,
  ...more,
});

/** Whoever names himself in his token is taken at his word. */
const credentials: Credentials = {
  async authenticate(authorization) {
    const [, role, scope] = /^Bearer (\w+)-(.+)$/.exec(authorization ?? '') ?? [];
    if (role === undefined || scope === undefined) return { type: 'unknown' };
    return { type: 'known', who: { name: 'somebody', grants: [{ role: role as Role, scope }] } };
  },
};
const as = (name: string) => ({ headers: { authorization: `Bearer ${name}` } });

test('letters are listed by what has become of them, newest first, page by page', async t => {
  const { ask, core } = await serve(t);
  for (let n = 0; n < 5; n++) core.commit({ kind: 'letter', key: id(n), body: letter(n) });
  core.commit({ kind: 'letter', key: id(9), body: letter(9, { dead_at: at + 10, message: '550 no', attempts: 1 }) });
  const sent: SentLetter = { ...letter(20), sent_at: at + 30, attempts: 2 };
  core.commit({ kind: 'sent-letter', key: `${sortable(at + 30)}/${id(20)}`, body: sent });
  core.commit({
    kind: 'notice',
    key: 'n',
    body: { notice: letter(30).letter.notices[0]!, to: [{ channel: 'slack', to: '' }] },
  });
  const seen: string[] = [];
  for (let path: string | undefined = '/api/v1/notifications?limit=2'; path !== undefined; ) {
    const { status, json } = await ask('GET', path);
    t.is(status, 200);
    const page = notification_page.parse(json);
    seen.push(...page.notifications.map(row => row.subject));
    t.like(page.channels, { mail: { pending: 5, dead: 1, notices: 0 }, slack: { notices: 1 } });
    path = page.next;
  }
  t.deepEqual(
    seen,
    [4, 3, 2, 1, 0].map(n => `letter ${n}`),
  );
  const dead = notification_page.parse((await ask('GET', '/api/v1/notifications?state=dead')).json);
  t.like(dead.notifications, [{ id: id(9), state: 'dead', message: '550 no', attempts: 1, to: 'a@example.com' }]);
  const delivered = notification_page.parse((await ask('GET', '/api/v1/notifications?state=delivered')).json);
  t.like(delivered.notifications, [{ id: id(20), state: 'delivered', delivered_at: new Date(at + 30).toISOString() }]);
  t.is((await ask('GET', '/api/v1/notifications?before=bm9uc2Vuc2U')).status, 400);
  t.is((await ask('GET', '/api/v1/notifications?state=lost')).status, 400);
});

test('what opens a webhook is not told', async t => {
  const { ask, core } = await serve(t);
  const place: Place = { channel: 'webhook', to: 'https://hooks.example.com/T0/SECRET?key=SECRET' };
  core.commit({ kind: 'letter', key: id(1), body: letter(1, {}, place) });
  const { text } = await ask('GET', '/api/v1/notifications');
  t.notRegex(text, /SECRET/);
  t.regex(text, /https:\/\/hooks\.example\.com\/\.\.\./);
});

test('a letter that tells of jobs of several roles is for those who may see all of them', async t => {
  const { ask, core } = await serve(t, { credentials });
  core.commit({ kind: 'letter', key: id(1), body: letter(1, { roles: ['ops', 'www'], dead_at: at }) });
  core.commit({ kind: 'letter', key: id(2), body: letter(2, { dead_at: at }) });
  const subjects = async (name: string) =>
    notification_page
      .parse((await ask('GET', '/api/v1/notifications?state=dead', as(name))).json)
      .notifications.map(one => one.subject);
  t.deepEqual(await subjects('read-*'), ['letter 2', 'letter 1']);
  t.deepEqual(await subjects('read-www'), ['letter 2']);
  t.is((await ask('POST', `/api/v1/notifications/${id(1)}/retry`, as('operate-www'))).status, 404);
  t.is((await ask('POST', `/api/v1/notifications/${id(2)}/retry`, as('read-www'))).status, 403);
  t.is((await ask('POST', `/api/v1/notifications/${id(2)}/retry`, as('operate-www'))).status, 202);
  t.is((await ask('DELETE', `/api/v1/notifications/${id(1)}`, as('operate-*'))).status, 204);
  t.deepEqual(
    core.asked.map(one => one.command),
    [
      { type: 'retry-letter', letter: id(2) },
      { type: 'delete-letter', letter: id(1) },
    ],
  );
  t.is((await ask('DELETE', `/api/v1/notifications/${id(7)}`, as('operate-*'))).status, 404);
});
