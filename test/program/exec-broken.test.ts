// exec-broken.test.ts: commands in tasks when one of those between goes away: the scheduler, or the agent.

import { join } from 'node:path';
import test from 'ava';
import { endOf } from '../support/child.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { runsOf, startHorae } from './horae.ts';
import { killAlone, startMesos, startServe } from './serving.ts';
import { job, running, sitDown } from './terminal.ts';

test('a scheduler that is stopped says so to whoever is in a task, and has it on record', async t => {
  const folder = await tempDir(t);
  const first = await startHorae(t, folder);
  await first.api.request('POST', '/api/v1/jobs', { ...job('left'), command: 'exec sleep 1000' });
  await running(first.api, 'left');
  const place = sitDown(first.api, 'me/test/left', { command: ['sh', '-c', 'echo here; exec cat'] });
  await place.shows(/^here\n/);
  first.child.send('SIGTERM');
  t.deepEqual(await place.ended, { type: 'refused', message: 'the scheduler is stopping' });
  t.is((await endOf(first.child)).status, 0);
  const second = await startHorae(t, folder);
  const { audit } = (await second.api.get('/api/v1/audit')) as { audit: Record<string, string>[] };
  const of = (command: string) => audit.filter(row => row.command === command).map(({ detail }) => detail);
  t.deepEqual(of('begin-session'), ['["sh","-c","echo here; exec cat"]']);
  t.deepEqual(of('end-session'), ['["sh","-c","echo here; exec cat"]: the scheduler is stopping']);
  await second.api.request('POST', '/api/v1/jobs/me/test/left/kill');
  await until('its end', async () => (await runsOf(second.api, 'me/test/left'))[0]?.state === 'killed');
});

test('an agent of a Mesos that goes in the middle is named, and how far it came is on record', async t => {
  const folder = await tempDir(t);
  const mesos = await startMesos(t, join(folder, 'mesos'));
  const { api: other } = await startServe(t, mesos.url, join(folder, 'data'));
  await other.request('POST', '/api/v1/jobs', { ...job('far'), command: 'sleep 1000' });
  await running(other, 'far');
  const place = sitDown(other, 'me/test/far', { command: ['sh', '-c', 'echo here; exec cat'] });
  place.type('and back\n');
  await place.shows(/^here\nand back\n/);
  await killAlone(mesos.child);
  const outcome = await place.ended;
  t.like(outcome, { type: 'end', code: undefined, signal: undefined });
  t.regex(outcome.type === 'end' ? outcome.why! : '', /^the agent broke off: http:\/\/\S+: it hung up$/);
  const { audit } = (await other.get('/api/v1/audit')) as { audit: Record<string, string>[] };
  t.regex(audit[0]!.detail!, /^\["sh","-c","echo here; exec cat"\]: the agent broke off: http/);
  const again = await sitDown(other, 'me/test/far', { command: ['true'] }).ended;
  t.regex(again.type === 'refused' ? again.message : '', /^http:\/\/\S+: connect ECONNREFUSED/);
  await startMesos(t, join(folder, 'mesos'), [], mesos.listen);
});
