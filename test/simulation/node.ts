// node.ts: one node of the simulated cluster: the real one of programs/node.ts without its door.
//
// Election, session, journal, copy of the log, keeper, reign, desk and errands are those that `horae serve --zk` is made
// of. What it stands on is simulated: its machine's clock, its disk, the servers of ZooKeeper, Mesos, and the cables.

import { pino } from 'pino';
import type { CommandEnvelope } from '../../actors/model/commands.ts';
import { type SeededRuntime, seededRuntime } from '../../actors/runtime/seeded.ts';
import { record_schemas } from '../../actors/schemas.ts';
import type { MesosLink } from '../../mesos/protocol.ts';
import { createKeeper, type Keeper, type Opened } from '../../programs/keeper.ts';
import type { OpenLetters } from '../../programs/letters.ts';
import { beginReign, type Reigning } from '../../programs/reign.ts';
import { openSession } from '../../programs/session.ts';
import type { Settings } from '../../settings.ts';
import type { Brought, Desk } from '../../transport/cluster/desk.ts';
import { createErrands, type Errands, not_leading, reachedWithin } from '../../transport/cluster/errand.ts';
import type { Journal } from '../../transport/journal/journal.ts';
import { type MemoryJournal, memoryJournal } from '../../transport/journal/memory.ts';
import { openReplica, type Replica } from '../../transport/journal/replica.ts';
import { createMetrics } from '../../transport/metrics.ts';
import type { ZooKeeper } from '../../transport/zookeeper/zookeeper.ts';
import type { Agenda } from './agenda.ts';
import type { Ensemble } from './ensemble.ts';
import type { Machine, Process } from './machine.ts';
import type { Network } from './network.ts';
import type { Exchange } from './office.ts';
import { simulatedZooKeeper } from './zk-client.ts';

/** What a test may put between the parts, to see whether the checks notice. */
export type Meddling = {
  readonly zookeeper?: (zk: ZooKeeper) => ZooKeeper;
  readonly journal?: (journal: Journal, position: number) => Journal;
};
export type NodeWorld = {
  readonly agenda: Agenda;
  readonly network: Network;
  readonly ensemble: Ensemble;
  readonly exchange: Exchange;
  readonly link: (process: Process, place: string) => MesosLink;
  readonly settings: Settings;
  readonly random: () => number;
  readonly meddling: Meddling;
  /** Who is told what becomes of jobs; nobody when left out. */
  readonly letters?: (process: Process) => OpenLetters;
  /** A node says that something is wrong with it, or that it cannot go on. */
  readonly complained: (node: string, line: string) => void;
  readonly trace?: (node: string, line: string) => void;
};
export type SimulatedNode = {
  readonly machine: Machine;
  start(): void;
  /** The process dies; of what it was writing to its disk an unknown part is there. */
  kill(): void;
  /** SIGTERM. Resolves when it has ended. */
  stop(): Promise<void>;
  running(): boolean;
  leads(): boolean;
  transfer(): void;
  /** Whether it takes commands. */
  ready(): boolean;
  submit: Errands['submit'];
  /** The copy of the log here. */
  copy(): Replica | undefined;
};

export const cluster_path = '/horae';
/** Turns of actors that are taken together; between two such turns anything may happen. */
const steps_per_turn_max = 40;
const disk_ms_max = 4;
/** Words of the log that no simulated fault explains. */
const alarming = /crashed|put aside|poison|corrupt|could not be counted|did not end in good order/;

