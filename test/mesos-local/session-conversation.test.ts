// session-conversation.test.ts: what an agent of Mesos was recorded to say about sessions, asked of our agent in the same words.
//
// Put aside are ids of containers, paths of sandboxes, and how output is cut into records. What our agent does not do, it
// refuses: that is listed here, so that it cannot grow in silence.

import test from 'ava';
import { callOf, httpText, recordsIn, sessions_recording, unchunked } from '../mesos/support/recordings.ts';
import { until } from '../support/until.ts';
import { command, post, subscribe } from './support/client.ts';
import { machine } from './support/machine.ts';

const recorded = sessions_recording();
/** The containers of the two recorded tasks, the second of which was the parent of the first, and of a custom executor. */
const in_group =
  '{"value":"627b1083-a0fa-4b70-b8b1-122f48ea8f45","parent":{"value":"ed13b32c-4d08-4fb0-af14-2aa921b205d0"}}';
const custom = '{"value":"8311024d-bef7-47b5-bfaa-36edfa729120"}';

/** What an answer says: its status, its types, and its words, or what was written in it. */
function told(status: number, headers: { get(name: string): string | null | undefined }, body: Buffer) {
  const types = ['content-type', 'message-content-type'].map(name => headers.get(name) ?? undefined);
  if (types[1] === undefined && !/^\d+\n/.test(body.toString())) return { status, types, text: body.toString() };
  const pieces = recordsIn(body).map(
    text => JSON.parse(text) as { type: string; data: { type: string; data: string } },
  );
  const of = (stream: string) =>
    pieces
      .filter(({ type, data }) => type === 'DATA' && data.type === stream)
      .map(({ data }) => Buffer.from(data.data, 'base64').toString())
      .join('')
      .replace(/^\/\S+$/m, '/A/SANDBOX');
  return { status, types, stdout: of('STDOUT'), stderr: of('STDERR') };
}
function asRecorded(label: string) {
  const raw = Buffer.from(callOf(recorded, label).response, 'latin1');
  const { head, headers, body } = httpText(raw.toString('latin1'));
  const chunked = headers.get('transfer-encoding') === 'chunked';
  return told(Number(head.split(' ')[1]), headers, chunked ? unchunked(raw).body : Buffer.from(body, 'latin1'));
}

test('our agent answers about sessions as it was recorded, or is known not to', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('n-1', 'sleep 1000')]);
  await scheduler.reached('n-1', 'TASK_RUNNING');
  const target = { url: mesos.agent.origin, credentials: mesos.credentials };
  const ours = (text: string) => text.replaceAll(in_group, '{"value":"n-1"}').replaceAll(custom, '{"value":"n-1"}');
  const ask = async (label: string) => {
    const { request } = callOf(recorded, label);
    const headers = Object.fromEntries(
      ['content-type', 'accept', 'message-accept', 'message-content-type'].map(name => [
        name,
        request.headers.get(name),
      ]),
    );
    const chunked = request.headers.get('transfer-encoding') === 'chunked';
    const raw = Buffer.from(`\r\n\r\n${request.body}`, 'latin1');
    const body = chunked ? recordsIn(unchunked(raw).body).map(ours).map(asRecord).join('') : ours(request.body);
    const all = { 'Content-Type': undefined, Accept: undefined, ...headers };
    const answer = await post(target, body, all, { path: '/api/v1' });
    return told(answer.status, new Headers(answer.headers as Record<string, string>), Buffer.from(answer.text));
  };
  const alike = async (label: string) => t.deepEqual(await ask(label), asRecorded(label), label);

  await alike('26-LAUNCH_NESTED_CONTAINER_SESSION');
  await alike('27-WAIT_NESTED_CONTAINER-session');
  await alike('28-SESSION-accept-json');
  const cat = ask('29-SESSION-3-cat');
  // It was attached to when it was there: before, there is nothing to attach to.
  const attached = await until('the session that is typed into', async () => {
    const answer = await ask('31-ATTACH_CONTAINER_INPUT-3');
    return answer.status === 404 ? undefined : answer;
  });
  t.deepEqual(attached, asRecorded('31-ATTACH_CONTAINER_INPUT-3'));
  t.deepEqual(await cat, asRecorded('29-SESSION-3-cat'));
  await alike('39-SESSION-unknown-parent');
  const listing = await ask('38-SESSION-in-custom-executor');
  t.deepEqual({ ...listing, stdout: '' }, { ...asRecorded('38-SESSION-in-custom-executor'), stdout: '' });

  // Nobody but a session's own launch reads its output, and containers that are no sessions are not made.
  for (const label of ['30-ATTACH_CONTAINER_OUTPUT-3', '32-ATTACH_CONTAINER_OUTPUT-task'])
    t.like(await ask(label), { status: 400, text: "Failed to validate agent::Call: Expecting 'type' to be present" });
});

const asRecord = (text: string) => `${Buffer.byteLength(text)}\n${text}`;
