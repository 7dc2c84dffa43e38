// recordings.test.ts: what a real Mesos agent said to real executors, said again to ours, byte for byte but for its tasks.
//
// The recorded tasks carry orders for the executor that recorded them; ours get something to run in their place. Everything
// else stays: fields that we do not know, letters acknowledged that we never sent, records cut anywhere.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import type { AgentEvent } from '../../mesos/executor/agent-protocol.ts';
import { launchData } from '../../mesos/executor/launch.ts';
import type { TaskInfo } from '../../mesos/protocol.ts';
import { until } from '../support/until.ts';
import { testAgent } from './support/agent.ts';
import { testExecutor } from './support/executor.ts';

type Line = { readonly who: string; readonly stream?: string; readonly events?: readonly AgentEvent[] };
const data = join(import.meta.dirname, '..', 'data', 'executors');
const read = (name: string): readonly Line[] =>
  gunzipSync(readFileSync(join(data, `${name}.jsonl.gz`)))
    .toString()
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Line);

const forever = launchData({
  format: 1,
  task: { processes: [{ name: 'web', command: 'exec sleep 1000' }] },
  instance: 0,
  user: 'root',
  ports: {},
});
const ours = (task: TaskInfo): TaskInfo => ({ ...task, data: forever });
function withOurTasks(event: AgentEvent): AgentEvent {
  if (event.type === 'LAUNCH') return { ...event, launch: { ...event.launch, task: ours(event.launch.task) } };
  if (event.type !== 'LAUNCH_GROUP') return event;
  const { task_group } = event.launch_group;
  const tasks = task_group.tasks.map(ours);
  return { ...event, launch_group: { ...event.launch_group, task_group: { ...task_group, tasks } } };
}
const launchedBy = (event: AgentEvent): readonly string[] => {
  if (event.type === 'LAUNCH') return [event.launch.task.task_id.value];
  return event.type === 'LAUNCH_GROUP' ? event.launch_group.task_group.tasks.map(({ task_id }) => task_id.value) : [];
};

for (const name of [
  'ex-02-life-of-an-executor',
  'ex-03-launch-group-custom-executor',
  'ex-04-kill-variants',
  'ex-05-shutdown-obeyed-ignored',
  'ex-08-agent-restart-checkpoint',
  'ex-10-resubscribe-while-agent-lives',
  'ex-29-taskinfo-passthrough',
])
  test.serial(`${name}: every task is launched, every kill obeyed, every shutdown the end`, async t => {
    const lines = read(name).filter(({ who, events }) => who !== 'scheduler' && events !== undefined);
    t.true(lines.length > 0);
    for (const who of new Set(lines.map(line => line.who))) {
      const agent = await testAgent(t, { silent: true });
      const executor = await testExecutor(t, agent.port);
      const launched: string[] = [];
      let is_shut_down = false;
      const say = async (event: AgentEvent) => {
        const json = JSON.stringify(withOurTasks(event));
        await agent.sendBytes(Buffer.from(`${Buffer.byteLength(json)}\n${json}`), 97);
        launched.push(...launchedBy(event));
        for (const task of launchedBy(event)) await agent.status('TASK_RUNNING', task);
        if (event.type === 'KILL' && launched.includes(event.kill.task_id.value))
          await agent.status('TASK_KILLED', event.kill.task_id.value);
        if (event.type === 'SHUTDOWN') is_shut_down = true;
      };
      for (const [index, { events }] of lines.filter(line => line.who === who).entries()) {
        if (index > 0) agent.hangUp();
        const { unacknowledged_tasks } = await agent.subscribed(index + 1);
        // The recorded letters are none of ours, so nothing of ours was ever acknowledged.
        t.deepEqual(
          unacknowledged_tasks.map(({ task_id }) => task_id.value),
          launched,
          who,
        );
        for (const event of events!) await say(event);
      }
      if (!is_shut_down) await say({ type: 'SHUTDOWN' });
      for (const task of launched) await agent.status('TASK_KILLED', task);
      for (const { uuid, task_id } of agent.statuses())
        agent.send({ type: 'ACKNOWLEDGED', acknowledged: { task_id, uuid: uuid! } });
      t.is(await executor.over(), 'the agent says so', who);
      const ends = await until('all ends', () => agent.statuses().filter(({ state }) => state === 'TASK_KILLED'));
      t.is(ends.length, launched.length, `${who}: each end is told once`);
    }
  });
