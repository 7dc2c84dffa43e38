// mesos.ts: the simulated Mesos of a cluster: one master, agents on which nothing runs, and cables to them that can break.
//
// The master and its agents are those of mesos/local/. A node's link goes over the simulated network, so its calls may
// arrive after it has died, events may be told again, and silence may be all that a node hears. What really happened on
// the agents is told to whoever watches: it is the truth that the records are held against.

import { hostMaster, type MasterHost } from '../../mesos/local/host.ts';
import { type LocalLink, localLink } from '../../mesos/local/link.ts';
import { resourcesFor } from '../../mesos/local/simulated.ts';
import { type Fleet, lifeOfCommand, simulatedFleet } from '../../mesos/local/simulated-agent.ts';
import {
  type CallAnswer,
  type LinkEnd,
  type LinkListener,
  type MesosLink,
  type TaskInfo,
  terminal_states,
} from '../../mesos/protocol.ts';
import type { Agenda } from './agenda.ts';
import type { Process } from './machine.ts';
import type { Network } from './network.ts';

export const agent_cpus = 4;
export type Mesos = {
  readonly host: MasterHost;
  readonly fleet: Fleet;
  /** The way of one process to the master. */
  readonly link: (process: Process, place: string) => MesosLink;
};
export type Witness = {
  readonly launched: (task: TaskInfo, agent: string) => void;
  readonly ended: (task_id: string) => void;
};

/** As the settings of the real link have it: what is silent for longer is taken for dead. */
const silence_ms_max = 75_000;
const subscribe_ms_max = 20_000;
const call_ms_max = 30_000;
/** How long the master takes to notice that the other end of a connection is gone. */
const notice_ms_max = 2_000;

export function createMesos(
  agenda: Agenda,
  network: Network,
  random: () => number,
  agents: number,
  witness: Witness,
): Mesos {
  const origin = agenda.now();
  const clock = {
    now: () => Math.floor(agenda.now()),
    monotonic: () => agenda.now() - origin,
    wakeAt: (at: number, callback: () => void) => agenda.at(at, callback),
  };
  const host = hostMaster(clock, { ids_prefix: 'sim' });
  let agent_turn = 0;
  // Orders to the agents and what they say come one after the other.
  const defer = (work: () => void) => {
    agent_turn = Math.max(agent_turn, agenda.now() + random() * 3);
    agenda.at(agent_turn, work);
  };
  const fleet = simulatedFleet(
    {
      ...host,
      // What happened while an agent was away is told when it comes back.
      register(agent, info, tasks, executors) {
        for (const { task_id, state, pending } of tasks)
          if (terminal_states.has(state) || pending.some(each => terminal_states.has(each.state)))
            witness.ended(task_id);
        host.register(agent, info, tasks, executors);
      },
      updates(agent, updates) {
        for (const { status } of updates) if (terminal_states.has(status.state)) witness.ended(status.task_id.value);
        host.updates(agent, updates);
      },
    },
    clock,
    defer,
    {
      agents,
      ids_prefix: 'sim',
      resources: () => resourcesFor({ cpus: agent_cpus, mem: 8_192, disk: 10_000, ports: [31_000, 31_099] }),
      life(task) {
        const agent = (task as { readonly agent_id?: { readonly value: string } }).agent_id?.value ?? '';
        witness.launched(task, agent);
        return { ...lifeOfCommand(task), start_delay_ms: Math.floor(random() * 400) };
      },
    },
  );
  let streams = 0;

  const link = (process: Process, place: string): MesosLink => {
    const up = network.stream(place, 'mesos');
    const down = network.stream('mesos', place);
    const mine = new Set<string>();
    /** The master as it is seen over the cables. */
    const far: MasterHost = {
      ...host,
      subscribe(stream, request, answer) {
        mine.add(stream.id);
        up.send(() =>
          host.subscribe(
            {
              id: stream.id,
              events: events => down.send(process.entering(() => stream.events(events))),
              closed: () => down.send(process.entering(() => stream.closed())),
            },
            request,
            said => down.send(process.entering(() => answer(said))),
          ),
        );
      },
      call: (stream, call, answer) =>
        up.send(() => host.call(stream, call, said => down.send(process.entering(() => answer(said))))),
      streamClosed: id => up.send(() => host.streamClosed(id)),
    };
    const local = localLink(far, process.post, () => `sim-stream-${streams++}`);
    process.onDeath(() => {
      // What was on its way may still arrive, or a part of it; then the master hears that nobody is there.
      const kept = Math.floor(random() * (up.under_way() + 1));
      up.end(kept);
      down.end();
      agenda.after(random() * notice_ms_max, () => {
        for (const id of mine) host.streamClosed(id);
      });
    });
    return watched(local, process, random);
  };
  return { host, fleet, link };
}

/** Silence ends a subscription, and a call without an answer is of unknown fate; now and then an update is told twice. */
function watched(local: LocalLink, process: Process, random: () => number): MesosLink {
  const { clock } = process;
  let turn = 0;
  return {
    subscribe(request, listener) {
      const mine = ++turn;
      let heard_at = clock.monotonic();
      let limit_ms = subscribe_ms_max;
      const end = (why: LinkEnd) => {
        if (mine !== turn) return;
        turn++;
        local.cut(why);
      };
      const listen = () => {
        if (mine !== turn) return;
        if (clock.monotonic() - heard_at > limit_ms) return end({ why: 'closed', message: 'the stream fell silent' });
        clock.wakeAt(clock.now() + limit_ms / 4, listen);
      };
      const over: LinkListener = {
        events(events) {
          heard_at = clock.monotonic();
          limit_ms = silence_ms_max;
          listener.events(
            events.flatMap(event => (event.type === 'UPDATE' && random() < 0.05 ? [event, event] : [event])),
          );
        },
        ended(why) {
          if (mine === turn) turn++;
          listener.ended(why);
        },
      };
      local.subscribe(request, over);
      listen();
    },
    call: call =>
      new Promise<CallAnswer>(resolve => {
        const late = clock.wakeAt(clock.now() + call_ms_max, () =>
          resolve({ type: 'unknown', message: `no answer within ${call_ms_max} ms` }),
        );
        void local.call(call).then(answer => {
          late.cancel();
          resolve(answer);
        });
      }),
    close() {
      turn++;
      return local.close();
    },
  };
}
