// agent.ts: an agent's side of the executor API, played by a test: it records what it is told and says what it is told to.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AgentCall, AgentEvent } from '../../../mesos/executor/agent-protocol.ts';
import { type LaunchDocument, launchData } from '../../../mesos/executor/launch.ts';
import type { TaskReport } from '../../../mesos/executor/report.ts';
import type { TaskInfo, TaskStatus } from '../../../mesos/protocol.ts';
import type { Owner } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

export type TestAgent = {
  readonly port: number;
  /** Every call, in order. */
  readonly calls: () => readonly AgentCall[];
  /** Every status that was taken, in order. */
  readonly statuses: () => readonly TaskStatus[];
  readonly states: (task_id?: string) => readonly string[];
  /** Waits for the `nth` status (from 1) with this state of a task. */
  readonly status: (state: string, task_id?: string, nth?: number) => Promise<TaskStatus>;
  readonly subscribed: (times: number) => Promise<Extract<AgentCall, { type: 'SUBSCRIBE' }>['subscribe']>;
  readonly send: (...events: AgentEvent[]) => void;
  readonly launch: (...tasks: TaskInfo[]) => void;
  readonly kill: (task_id: string, grace_ms?: number) => void;
  /** Calls other than SUBSCRIBE are answered with this from now on; undefined: 202. */
  readonly answer: (status: number | undefined, text?: string) => void;
  readonly acknowledge: (whether: boolean) => void;
  /** Ends the stream and refuses connections, until `comeBack`. */
  readonly goAway: () => Promise<void>;
  readonly comeBack: () => Promise<void>;
  /** Ends the stream; whoever calls again is answered. */
  readonly hangUp: () => void;
  /** So many bytes at a time: where they are cut means nothing. */
  readonly sendBytes: (bytes: Buffer, at_a_time: number) => Promise<void>;
  readonly authorizations: () => readonly (string | undefined)[];
};

export const framework_id = 'F-1';
export const task_id = 'T-1';

export type AgentOptions = {
  readonly capabilities?: readonly string[];
  /** SUBSCRIBED and ACKNOWLEDGED are said by the test itself. */
  readonly silent?: true;
};

export async function testAgent(
  t: Owner,
  { capabilities = ['TASK_KILLING_STATE'], silent }: AgentOptions = {},
): Promise<TestAgent> {
  const calls: AgentCall[] = [];
  const statuses: TaskStatus[] = [];
  const authorizations: (string | undefined)[] = [];
  let stream: ServerResponse | undefined;
  let answer: number | undefined;
  let words = '';
  let acknowledges = true;
  let subscriptions = 0;

  const send = (...events: AgentEvent[]) => {
    for (const event of events) {
      const json = JSON.stringify(event);
      stream?.write(`${Buffer.byteLength(json)}\n${json}`);
    }
  };
  const acknowledged = ({ task_id, uuid }: TaskStatus) => {
    if (acknowledges && silent === undefined) send({ type: 'ACKNOWLEDGED', acknowledged: { task_id, uuid: uuid! } });
  };
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    for await (const piece of request) text += piece;
    authorizations.push(request.headers.authorization);
    const call = JSON.parse(text) as AgentCall;
    if (call.type === 'SUBSCRIBE') {
      calls.push(call);
      subscriptions++;
      stream?.end();
      stream = response;
      response.writeHead(200, { 'content-type': 'application/json' });
      if (silent) return;
      send({
        type: 'SUBSCRIBED',
        subscribed: {
          executor_info: { executor_id: { value: task_id } },
          framework_info: { user: 'root', name: 'test', capabilities: capabilities.map(type => ({ type })) },
          agent_info: { hostname: 'host-1', id: { value: 'A-1' } },
          container_id: { value: 'C-1' },
        },
      });
      for (const { status } of call.subscribe.unacknowledged_updates) {
        statuses.push(status);
        acknowledged(status);
      }
      return;
    }
    if (answer !== undefined) {
      response.writeHead(answer).end(words);
      return;
    }
    calls.push(call);
    if (call.type === 'UPDATE') {
      // The same id again is the same letter again.
      if (!statuses.some(({ uuid }) => uuid === call.update.status.uuid)) statuses.push(call.update.status);
      acknowledged(call.update.status);
    }
    response.writeHead(202).end();
  };
  let server: Server;
  const listen = (port: number) =>
    new Promise<number>((resolve, reject) => {
      server = createServer((request, response) => void handle(request, response));
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const goAway = () =>
    new Promise<void>(resolve => {
      stream = undefined;
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const port = await listen(0);
  t.teardown(goAway);

  const of = (id: string) => statuses.filter(status => status.task_id.value === id);
  return {
    port,
    calls: () => calls,
    statuses: () => statuses,
    states: (id = task_id) => of(id).map(({ state }) => state),
    status: (state, id = task_id, nth = 1) =>
      until(
        `${state} of ${id} (seen: ${statuses.map(one => one.state).join()})`,
        () => of(id).filter(one => one.state === state)[nth - 1],
      ),
    subscribed: times =>
      until(`subscription ${times}`, () => {
        const call = calls.filter(one => one.type === 'SUBSCRIBE')[times - 1];
        return subscriptions >= times && call?.type === 'SUBSCRIBE' ? call.subscribe : undefined;
      }),
    send,
    launch: (...tasks) => send(...tasks.map(task => ({ type: 'LAUNCH' as const, launch: { task } }))),
    kill: (id, grace_ms) =>
      send({
        type: 'KILL',
        kill: {
          task_id: { value: id },
          ...(grace_ms === undefined ? {} : { kill_policy: { grace_period: { nanoseconds: grace_ms * 1e6 } } }),
        },
      }),
    answer: (status, text = 'as the test wants it') => {
      answer = status;
      words = text;
    },
    acknowledge: whether => {
      acknowledges = whether;
    },
    goAway,
    comeBack: async () => void (await listen(port)),
    hangUp() {
      stream?.end();
      stream = undefined;
    },
    async sendBytes(bytes, at_a_time) {
      for (let at = 0; at < bytes.length; at += at_a_time)
        await new Promise(resolve => stream!.write(bytes.subarray(at, at + at_a_time), resolve));
    },
    authorizations: () => authorizations,
  };
}

/** A task as a scheduler would launch it. */
export function taskInfo(task: object, more: Partial<LaunchDocument> = {}, info: Partial<TaskInfo> = {}): TaskInfo {
  const data = launchData({ format: 1, task, instance: 0, user: 'www', ports: {}, ...more });
  return { name: 'test', task_id: { value: task_id }, agent_id: { value: 'A-1' }, resources: [], data, ...info };
}

export const reportIn = ({ data }: TaskStatus): TaskReport =>
  JSON.parse(Buffer.from(data!, 'base64').toString('utf8')) as TaskReport;
