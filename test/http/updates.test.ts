// updates.test.ts: a rolling update over REST: begun, looked at, and told what to do.

import test from 'ava';
import {
  job_resource,
  update_event_page,
  update_page,
  update_resource,
  update_told,
} from '../../transport/http/schemas.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const service = { ...hello, service: true, instances: 3 };
const wish = { job: { ...service, command: 'newer' }, strategy: { type: 'batch', size: 2 }, message: 'the third one' };
const updates = `${hello_path}/updates`;

test('an update is begun, can be read, and is shown with its job', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  const begun = await ask('POST', updates, { json: wish });
  t.is(begun.status, 201, JSON.stringify(begun.json));
  const told = update_told.parse(begun.json);
  t.is(begun.headers.location, `${updates}/${told.update}`);
  t.like(core.asked.at(-1)?.command, {
    type: 'start-update',
    message: 'the third one',
    how: {
      strategy: { type: 'batch', size: 2 },
      watch_ms: 45_000,
      max_per_shard_failures: 0,
      max_total_failures: 0,
      rollback_on_failure: true,
      progress_deadline_ms: 600_000,
    },
  });
  const shown = update_resource.parse((await ask('GET', `${updates}/${told.update}`)).json);
  t.like(shown, { status: 'ROLLING_FORWARD', by: 'local', plan: { create: '', change: '0-2', remove: '' } });
  t.like(shown.progress, { total: 3, done: 0, failed: '' });
  t.is(shown.progress.under_way[0]?.index, 0);
  t.deepEqual((await ask('GET', `${updates}/active`)).json, (await ask('GET', `${updates}/${told.update}`)).json);
  t.deepEqual(job_resource.parse((await ask('GET', hello_path)).json).update, {
    id: told.update!,
    status: 'ROLLING_FORWARD',
  });
  t.is(update_page.parse((await ask('GET', updates)).json).updates.length, 1);
});

test('its events come newest first, page by page, and a cursor of another job is refused', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  await ask('POST', updates, { json: wish });
  const first = update_event_page.parse((await ask('GET', `${updates}/active/events?limit=1`)).json);
  t.like(first.events[0], { index: 0, action: 'INSTANCE_UPDATING' });
  const second = update_event_page.parse((await ask('GET', first.next!)).json);
  t.like(second.events[0], { status: 'ROLLING_FORWARD' });
  t.is(second.next, undefined);
  const foreign = Buffer.from('www/prod/other/x').toString('base64url');
  t.is((await ask('GET', `${updates}/active/events?before=${foreign}`)).status, 400);
});

test('a word to an update says where it stands then, and one that is over cannot be told anything but a pulse', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  const { update } = update_told.parse((await ask('POST', updates, { json: wish })).json);
  const word = async (what: string, of = update) => await ask('POST', `${updates}/${of}/${what}`);
  t.like((await word('pause')).json, { result: 'changed', status: 'ROLL_FORWARD_PAUSED' });
  t.like((await word('pause')).json, { result: 'unchanged', status: 'ROLL_FORWARD_PAUSED' });
  t.is((await ask('POST', `${updates}/${update}/resume?message=go%20on`)).status, 200);
  t.like(core.asked.at(-1)?.command, { what: 'resume', update, message: 'go on' });
  t.like((await word('abort', 'active')).json, { result: 'changed', status: 'ABORTED', update });
  t.is((await word('abort')).status, 409);
  t.like((await word('abort')).json, { type: 'urn:horae:problem:not-updating' });
  const pulsed = await word('pulse');
  t.is(pulsed.status, 200);
  t.like(update_told.parse(pulsed.json), { result: 'finished' });
  const { updates: kept } = update_page.parse((await ask('GET', updates)).json);
  t.like(kept[0], { id: update, status: 'ABORTED' });
  t.is((await ask('GET', `${updates}/active`)).status, 404);
  t.is((await ask('GET', `${updates}/9.9`)).status, 404);
});

test('the same wish, sent twice under one key, is one update; another wish is told by whom the job is updated', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  const headers = { 'idempotency-key': 'third' };
  const first = await ask('POST', updates, { json: wish, headers });
  const again = await ask('POST', updates, { json: wish, headers });
  t.deepEqual([first.status, again.status], [201, 200]);
  t.is(again.json.update, first.json.update);
  const other = await ask('POST', updates, { json: { job: { ...service, command: 'other' } } });
  t.is(other.status, 409);
  t.regex(String(other.json.detail), new RegExp(String(first.json.update).replace('.', '\\.')));
});

test('an update to what is there already is answered so, and there is none', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  const same = await ask('POST', updates, { json: { job: service } });
  t.is(same.status, 200);
  t.like(update_told.parse(same.json), { result: 'unchanged' });
  t.deepEqual((await ask('GET', updates)).json, { updates: [] });
});

test('every problem of a wish is told', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: service });
  const refused = await ask('POST', updates, {
    json: {
      job: { ...service, cpus: -1, colour: 'red' },
      strategy: { type: 'batch', size: 0 },
      watch_ms: -1,
      max_total_failures: 'many',
      speed: 'fast',
    },
  });
  t.is(refused.status, 422);
  const places = (refused.json.problems as { place: string }[]).map(each => each.place);
  for (const place of ['/job/cpus', '/job/colour', '/strategy/size', '/watch_ms', '/max_total_failures'])
    t.true(places.includes(place), `${place} in ${places.join(' ')}`);
  const sums = await ask('POST', updates, {
    json: { job: wish.job, max_total_failures: 3, max_per_shard_failures: 10_000, instances: '5-1' },
  });
  t.is(sums.status, 422);
  t.deepEqual(
    (sums.json.problems as { place: string }[]).map(each => each.place),
    ['/max_total_failures', '/max_per_shard_failures', '/instances'],
  );
  const other = await ask('POST', updates, { json: { job: { ...wish.job, name: 'other' } } });
  t.is(other.status, 422);
  t.is((await ask('POST', updates, { json: wish, headers: { 'if-match': '"1.7"' } })).status, 412);
  t.is((await ask('POST', '/api/v1/jobs/www/prod/none/updates', { json: wish })).status, 404);
});
