// host.ts: the house in which one master lives: brings it its inputs and carries out what it says.
//
// The master decides, here it is done: events go to the streams, orders to the agents, wakes to the clock. An input that
// comes up while an earlier one is still being carried out waits its turn, so nobody ever sees two half-done turns.

import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Event } from '../protocol.ts';
import { transition } from './master.ts';
import { createMaster, type Master, type MasterOptions } from './master-state.ts';
import type {
  AgentInfo,
  AgentUpdate,
  ExecutorEnd,
  ExecutorMessage,
  LocalAgent,
  MasterInput,
  OperatorWish,
  ReportedExecutor,
  ReportedTask,
} from './messages.ts';

/** The far end of a subscription. */
export type Stream = {
  readonly id: string;
  readonly events: (events: readonly Event[]) => void;
  /** Nothing comes after this. */
  readonly closed: () => void;
};

export type Answer = { readonly status: number; readonly text: string };

export interface MasterHost {
  readonly master: Master;
  /** Announces a stream, then asks for it; the answer comes before the first event. */
  subscribe(
    stream: Stream,
    request: Extract<MasterInput, { type: 'subscribe' }>['request'],
    answer: (answer: Answer) => void,
  ): void;
  call(
    stream: string | undefined,
    call: Extract<MasterInput, { type: 'call' }>['call'],
    answer: (answer: Answer) => void,
    /** Who calls, when he had to say so. */
    caller?: string,
  ): void;
  /** The far end is gone. */
  streamClosed(id: string): void;
  register(
    agent: LocalAgent,
    info: AgentInfo,
    tasks: readonly ReportedTask[],
    executors?: readonly ReportedExecutor[],
  ): void;
  agentGone(id: string): void;
  updates(agent: string, updates: readonly AgentUpdate[]): void;
  executorEnded(agent: string, ended: ExecutorEnd): void;
  executorMessage(agent: string, message: ExecutorMessage): void;
  /** What an operator would do: for tests and simulations. */
  operate(wish: OperatorWish): void;
  /** Stops the clock, and says no more to anybody. */
  close(): void;
}

export function hostMaster(clock: Clock, options: Partial<MasterOptions> & { ids_prefix: string }): MasterHost {
  const master = createMaster(options);
  const streams = new Map<string, Stream>();
  const agents = new Map<string, LocalAgent>();
  const waiting: { input: MasterInput; answer?: (answer: Answer) => void }[] = [];
  let busy = false;
  let open = true;
  let wake: Wake | undefined;

  const submit = (input: MasterInput, answer?: (answer: Answer) => void) => {
    if (!open) return;
    waiting.push(answer === undefined ? { input } : { input, answer });
    if (busy) return;
    busy = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) carryOut(next.input, next.answer);
    } finally {
      busy = false;
    }
  };

  const carryOut = (input: MasterInput, answer: ((answer: Answer) => void) | undefined) => {
    let last: Answer | undefined;
    for (const output of transition(master, input, clock.now())) {
      if (!open) return;
      switch (output.type) {
        case 'answer':
          // A subscription is answered before its events; any other call after everything that came of it.
          if (input.type === 'subscribe') answer?.(output);
          else last = output;
          break;
        case 'events':
          streams.get(output.stream)?.events(output.events);
          break;
        case 'close':
          streams.get(output.stream)?.closed();
          streams.delete(output.stream);
          break;
        case 'order':
          agents.get(output.agent)?.obey(output.order);
          break;
        case 'wake':
          wake?.cancel();
          wake = clock.wakeAt(output.at, () => submit({ type: 'woken' }));
          break;
      }
    }
    if (last !== undefined) answer?.(last);
  };

  return {
    master,
    subscribe(stream, request, answer) {
      streams.set(stream.id, stream);
      submit({ type: 'subscribe', stream: stream.id, request }, answer);
    },
    call: (stream, call, answer, caller) =>
      submit(caller === undefined ? { type: 'call', stream, call } : { type: 'call', stream, call, caller }, answer),
    streamClosed(id) {
      if (streams.delete(id)) submit({ type: 'stream-closed', stream: id });
    },
    register(agent, info, tasks, executors) {
      agents.set(agent.id, agent);
      submit({ type: 'agent-registered', agent: info, tasks, ...(executors === undefined ? {} : { executors }) });
    },
    agentGone(id) {
      agents.delete(id);
      submit({ type: 'agent-gone', agent: id });
    },
    updates: (agent, updates) => submit({ type: 'updates', agent, updates }),
    executorEnded: (agent, ended) => submit({ type: 'executor-ended', agent, ended }),
    executorMessage: (agent, message) => submit({ type: 'executor-said', agent, message }),
    operate: wish => submit({ type: 'operator', wish }),
    close() {
      open = false;
      wake?.cancel();
    },
  };
}
