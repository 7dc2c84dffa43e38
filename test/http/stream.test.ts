// stream.test.ts: lists of thousands on their way to clients: who takes them slowly, who finds little, who comes between.

import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { createTurnstile } from '../../transport/http/stream.ts';
import { until } from '../support/until.ts';
import { hello, limits_default, type Served, serve } from './support/serve.ts';

const jobs_count = 8_000;

/** A server with many jobs, as Chronos's clients posted them. */
async function crowded(t: ExecutionContext, limits: Partial<typeof limits_default> = {}): Promise<Served> {
  const served = await serve(t, { limits: { ...limits_default, ...limits } });
  const answer = await served.ask('POST', '/scheduler/iso8601', {
    json: { name: 'job', command: 'true', schedule: 'R/2030-01-01T00:00:00Z/P1D', description: 'x'.repeat(2_000) },
  });
  t.is(answer.status, 204);
  const { record } = served.core.views.job('chronos/default/job')!;
  served.core.commit(
    ...Array.from({ length: jobs_count - 1 }, (_, n) => {
      const name = `job-${String(n).padStart(4, '0')}`;
      const origin = { dialect: 'chronos', document: { ...(record.origin!.document as object), name } };
      return { kind: 'job', key: `chronos/default/${name}`, body: { ...record, job: { ...record.job, name }, origin } };
    }),
  );
  return served;
}

/** Asks for a list and reads none of it. */
async function asked(t: ExecutionContext, { port }: Served, path: string): Promise<IncomingMessage> {
  const request = httpRequest({ host: '127.0.0.1', port, path, agent: false });
  t.teardown(() => request.destroy());
  request.on('error', () => undefined).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

test('a list of 8,000 jobs is whole, in either dialect', async t => {
  const { ask } = await crowded(t);
  const listed = (await ask('GET', '/scheduler/jobs')).json as unknown as { name: string }[];
  t.is(new Set(listed.map(job => job.name)).size, jobs_count);
  const keys = new Set<string>();
  for (let next: unknown = '/api/v1/jobs?limit=1000'; next !== undefined; ) {
    const page = (await ask('GET', String(next))).json as { jobs: { key: string }[]; total: number; next?: string };
    t.is(page.total, jobs_count);
    for (const { key } of page.jobs) keys.add(key);
    next = page.next;
  }
  t.is(keys.size, jobs_count);
});

test('while a client takes its list slowly others are answered, and it gets the rest when it reads on', async t => {
  const served = await crowded(t);
  const slow = await asked(t, served, '/scheduler/jobs');
  t.is((await served.ask('GET', '/api/v1/jobs?limit=1')).status, 200);
  // A job that comes meanwhile, behind all others, is in the list: nothing of it was made in advance.
  await served.ask('POST', '/scheduler/iso8601', {
    json: { name: 'zebra', command: 'true', schedule: 'R/2030-01-01T00:00:00Z/P1D' },
  });
  const chunks: Buffer[] = [];
  for await (const chunk of slow) chunks.push(chunk as Buffer);
  const names = (JSON.parse(Buffer.concat(chunks).toString()) as { name: string }[]).map(job => job.name);
  t.is(names.length, jobs_count + 1);
  t.is(names.at(-1), 'zebra');
});

test('a client that takes nothing of its list for too long is cut off, and counted', async t => {
  const served = await crowded(t, { reader_stall_ms: 200 });
  const slow = await asked(t, served, '/scheduler/jobs');
  const refused = 'horae_http_refused_total{why="stalled"} 1\n';
  await until('the client to be counted', async () => (await served.ask('GET', '/metrics')).text.includes(refused));
  const closed = new Promise(resolve => void slow.once('close', resolve));
  slow.resume();
  await closed;
  t.false(slow.complete);
});

test('of a list that is asked for with HEAD only the head is sent', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { status, headers, text } = await ask('HEAD', '/api/v1/jobs');
  t.deepEqual([status, headers['content-type'], text], [200, 'application/json', '']);
});

test('a search that finds nothing among 8,000 jobs still says so', async t => {
  const { ask } = await crowded(t);
  t.is((await ask('GET', '/scheduler/jobs/search?name=nobody')).text, '[]');
});

test('long answers take turns, one step of one of them in a turn of the loop', t => {
  const turns: (() => void)[] = [];
  const { pass } = createTurnstile(turn => void turns.push(turn));
  const done: string[] = [];
  const walk = (who: string, steps: number) => {
    if (steps > 0)
      pass(() => {
        done.push(`${who}${steps}`);
        walk(who, steps - 1);
      });
  };
  walk('a', 3);
  walk('b', 2);
  for (let n = 1; turns.length > 0; n++) {
    t.is(turns.length, 1);
    turns.shift()!();
    t.is(done.length, n);
  }
  t.deepEqual(done, ['a3', 'b2', 'a2', 'b1', 'a1']);
});