export function createNode(world: NodeWorld, machine: Machine): SimulatedNode {
  const { agenda, ensemble, settings, random } = world;
  const { name } = machine;
  let disk: MemoryJournal = memoryJournal();
  let life = 0;
  let keeper: Keeper | undefined;
  let errands: Errands | undefined;
  let replica: Replica | undefined;

  const start = () => {
    if (machine.process() !== undefined) throw new Error(`${name} runs already: expected it to have ended`);
    const process = machine.start();
    life++;
    process.onDeath(() => {
      keeper = undefined;
      errands = undefined;
      replica = undefined;
    });
    void live(process).catch(error => {
      if (process.alive()) world.complained(name, `could not start: ${error instanceof Error ? error.stack : error}`);
    });
  };

  const live = async (process: Process) => {
    const { clock } = process;
    const log = pino(
      { level: world.trace === undefined ? 'warn' : 'info', base: null },
      {
        write(line: string) {
          if (!process.alive()) return;
          world.trace?.(name, line);
          if (alarming.test(line)) world.complained(name, line.slice(0, 800));
        },
      },
    );
    const metrics = createMetrics();
    const ground = { settings, log, clock, metrics };
    disk = disk.crash(life === 1 ? 0 : disk.durable() + Math.floor(random() * (disk.written() - disk.durable() + 1)), {
      schemas: record_schemas,
      now: clock.now,
      flush: flushed => new Promise(resolve => process.later(random() * disk_ms_max, () => resolve(flushed))),
    });
    const copy = await openReplica({ local: disk, log });
    const link = world.link(process, name);
    let reign: Reigning | undefined;
    const candidate = { id: name, http: `http://${name}`, link: `http://${name}`, version: 'simulated' };
    const desk = (): Desk | undefined => {
      const state = mine.state();
      return state.mode === 'leading' && state.sure ? reign?.desk : undefined;
    };
    world.exchange.open(name, process, async (method, body) => {
      const own = desk();
      if (own === undefined) return not_leading;
      return method === 'command' ? own.command(body as Brought) : own.position();
    });
    const line = world.exchange.line(name, process);
    const engine = {
      runtime: () => pumped(seededRuntime(Math.floor(random() * 2 ** 32)), process, random),
      defer: process.post,
      random,
    };
    const meddled = (opened: Opened): Opened => ({
      ...opened,
      journal: world.meddling.journal?.(opened.journal, opened.position) ?? opened.journal,
    });
    const mine = createKeeper({
      openSession: ended =>
        openSession(
          {
            ...ground,
            servers: 'simulated:1',
            path: cluster_path,
            auth: undefined,
            candidate,
            sign: id => id,
            replica: copy,
            onSize: () => undefined,
            connect(options) {
              const zk = simulatedZooKeeper({
                ensemble,
                process,
                place: name,
                session_timeout_ms: options.session_timeout_ms,
                call_timeout_ms: settings.zk_call_timeout_ms,
                random,
              });
              return world.meddling.zookeeper?.(zk) ?? zk;
            },
          },
          ended,
        ),
      async plant(opened, guard) {
        const made = beginReign({
          ...ground,
          link,
          identity: { name: 'horae', user: 'nobody', hostname: name },
          letters: world.letters?.(process),
          opened: meddled(opened),
          guard,
          history: copy,
          caught_up: copy.reached(opened.position),
          engine,
        });
        const over = <T>(value: T): T => {
          if (reign === made) reign = undefined;
          return value;
        };
        reign = made;
        return {
          resume: made.resume,
          drain: () => made.drain().then(over),
          fell: why => made.fell(over(why)),
        };
      },
      changed() {
        const leader = mine.session()?.leader();
        line.to(leader === undefined || leader.id === name ? undefined : { id: leader.id, url: leader.link });
      },
      entered: () => undefined,
      ended(why) {
        if (why !== undefined) world.complained(name, `the node ended: ${why}`);
        process.post(() => process.die());
      },
      leave_ms_max: settings.leave_ms_max,
      clock,
      log,
    });
    keeper = mine;
    replica = copy;
    errands = createErrands({
      desk,
      line,
      reached: reachedWithin(clock, position => copy.reached(position)),
      wait_ms: settings.leader_wait_ms,
      clock,
    });
    mine.begin();
  };

  return {
    machine,
    start,
    kill: () => machine.process()?.die(),
    async stop() {
      const process = machine.process();
      if (process === undefined) return;
      if (keeper === undefined) return process.die();
      process.post(() => void keeper?.stop());
      await new Promise<void>(resolve => {
        process.onDeath(resolve);
        // Whoever stops a process that does not end kills it in the end.
        agenda.after(settings.leave_ms_max * 3, () => process.die());
      });
    },
    running: () => machine.process() !== undefined,
    leads() {
      const state = keeper?.state();
      return state?.mode === 'leading' && state.sure;
    },
    transfer() {
      const mine = keeper;
      machine.process()?.post(() => {
        if (mine?.state().mode === 'leading') mine.transfer(undefined);
      });
    },
    ready: () => errands !== undefined,
    submit: (envelope: CommandEnvelope) => {
      if (errands === undefined) throw new Error(`${name} takes no commands: expected it to have started`);
      return errands.submit(envelope);
    },
    copy: () => replica,
  };
}

/** Serves the mailboxes of a tree, some at a time, in turns of its process. */
function pumped(runtime: SeededRuntime, process: Process, random: () => number): SeededRuntime {
  let planned = false;
  const stir = () => {
    if (planned) return;
    planned = true;
    process.post(() => {
      planned = false;
      let busy = true;
      for (let steps = 1 + random() * steps_per_turn_max; steps > 0 && busy; steps--) busy = runtime.step();
      if (busy) stir();
    });
  };
  return {
    ...runtime,
    send(to, message) {
      const heard = runtime.send(to, message);
      stir();
      return heard;
    },
    defer(task) {
      runtime.defer(task);
      stir();
    },
  };
}
