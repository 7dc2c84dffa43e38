// weather.ts: carries out what the plan says, one fault after the other, and writes down when each began and ended.
//
// What is noted beside a fault is what a failover is measured from: the moment at which the leader was hit, and the moment
// at which ZooKeeper had a majority again, or there was a node to lead.

import { until } from '../support/until.ts';
import { type Cable, type Member, operationOf, operations } from '../support/zookeeper.ts';
import { type Field, type Node, someLeader } from './field.ts';
import type { Fault, Harm, Step } from './plan.ts';

export type Event = {
  readonly fault: Fault;
  readonly from_ms: number;
  readonly to_ms: number;
  /** The node that was hit. */
  readonly node?: string;
  /** When the one that led lost the power to lead, if that is what the fault does. */
  readonly leader_hit_ms?: number;
  /** When what nobody can lead without was there again: a majority of ZooKeeper, or a node. */
  readonly back_ms?: number;
  readonly mesos_back_ms?: number;
};
export type Weather = {
  readonly events: readonly Event[];
  readonly skipped: readonly string[];
  /** Why there were no more faults before time was over. */
  readonly broken?: string;
};

const leader_ms_max = 180_000;
/** A machine that is asked for much, or stands still for a while, starts its servers when it can. */
const serving_ms_max = 180_000;
const calm_ms_max = 180_000;
/** A commit that places an instance comes with every target. */
const catch_ms_max = 20_000;

export async function rage(
  field: Field,
  steps: Iterator<Step>,
  over: () => boolean,
  session_ms: number,
  say: (line: string) => void,
): Promise<Weather> {
  const events: Event[] = [];
  const skipped: string[] = [];
  while (!over()) {
    const { value: step, done } = steps.next();
    if (done === true) break;
    const { fault, rest_ms, calm } = step;
    let event: Event | undefined;
    try {
      event = await perform(field, fault, session_ms);
      if (calm) await someLeader(field, calm_ms_max);
    } catch (error) {
      // What has been seen up to here is judged all the same.
      const broken = `${wordsOf(fault)}: ${error instanceof Error ? error.message : String(error)}`;
      say(broken);
      return { events, skipped, broken };
    }
    if (event === undefined) skipped.push(fault.kind);
    else events.push(event);
    say(`${wordsOf(fault)}${event === undefined ? ': could not be done' : ` ${event.node ?? ''}`}`);
    if (over()) break;
    await pause(rest_ms);
  }
  return { events, skipped };
}

export const wordsOf = (fault: Fault): string => {
  const { kind, for_ms, ...rest } = fault;
  return `${[kind, ...Object.values(rest)].join(' ')}${for_ms === 0 ? '' : ` for ${(for_ms / 1_000).toFixed(1)} s`}`;
};

type Noted = Omit<Event, 'fault' | 'from_ms' | 'to_ms'>;

/** Resolves when it is over and mended; undefined when it could not be done. */
async function perform(field: Field, fault: Fault, session_ms: number): Promise<Event | undefined> {
  let from_ms = Date.now();
  const begin = () => {
    from_ms = Date.now();
    return from_ms;
  };
  const noted = await carryOut(field, fault, session_ms, begin);
  return noted && { fault, from_ms, to_ms: Date.now(), ...noted };
}

