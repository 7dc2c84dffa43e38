// agent-sessions.test.ts: commands in running tasks, beside what an agent of Mesos was recorded to say about them.
//
// What it answered is played unchanged, in pieces of every length; what we ask must be what was asked then: method and path,
// headers, and the whole body, but for the command, whose words we hand over one by one where it was a line for a shell.

import test, { type ExecutionContext } from 'ava';
import { AgentAway } from '../../mesos/agent-files.ts';
import { agentSessions, SessionRefused } from '../../mesos/agent-sessions.ts';
import type { Session, SessionWish } from '../../mesos/sessions.ts';
import { type SimulatedClock, simulatedClock, systemClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { callOf, recordsIn, sessions_recording, unchunked } from './support/recordings.ts';
import { type AgentAsked, type AgentScript, scriptedAgent } from './support/scripted-agent.ts';
import { answer, last_chunk, rawChunk, record } from './support/scripted-master.ts';

const recorded = sessions_recording();
const response = (label: string) => callOf(recorded, label).response;
const framework_id = '7daf7738-616c-49fd-ae3e-5b7ee783a35b-0000';
const in_group = {
  value: '627b1083-a0fa-4b70-b8b1-122f48ea8f45',
  parent: { value: 'ed13b32c-4d08-4fb0-af14-2aa921b205d0' },
};
const line: SessionWish = { command: ['sh', '-c', 'echo in-session; pwd; id -u; echo to-err >&2; exit 4'] };
const cat: SessionWish = { command: ['sh', '-c', 'cat; echo cat-ended'] };

/** Answers by type of call. What is left out is answered as it was recorded, and the input with nothing. */
const saying =
  (said: Readonly<Record<string, string | AgentScript>>): AgentScript =>
  asked => {
    const what = said[asked.type] ?? usual[asked.type];
    if (typeof what === 'string') asked.socket.write(Buffer.from(what, 'latin1'));
    else what?.(asked);
  };
const usual: Readonly<Record<string, string>> = {
  GET_TASKS: response('13-GET_TASKS'),
  WAIT_NESTED_CONTAINER: response('27-WAIT_NESTED_CONTAINER-session'),
  REMOVE_NESTED_CONTAINER: response('37-REMOVE_NESTED_CONTAINER'),
};
const head = (label: string) => response(label).slice(0, response(label).indexOf('\r\n\r\n') + 4);
const opened = head('26-LAUNCH_NESTED_CONTAINER_SESSION');
const piece = (message: object) => rawChunk(record(JSON.stringify(message)));
const written = (text: string) => ({
  type: 'DATA',
  data: { type: 'STDOUT', data: Buffer.from(text).toString('base64') },
});

async function talk(
  t: ExecutionContext,
  script: AgentScript,
  { id = 'session-1', clock = systemClock() as SimulatedClock | ReturnType<typeof systemClock> } = {},
) {
  const agent = await scriptedAgent(t, script);
  const sessions = agentSessions({
    clock,
    at: (_, work) => work({ origin: agent.origin, headers: {} }),
    framework_id: () => framework_id,
    newId: () => id,
  });
  const open = async (task: string, wish: SessionWish): Promise<Session> => {
    const session = await sessions.open('S0', task, wish);
    if (session === undefined) throw new Error(`there is no task ${task}`);
    t.teardown(() => session.close());
    return session;
  };
  const asked = (type: string) => agent.asked.filter(one => one.type === type);
  return { ...agent, sessions, open, called: asked };
}

async function heard({ output }: Session): Promise<{ stdout: string; stderr: string }> {
  const all = { stdout: '', stderr: '' };
  for await (const { stream, bytes } of output) all[stream] += Buffer.from(bytes).toString('latin1');
  return all;
}

/** What was asked, beside what was asked when it was recorded. */
function alike(t: ExecutionContext, asked: AgentAsked, label: string, edit = (body: unknown) => body): void {
  const { request } = callOf(recorded, label);
  t.is(asked.head, request.head, label);
  for (const name of ['content-type', 'accept', 'message-accept', 'message-content-type'])
    t.is(asked.headers.get(name), request.headers.get(name), `${name} of ${label}`);
  const chunked = request.headers.get('transfer-encoding') === 'chunked';
  t.is(asked.headers.get('transfer-encoding'), chunked ? 'chunked' : undefined);
  const raw = (text: string) => Buffer.from(`\r\n\r\n${text}`, 'latin1');
  if (chunked) t.is(unchunked(asked.raw()).body.toString(), unchunked(raw(request.body)).body.toString(), label);
  else t.deepEqual(edit(JSON.parse(asked.body)), edit(JSON.parse(request.body)), label);
}
/** All of a launch but what is to be run. */
const placed = (body: unknown) => ({
  ...(body as object),
  launch_nested_container_session: (body as { launch_nested_container_session: { container_id: unknown } })
    .launch_nested_container_session.container_id,
});

test('a command of a task of a group is asked for, heard and looked after as it was recorded', async t => {
  const { open, called } = await talk(
    t,
    saying({ LAUNCH_NESTED_CONTAINER_SESSION: response('26-LAUNCH_NESTED_CONTAINER_SESSION') }),
  );
  const session = await open('n-1', line);
  const { stdout, stderr } = await heard(session);
  t.regex(stdout, /^in-session\n\/\S+\/executors\/def\/runs\/\S+\/containers\/627b1083\S+\n0\n$/);
  t.is(stderr, 'to-err\n');
  t.deepEqual(await session.ended, { code: 4 });
  alike(t, called('GET_TASKS')[0]!, '13-GET_TASKS');
  alike(t, called('LAUNCH_NESTED_CONTAINER_SESSION')[0]!, '26-LAUNCH_NESTED_CONTAINER_SESSION', placed);
  alike(t, called('WAIT_NESTED_CONTAINER')[0]!, '27-WAIT_NESTED_CONTAINER-session');
  t.deepEqual(JSON.parse(called('REMOVE_NESTED_CONTAINER')[0]!.body), {
    type: 'REMOVE_NESTED_CONTAINER',
    remove_nested_container: { container_id: { value: 'session-1', parent: in_group } },
  });
});

test('what is typed is carried as it was recorded, and the end of input too', async t => {
  const typed = Promise.withResolvers<void>();
  const { open, called } = await talk(
    t,
    saying({
      LAUNCH_NESTED_CONTAINER_SESSION: ({ socket }) => {
        socket.write(head('29-SESSION-3-cat'));
        void typed.promise.then(() =>
          socket.write(response('29-SESSION-3-cat').slice(head('29-SESSION-3-cat').length)),
        );
      },
      async ATTACH_CONTAINER_INPUT({ socket, raw }) {
        await until('the end of input', () => unchunked(raw()).complete);
        socket.write(response('31-ATTACH_CONTAINER_INPUT-3'));
        typed.resolve();
      },
    }),
    { id: 'session-3' },
  );
  const session = await open('n-1', cat);
  await session.write(Buffer.from('hello through stdin\n'));
  session.end();
  t.deepEqual(await heard(session), { stdout: 'hello through stdin\ncat-ended\n', stderr: '' });
  alike(t, called('LAUNCH_NESTED_CONTAINER_SESSION')[0]!, '29-SESSION-3-cat', placed);
  alike(t, called('ATTACH_CONTAINER_INPUT')[0]!, '31-ATTACH_CONTAINER_INPUT-3');
});

test('however the network cuts what an agent says, it is the same', async t => {
  for (const label of ['26-LAUNCH_NESTED_CONTAINER_SESSION', '29-SESSION-3-cat', '30-ATTACH_CONTAINER_OUTPUT-3']) {
    const whole = response(label);
    const records = recordsIn(unchunked(Buffer.from(whole, 'latin1')).body).map(text => JSON.parse(text));
    const expected = records.map(({ data }) => Buffer.from(data.data, 'base64').toString('latin1')).join('');
    for (const length of [1, 2, 7, 64]) {
      const { open } = await talk(
        t,
        saying({
          async LAUNCH_NESTED_CONTAINER_SESSION({ socket }) {
            socket.setNoDelay();
            for (let at = 0; at < whole.length; at += length) {
              socket.write(whole.slice(at, at + length));
              await new Promise(resolve => setImmediate(resolve));
            }
          },
        }),
      );
      const { stdout, stderr } = await heard(await open('n-1', line));
      t.is(stdout + stderr, expected, `${label} in pieces of ${length}`);
    }
  }
});

test('a task of an executor of its own is entered where that executor is', async t => {
  const { open, called } = await talk(
    t,
    saying({ LAUNCH_NESTED_CONTAINER_SESSION: response('38-SESSION-in-custom-executor') }),
    { id: 'session-9' },
  );
  const { stdout } = await heard(await open('c-1', { command: ['sh', '-c', 'pwd; ls; exit 0'] }));
  t.regex(stdout, /\/executors\/custom\/runs\/8311024d-\S+\ncontainers\nexecutor.mjs\n/);
  alike(t, called('LAUNCH_NESTED_CONTAINER_SESSION')[0]!, '38-SESSION-in-custom-executor', placed);
});

test('a task of another framework, or one that is over, is none', async t => {
  const { sessions, asked } = await talk(t, saying({}));
  t.is(await sessions.open('S0', 'n-2', line), undefined);
  const foreign = response('13-GET_TASKS').replaceAll(framework_id, '00000000-0000-0000-0000-000000000000-0000');
  const others = await talk(t, saying({ GET_TASKS: foreign }));
  t.is(await others.sessions.open('S0', 'n-1', line), undefined);
  t.deepEqual(
    [...asked, ...others.asked].map(({ type }) => type),
    ['GET_TASKS', 'GET_TASKS'],
  );
});

test('signs of life and what is not known yet are passed over', async t => {
  const { open } = await talk(
    t,
    saying({
      LAUNCH_NESTED_CONTAINER_SESSION: [
        opened,
        piece({ type: 'CONTROL', control: { type: 'HEARTBEAT', heartbeat: { interval: { nanoseconds: 3e10 } } } }),
        piece(written('one\n')),
        piece({ type: 'NEWS', news: { data: 'x' } }),
        piece({ type: 'DATA', data: { type: 'STDIN', data: 'eA==' } }),
        piece(written('two\n')),
        last_chunk,
      ].join(''),
    }),
  );
  t.deepEqual(await heard(await open('n-1', line)), { stdout: 'one\ntwo\n', stderr: '' });
});

test('a terminal is asked for with its size, and told of another between what is typed', async t => {
  const { open, called } = await talk(t, saying({ LAUNCH_NESTED_CONTAINER_SESSION: opened }));
  const session = await open('n-1', {
    command: ['top'],
    terminal: { rows: 24, columns: 80 },
    variables: { TERM: 'vt100' },
  });
  t.deepEqual(JSON.parse(called('LAUNCH_NESTED_CONTAINER_SESSION')[0]!.body).launch_nested_container_session, {
    container_id: { value: 'session-1', parent: in_group },
    command: {
      shell: false,
      value: 'top',
      arguments: ['top'],
      environment: { variables: [{ name: 'TERM', type: 'VALUE', value: 'vt100' }] },
    },
    container: { type: 'MESOS', tty_info: { window_size: { rows: 24, columns: 80 } } },
  });
  await session.write(Buffer.from('q'));
  session.resize({ rows: 50, columns: 132 });
  await session.write(Buffer.from('\x03'));
  const input = await until('what was typed', () => {
    const records = called('ATTACH_CONTAINER_INPUT').flatMap(({ raw }) => recordsIn(unchunked(raw()).body));
    return records.length >= 4 ? records.map(text => JSON.parse(text).attach_container_input) : undefined;
  });
  t.deepEqual(input, [
    { type: 'CONTAINER_ID', container_id: { value: 'session-1', parent: in_group } },
    { type: 'PROCESS_IO', process_io: { type: 'DATA', data: { type: 'STDIN', data: 'cQ==' } } },
    {
      type: 'PROCESS_IO',
      process_io: {
        type: 'CONTROL',
        control: { type: 'TTY_INFO', tty_info: { window_size: { rows: 50, columns: 132 } } },
      },
    },
    { type: 'PROCESS_IO', process_io: { type: 'DATA', data: { type: 'STDIN', data: 'Aw==' } } },
  ]);
});

test('what an agent refuses is told in its own words', async t => {
  const refused = async (said: Readonly<Record<string, string>>) => {
    const { sessions, origin } = await talk(t, saying(said));
    const error = await t.throwsAsync(sessions.open('S0', 'n-1', line), { instanceOf: SessionRefused });
    return error!.message.replace(origin, 'ORIGIN');
  };
  const launched = (text: string) => refused({ LAUNCH_NESTED_CONTAINER_SESSION: text });
  t.is(
    await launched(response('39-SESSION-unknown-parent')),
    'ORIGIN answers 400: Parent container no-such does not exist',
  );
  t.is(
    await launched(response('32-ATTACH_CONTAINER_OUTPUT-task')),
    'ORIGIN answers 500: I/O switchboard server was disabled for this container',
  );
  t.is(
    await refused({ GET_TASKS: answer('503 Service Unavailable', 'Agent has not finished recovery') }),
    'ORIGIN answers 503: Agent has not finished recovery',
  );
  for (const status of ['401 Unauthorized', '403 Forbidden'])
    t.regex(
      await launched(answer(status)),
      /^ORIGIN lets only those into its containers whom it knows \(40[13]\): expected/,
    );
});

test('an agent that may not be asked for input says so, and what was written before is not lost', async t => {
  const clock = simulatedClock(0);
  const { open, sockets } = await talk(
    t,
    saying({
      LAUNCH_NESTED_CONTAINER_SESSION: opened + piece(written('a prompt$ ')),
      ATTACH_CONTAINER_INPUT: answer('403 Forbidden', 'Not authorized to attach input'),
    }),
    { clock },
  );
  const session = await open('n-1', cat);
  let seen = '';
  const broken = (async () => {
    for await (const { bytes } of session.output) seen += Buffer.from(bytes).toString();
  })();
  const thrown = t.throwsAsync(broken, { message: /input: 403: Not authorized to attach input$/ });
  await until('it to be over', () => {
    clock.advanceTo(clock.now() + 100);
    return sockets.size === 0;
  });
  await thrown;
  t.is(seen, 'a prompt$ ');
  t.is(await session.ended, 'unknown');
});

test('a command that ends while its input is open ends well, whichever connection the agent closes first', async t => {
  for (const farewell of [answer('500 Internal Server Error', 'Failed to write to stdin: Broken pipe'), '']) {
    const input = Promise.withResolvers<void>();
    const { open } = await talk(
      t,
      saying({
        LAUNCH_NESTED_CONTAINER_SESSION: ({ socket }) => {
          socket.write(opened + piece(written('first\n')));
          void input.promise.then(() => socket.write(piece(written('last\n')) + last_chunk));
        },
        ATTACH_CONTAINER_INPUT: ({ socket }) => {
          socket.on('close', () => input.resolve());
          socket.end(farewell);
        },
      }),
    );
    const session = await open('n-1', line);
    t.deepEqual(await heard(session), { stdout: 'first\nlast\n', stderr: '' });
    t.deepEqual(await session.ended, { code: 4 });
  }
});

test('how it ended is what the agent says of it, and unknown when nobody does', async t => {
  const quick = opened + last_chunk;
  const ended = async (said: Readonly<Record<string, string | AgentScript>>) => {
    const { open } = await talk(t, saying({ LAUNCH_NESTED_CONTAINER_SESSION: quick, ...said }));
    const session = await open('n-1', line);
    await heard(session);
    return session.ended;
  };
  t.deepEqual(await ended({ WAIT_NESTED_CONTAINER: response('35-WAIT_NESTED_CONTAINER-nested') }), { signal: 15 });
  t.is(await ended({ WAIT_NESTED_CONTAINER: answer('404 Not Found', 'Container cannot be found') }), 'unknown');
  t.is(await ended({ WAIT_NESTED_CONTAINER: ({ socket }) => socket.destroy() }), 'unknown');
  const nothing = answer('200 OK', '{"type":"WAIT_NESTED_CONTAINER","wait_nested_container":{}}');
  t.is(await ended({ WAIT_NESTED_CONTAINER: nothing }), 'unknown');
});

test('an agent that goes away in the middle breaks the command off, and is named', async t => {
  const { open, sockets, origin } = await talk(
    t,
    saying({ LAUNCH_NESTED_CONTAINER_SESSION: opened + piece(written('begun\n')) }),
  );
  const session = await open('n-1', cat);
  let seen = '';
  const error = await t.throwsAsync(async () => {
    for await (const { bytes } of session.output) {
      seen += Buffer.from(bytes).toString();
      for (const socket of sockets) socket.destroy();
    }
  });
  t.true(error instanceof AgentAway && error.message.startsWith(`${origin}: `), String(error));
  t.is(seen, 'begun\n');
  t.is(await session.ended, 'unknown');
  // What is still typed then goes nowhere, and nobody waits for it.
  await session.write(Buffer.from('x'));
  session.end();
});

test('an agent that cannot be reached, or says nothing, is away', async t => {
  const gone = await talk(t, saying({}));
  await gone.close();
  await t.throwsAsync(gone.sessions.open('S0', 'n-1', line), { instanceOf: AgentAway });
  const clock = simulatedClock(0);
  const silent = await talk(t, saying({ LAUNCH_NESTED_CONTAINER_SESSION: () => undefined }), { clock });
  const waits = t.throwsAsync(silent.sessions.open('S0', 'n-1', line), {
    instanceOf: AgentAway,
    message: /no answer within 10000 ms$/,
  });
  await until('it to be asked', () => silent.called('LAUNCH_NESTED_CONTAINER_SESSION').length > 0);
  clock.advanceTo(clock.now() + 10_000);
  await waits;
});

test('what is no record is not guessed at', async t => {
  const { open } = await talk(
    t,
    saying({ LAUNCH_NESTED_CONTAINER_SESSION: opened + piece(written('one\n')) + rawChunk('what?') }),
  );
  const session = await open('n-1', line);
  await t.throwsAsync(heard(session), { message: /expected the length of a record/ });
  t.is(await session.ended, 'unknown');
});

test('whoever hangs up ends the answer with the output, by which an agent ends the command', async t => {
  const { open, sockets } = await talk(t, saying({ LAUNCH_NESTED_CONTAINER_SESSION: opened + piece(written('x')) }));
  const session = await open('n-1', cat);
  for await (const _ of session.output) break;
  await until('both connections to be closed', () => sockets.size === 0);
  t.is(await session.ended, 'unknown');
});
