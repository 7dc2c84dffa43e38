// meanwhile.test.ts: somebody else is there while a sync goes on, or the road to the server breaks: nothing is overwritten
// unseen, nothing is done twice, and everything has a name.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Api, startHorae } from '../program/horae.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { type Event, roadTo } from './between.ts';
import { yearly as cron, type Layout, layoutsAt } from './layouts.ts';
import { put, syncWith } from './support.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data')));
});
test.after.always(owner.clean);

const layouts = layoutsAt(() => api);
for (const [kind, layout] of Object.entries(layouts))
  test(`${kind}: what somebody else does meanwhile stands, and what breaks is done once`, async t => {
    const dir = await tempDir(t);
    const names = ['changed', 'deleted', 'goes', 'same', 'half', 'never'];
    put(dir, Object.fromEntries(names.map(name => [layout.file(name), layout.text(name, 'old')])));
    const sync = syncWith(() => api.url);
    const first = await sync(dir);
    t.is(first.status, 0, first.wrong);

    // Everything that stays is to be changed, two are to come, one is to go.
    rmSync(join(dir, layout.file('goes')));
    for (const name of ['changed', 'deleted', 'half', 'never', 'made', 'came'])
      put(dir, { [layout.file(name)]: layout.text(name, 'new') });
    const done = new Set<string>();
    /** Once, when the write itself comes by. */
    const once = async (name: string, deed: () => Promise<unknown>, event: Event): Promise<Event> => {
      if (done.has(name)) return 'passes';
      done.add(name);
      await deed();
      return event;
    };
    const nothing = async () => undefined;
    const url = await roadTo(
      t,
      () => api.url,
      ({ method, path, body }) => {
        if (method === 'GET') return 'passes';
        const is = (name: string) => path.endsWith(`/${name}`) || body.includes(`"name":"${name}"`);
        if (is('changed')) return once('changed', () => layout.change('changed', 'theirs'), 'passes');
        if (is('deleted')) return once('deleted', () => layout.remove('deleted'), 'passes');
        if (is('made')) return once('made', () => layout.make('made', 'theirs'), 'passes');
        if (is('half')) return once('half', nothing, 'answer-lost');
        if (is('never')) return once('never', nothing, 'lost');
        if (is('came')) return once('came', nothing, 'answer-lost');
        return 'passes';
      },
    );
    const synced = await syncWith(() => url)(dir, '--delete-missing', '--yes', ...layout.flags);
    t.is(synced.status, 1);
    for (const name of ['changed', 'deleted', 'made'])
      t.regex(synced.wrong, new RegExp(`${layout.file(name)}: \\S*${name}: not written, somebody was there meanwhile`));
    t.regex(synced.wrong, /goes: not tried: not deleted, since not everything else could be written/);
    t.deepEqual(await stands(layout, ['changed', 'deleted', 'made', 'goes', 'same', 'half', 'never', 'came']), {
      changed: ['theirs', 2],
      deleted: undefined,
      made: ['theirs', 1],
      goes: ['old', 1],
      same: ['old', 1],
      half: ['new', 2],
      never: ['new', 2],
      came: ['new', 1],
    });

    const again = await sync(dir, '--delete-missing', '--yes', ...layout.flags);
    t.is(again.status, 0, again.wrong);
    t.deepEqual(await stands(layout, ['changed', 'deleted', 'made', 'goes']), {
      changed: ['new', 3],
      deleted: ['new', 1],
      made: ['new', 2],
      goes: undefined,
    });
  });

async function stands(layout: Layout, names: readonly string[]): Promise<object> {
  return Object.fromEntries(await Promise.all(names.map(async name => [name, await layout.look(name)] as const)));
}

test('a server that has no time is asked again, and one that never answers a write is not believed either way', async t => {
  const dir = await tempDir(t);
  put(dir, {
    'slow/prod/a.yaml': `command: echo\ncron: "${cron}"\n`,
    'slow/prod/b.yaml': `command: b\ncron: "${cron}"\n`,
  });
  let lists = 0;
  let writes = 0;
  let unheard = 0;
  const url = await roadTo(
    t,
    () => api.url,
    ({ method, path, body }) => {
      if (method === 'GET' && path.includes('limit=')) return ++lists <= 2 ? { status: 503 } : 'passes';
      if (body.includes('"name":"a"') && ++writes <= 2) return { status: 503 };
      // Neither the write nor a look at what became of it comes through.
      if (body.includes('"name":"b"')) unheard++;
      if (body.includes('"name":"b"') || /\/b(\?|$)/.test(path)) return 'lost';
      return 'passes';
    },
  );
  const synced = await syncWith(() => url)(dir, '--timeout-s', '2');
  t.is(synced.status, 1);
  t.is(lists, 3);
  t.is(writes, 3);
  t.is(synced.wrong.match(/^horae: the server answered 503; trying again for 2 s$/gm)?.length, 1, 'people are told');
  t.is(unheard, 1, 'who cannot see what became of a write does not repeat it');
  t.regex(synced.said, /^created slow\/prod\/a$/m);
  t.regex(synced.wrong, /slow\/prod\/b: it may have been written, or not: no answer from .* \(tried 4 times\)/);
});

const shape = (t: ExecutionContext, text: string) => t.regex(text, /^[^\n]*no list of jobs|answered/m);
test('what answers is no scheduler: that is said, and nothing is sent', async t => {
  const dir = await tempDir(t);
  put(dir, { 'a/b/c.yaml': 'command: echo\n' });
  let sent = 0;
  for (const answer of [
    { status: 200, body: '<html>' },
    { status: 200, body: '{}' },
    { status: 401 },
    { status: 500 },
  ]) {
    const url = await roadTo(
      t,
      () => api.url,
      ({ method }) => {
        if (method !== 'GET') sent++;
        return answer;
      },
    );
    const ended = await syncWith(() => url)(dir, '--timeout-s', '1');
    t.is(ended.status, 1);
    shape(t, ended.wrong);
  }
  t.is(sent, 0);
});
