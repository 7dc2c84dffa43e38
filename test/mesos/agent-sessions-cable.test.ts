// agent-sessions-cable.test.ts: an agent on a machine of its own, whose cable is pulled while a command runs there.

import { AgentAway } from '../../mesos/agent-files.ts';
import { agentSessions } from '../../mesos/agent-sessions.ts';
import { systemClock } from '../../schedules/clock.ts';
import { startChild } from '../support/child.ts';
import { may_cut, startLan } from '../support/lan.ts';
import { testWith } from '../support/needs.ts';

/** Just enough of an agent: one task, and a session that says one thing and then nothing. */
const agent = `
const task = { task_id: { value: 't' }, statuses: [{ container_status: { container_id: { value: 'c' } } }] };
const piece = JSON.stringify({ type: 'DATA', data: { type: 'STDOUT', data: 'eA==' } });
require('node:http').createServer((request, response) => {
  let body = '';
  request.on('data', bytes => {
    body += bytes;
    if (body.includes('GET_TASKS')) response.end(JSON.stringify({ get_tasks: { launched_tasks: [task] } }));
    if (body.includes('LAUNCH_NESTED')) response.write(piece.length + '\\n' + piece);
  });
}).listen(5051, process.argv[1], () => console.log('listening'));
`;

testWith(may_cut)('an agent whose machine vanishes without a word is noticed, and named', async t => {
  const { machines } = await startLan(t, 1);
  const [machine] = machines;
  const [command = '', ...argv] = [...machine!.enter, process.execPath, '-e', agent, machine!.host];
  await startChild(t, { command, argv }).line(/^listening$/);
  const sessions = agentSessions({
    clock: systemClock(),
    at: (_, work) => work({ origin: `http://${machine!.host}:5051`, headers: {} }),
    framework_id: () => undefined,
    newId: () => 's',
    keep_alive_ms: 1_000,
  });
  const session = (await sessions.open('S0', 't', { command: ['cat'] }))!;
  await t.throwsAsync(
    async () => {
      for await (const { bytes } of session.output) {
        t.is(Buffer.from(bytes).toString(), 'x');
        await machine!.unplug();
        // What is typed now arrives nowhere, and is not waited for.
        void session.write(Buffer.from('is anybody there?\n'));
      }
    },
    { instanceOf: AgentAway, message: /^http:\/\/198\S+:5051: it hung up$/ },
  );
  t.is(await session.ended, 'unknown');
});