async function carryOut(
  field: Field,
  fault: Fault,
  session_ms: number,
  begin: () => number,
): Promise<Noted | undefined> {
  const { members } = field.zookeeper;
  switch (fault.kind) {
    case 'kill-leader':
    case 'kill-standby': {
      const node = await chosen(field, fault.kind === 'kill-leader');
      const at = begin();
      await node.kill();
      await pause(fault.for_ms);
      await node.start();
      return hit(node, fault.kind === 'kill-leader', at);
    }
    case 'pause-leader':
    case 'pause-standby': {
      const node = await chosen(field, fault.kind === 'pause-leader');
      const at = begin();
      node.pause();
      await pause(fault.for_ms);
      node.resume();
      return hit(node, fault.kind === 'pause-leader', at);
    }
    case 'pause-before-accept': {
      const node = await chosen(field, true);
      const caught = await pauseAfterCommit(node);
      if (!caught) return undefined;
      const at = begin();
      await pause(fault.for_ms);
      node.resume();
      return hit(node, true, at);
    }
    case 'kill-member': {
      begin();
      const member = members[fault.member]!;
      await member.kill();
      await pause(fault.for_ms);
      await member.start();
      await served([member]);
      return {};
    }
    case 'pause-member': {
      begin();
      const member = members[fault.member]!;
      member.freeze();
      await pause(fault.for_ms);
      member.thaw();
      await served([member]);
      return {};
    }
    case 'kill-quorum': {
      begin();
      await Promise.all(members.map(member => member.kill()));
      await pause(fault.for_ms);
      return { back_ms: await raise(field) };
    }
    case 'kill-leader-in-the-dark': {
      const node = await chosen(field, true);
      begin();
      await Promise.all(members.map(member => member.kill()));
      await pause(fault.for_ms / 2);
      const at = Date.now();
      await node.kill();
      await pause(fault.for_ms / 2);
      const back_ms = await raise(field);
      await node.start();
      return { ...hit(node, true, at), back_ms };
    }
    case 'kill-nodes': {
      const node = await chosen(field, true);
      const at = begin();
      await Promise.all(field.nodes.map(each => each.kill()));
      await pause(fault.for_ms);
      const starting = field.nodes.map(each => each.start());
      await Promise.race(starting);
      const back_ms = Date.now();
      await Promise.all(starting);
      return { ...hit(node, true, at), back_ms };
    }
    case 'isolate-leader': {
      const node = await chosen(field, true);
      const at = begin();
      for (const cable of [...node.cables, node.wire, node.link]) cable.stall();
      await pause(fault.for_ms);
      for (const cable of [...node.cables, node.wire, node.link]) cable.mend();
      return hit(node, true, at);
    }
    case 'unplug-leader':
    case 'unplug-standby': {
      const node = await chosen(field, fault.kind === 'unplug-leader');
      if (node.unplug === undefined || node.plug === undefined) return undefined;
      const at = begin();
      await node.unplug();
      await pause(fault.for_ms);
      await node.plug();
      return hit(node, fault.kind === 'unplug-leader', at);
    }
    case 'cut-zookeeper': {
      const node = await chosen(field, fault.whom === 'leader');
      const at = begin();
      for (const cable of node.cables) harm(cable, fault.harm);
      if (fault.harm !== 'break') await pause(fault.for_ms);
      for (const cable of node.cables) cable.mend();
      return hit(node, fault.whom === 'leader' && fault.harm !== 'break' && fault.for_ms > session_ms / 2, at);
    }
    case 'cut-mesos': {
      const node = await chosen(field, true);
      begin();
      harm(node.wire, fault.harm);
      if (fault.harm !== 'break') await pause(fault.for_ms);
      node.wire.mend();
      return { node: node.id, mesos_back_ms: Date.now() };
    }
    case 'cut-links': {
      const node = await chosen(field, true);
      begin();
      harm(node.link, fault.harm);
      if (fault.harm !== 'break') await pause(fault.for_ms);
      node.link.mend();
      return { node: node.id };
    }
    case 'kill-mesos':
      begin();
      await field.killMesos();
      await pause(fault.for_ms);
      await field.startMesos();
      return { mesos_back_ms: Date.now() };
    case 'transfer': {
      const node = await chosen(field, true);
      const at = begin();
      const answer = await node.api.request('POST', '/api/v1/leader/transfer').catch(() => undefined);
      return answer?.status === 202 ? hit(node, true, at) : undefined;
    }
  }
}

/** Starts all ZooKeeper servers, and resolves with when most of them served, once all do. */
async function raise({ zookeeper: { members } }: Field): Promise<number> {
  await Promise.all(members.map(member => member.start()));
  const back_ms = await until(
    'a majority of ZooKeeper servers',
    async () => {
      const modes = await Promise.all(members.map(member => member.mode()));
      return modes.filter(mode => mode !== undefined).length * 2 > members.length && Date.now();
    },
    serving_ms_max,
  );
  await served(members);
  return back_ms;
}

const served = (members: readonly Member[]) =>
  until(
    'ZooKeeper servers to serve',
    async () => !(await Promise.all(members.map(member => member.mode()))).includes(undefined),
    serving_ms_max,
  );

const hit = (node: Node, led: boolean, at: number): Noted => ({
  node: node.id,
  ...(led ? { leader_hit_ms: at } : {}),
});

/** Who leads, or one of those who do not. */
async function chosen(field: Field, leads: boolean): Promise<Node> {
  const leader = await someLeader(field, leader_ms_max);
  return leads ? leader : field.nodes.find(node => node !== leader)!;
}

/** The node is the client at the cable. */
function harm(cable: Pick<Cable, 'breakAll' | 'cut' | 'stall'>, how: Harm): void {
  if (how === 'break') cable.breakAll();
  else if (how === 'cut') cable.cut();
  else if (how === 'stall') cable.stall();
  else cable.stall(how === 'mute' ? 'to-server' : 'to-client');
}

/**
 * Stops a leader when ZooKeeper's yes to a commit with an instance that has a place now is at its door: the ACCEPT of that
 * instance is to leave next. Resolves with whether it came to that.
 */
async function pauseAfterCommit(node: Node): Promise<boolean> {
  let caught = false;
  for (const cable of node.cables) {
    const awaited = new Set<number>();
    cable.judge = (frame, direction) => {
      const number = frame.readInt32BE(4);
      if (direction === 'to-server') {
        if (operationOf(frame) === operations.multi && frame.includes('assigned')) awaited.add(number);
      } else if (!caught && awaited.has(number)) {
        caught = true;
        node.pause();
      }
      return 'pass';
    };
  }
  await until('a commit that places an instance', () => caught, catch_ms_max).catch(() => undefined);
  for (const cable of node.cables) cable.judge = undefined;
  return caught;
}

const pause = (ms: number) => new Promise<void>(resume => void setTimeout(() => resume(), ms));
