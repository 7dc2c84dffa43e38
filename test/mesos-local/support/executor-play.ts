// executor-play.ts: a recorded conversation with executors, held again: scheduler and executors by hand, processes on paper.
//
// Everything that was said to the real Mesos is said to ours over HTTP, in the order in which it was said, at its second of a
// simulated clock. Processes are the recording's: they start and end when theirs did, unless our agent kills them first.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { executor_settings } from '../../../mesos/local/agent-options.ts';
import { type ExecutorHost, hostExecutors } from '../../../mesos/local/executor-host.ts';
import type { ExecutorProcesses, RunEnd } from '../../../mesos/local/executor-process.ts';
import { listenForExecutors, serveExecutors } from '../../../mesos/local/executor-server.ts';
import { claimsOf, keepTokenKey, tokenOf } from '../../../mesos/local/executor-token.ts';
import { hostMaster } from '../../../mesos/local/host.ts';
import { listen, serveMaster } from '../../../mesos/local/server.ts';
import { keepPort, portBefore } from '../../../mesos/local/work-dir.ts';
import { simulatedClock } from '../../../schedules/clock.ts';
import { until } from '../../support/until.ts';
import { type Json, post } from './client.ts';
import { silent } from './machine.ts';

const folder = join(import.meta.dirname, '..', '..', 'data', 'executors');
export const readPlay = (name: string): Json[] =>
  gunzipSync(readFileSync(join(folder, `${name}.jsonl.gz`)))
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));

/** Everything that is told: by whom it was heard, on which of his streams. */
export type Heard = { readonly who: string; readonly stream: string; readonly events: Json[]; ended: boolean };
export type PlayedCall = {
  readonly who: string;
  readonly label: string;
  readonly status: number;
  readonly text: string;
};

export type PlayOptions = {
  /** Calls that are not made again, by label: what they ask for is not ours to give. */
  readonly skip?: RegExp;
  readonly settings?: Partial<typeof executor_settings>;
};

const step_ms = 100;
const patience_ms = 60_000;
/** Ports tell the two recorded agents apart. */
const port_ranges = [
  [31000, 31499],
  [31500, 32000],
] as const;
const resourcesOf = ([begin, end]: readonly [number, number]) =>
  [
    { name: 'ports', type: 'RANGES', ranges: { range: [{ begin, end }] } },
    { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 4096 } },
    { name: 'disk', type: 'SCALAR', scalar: { value: 10_000 } },
  ] as const;

export async function play(t: ExecutionContext, name: string, options: PlayOptions = {}) {
  const lines = readPlay(name);
  const steps = lines.filter(line => line.is !== 'heard');
  const recorded: Heard[] = lines.filter(line => line.is === 'heard');
  const theirs = recorded.filter(({ who }) => who === 'scheduler').flatMap(({ events }) => events);
  const their_offers: Json[] = theirs.flatMap(({ offers }) => offers?.offers ?? []);
  const clock = simulatedClock(Date.UTC(2026, 10, 22));
  const begun = clock.now();
  const host = hostMaster(clock, { ids_prefix: 'ours', allocation_interval_ms: 1000 });
  const master = serveMaster(await listen(), { host, log: silent, credentials: [] });
  const ids = new Map<string, string>();
  const heard: Heard[] = [];
  const answers: PlayedCall[] = [];
  const replies: PlayedCall[] = [];

  // --- agents -------------------------------------------------------------------------------------------------------

  type Agent = Awaited<ReturnType<typeof openAgent>>;
  /** What really runs, whoever looks after it: outlives the agents. */
  const running = new Map<string, { executor: string; agent: string; begun: boolean; ended: number | undefined }>();
  const agents = new Map<string, Agent>();
  const work_dirs: string[] = [];

  async function openAgent(index: number, work_dir: string) {
    const id = `ours-agent-${index}`;
    const door = await listenForExecutors(work_dir);
    keepPort(work_dir, door.port);
    const settings = { ...executor_settings, authentication: false, ...options.settings };
    const key = settings.authentication ? keepTokenKey(work_dir) : undefined;
    const info = { id, hostname: '127.0.0.1', resources: resourcesOf(port_ranges[index]!), attributes: attributes };
    let ended: (container_id: string, end: RunEnd) => void = () => {};
    const executors: ExecutorHost = hostExecutors({
      ...settings,
      agent: info,
      port: door.port,
      boot: 'this boot',
      work_dir,
      clock,
      log: silent,
      master: host,
      tokenFor:
        key === undefined
          ? undefined
          : claims => {
              const token = tokenOf(key, claims);
              tokens.set(claims.eid, token);
              return token;
            },
      processes(tell): ExecutorProcesses {
        ended = tell.exited;
        return {
          start({ container_id, environment }) {
            const executor = environment('/').MESOS_EXECUTOR_ID!;
            running.set(container_id, { executor, agent: id, begun: false, ended: undefined });
          },
          adopt({ container_id }) {
            const status = running.get(container_id)?.ended;
            if (status !== undefined) return { status };
            tell.started(container_id, 1);
            return undefined;
          },
          destroy(container_id) {
            const run = running.get(container_id);
            if (run === undefined || run.ended !== undefined) return;
            run.ended = 9;
            tell.exited(container_id, endOf(container_id, 9));
          },
          raise() {},
          link() {},
          look: () => false,
          lookAtAll() {},
          forget() {},
          close() {},
        };
      },
    });
    const { tasks, executors: present } = executors.report();
    host.register({ id, obey: order => void executors.obey(order) }, info, tasks, present);
    executors.registered();
    const server = serveExecutors(door, {
      executors,
      log: silent,
      claimsOf: key === undefined ? undefined : token => claimsOf(key, token),
    });
    return {
      id,
      executors,
      url: `http://127.0.0.1:${door.port}`,
      ended: (container_id: string, end: RunEnd) => ended(container_id, end),
      begin: (container_id: string) => {
        const run = running.get(container_id);
        if (run !== undefined) run.begun = true;
      },
      async close() {
        host.agentGone(id);
        executors.close();
        await server.close();
      },
    };
  }
  const attributes = [
    { name: 'rack', type: 'TEXT', text: { value: 'a' } },
    { name: 'zone', type: 'TEXT', text: { value: 'z1' } },
  ] as const;
  const tokens = new Map<string, string>();
  const endOf = (container_id: string, status: number): RunEnd => {
    const begun = running.get(container_id)?.begun === true;
    if (begun || (status !== 9 && status !== 256)) return { status };
    const how = status === 9 ? 'terminated with signal Killed' : 'exited with status 1';
    return { status, launch_failure: `Failed to fetch all URIs for container '${container_id}': ${how}` };
  };

  for (const index of port_ranges.keys()) {
    const work_dir = mkdtempSync(join(tmpdir(), 'horae-play-'));
    mkdirSync(work_dir, { recursive: true });
    work_dirs.push(work_dir);
    const agent = await openAgent(index, work_dir);
    agents.set(agent.id, agent);
  }
  const ourAgent = (their: string): string | undefined => {
    const begin = their_offers
      .find(({ agent_id }) => agent_id.value === their)
      ?.resources.find(({ name }: Json) => name === 'ports')?.ranges.range[0].begin;
    return begin === undefined ? undefined : `ours-agent-${port_ranges.findIndex(([first]) => first === begin)}`;
  };
  for (const { agent_id } of their_offers) {
    const our = ourAgent(agent_id.value);
    if (our !== undefined) ids.set(agent_id.value, our);
  }

  // --- time and words -----------------------------------------------------------------------------------------------

  /** Lets what is under way arrive: an answer to a question comes after what was said before. */
  const settle = async () => {
    // What is to be started is written to a real disk first.
    await until('executors to be started', () =>
      [...agents.values()].every(
        ({ id, executors }) =>
          executors.running() <=
          [...running.values()].filter(run => run.agent === id && run.ended === undefined).length,
      ),
    );
    for (const url of [master.url, ...[...agents.values()].map(agent => agent.url)])
      await post({ url, credentials: undefined }, '', {}, { method: 'GET', path: '/health' });
  };
  const tick = async (ms: number) => {
    clock.advanceTo(clock.now() + ms);
    await settle();
  };
  const within = async (what: string, done: () => boolean) => {
    for (const start = clock.now(); !done(); await tick(step_ms))
      if (clock.now() - start > patience_ms) throw new Error(`waited ${patience_ms} ms of ${name} in vain for ${what}`);
  };
  const longestFirst = (one: string, other: string) => other.length - one.length;
  const toOurs = (text: string) => {
    let changed = text;
    for (const their of [...ids.keys()].sort(longestFirst))
      changed = changed.replaceAll(their, `\u0000${ids.get(their)}\u0000`);
    return changed.replaceAll('\u0000', '');
  };
  const toTheirs = (text: string) => {
    let changed = text;
    for (const [their, our] of [...ids].sort(([, one], [, other]) => longestFirst(one, other)))
      changed = changed.replaceAll(our, their);
    return changed;
  };

  /** Opens a stream that listens until it is closed. */
  const listenTo = async (who: string, stream: string, url: string, path: string, headers: object, body: Json) => {
    const mine: Heard = { who, stream, events: [], ended: false };
    const opened = await new Promise<{ status: number; text: string; stream_id: string; close: () => void }>(
      (resolve, reject) => {
        const { hostname, port } = new URL(url);
        const request = http.request(
          { hostname, port, method: 'POST', path, agent: false, headers: { ...headers } },
          response => {
            let buffer = Buffer.alloc(0);
            const stream_id = String(response.headers['mesos-stream-id']);
            const close = () => response.destroy();
            if (response.statusCode === 200) {
              heard.push(mine);
              resolve({ status: 200, text: '', stream_id, close });
            }
            response.on('data', part => {
              buffer = Buffer.concat([buffer, part]);
              if (response.statusCode !== 200) return;
              for (let cut = buffer.indexOf(10); cut >= 0; cut = buffer.indexOf(10)) {
                const length = Number(buffer.subarray(0, cut).toString());
                if (buffer.length < cut + 1 + length) return;
                mine.events.push(JSON.parse(buffer.subarray(cut + 1, cut + 1 + length).toString()));
                buffer = buffer.subarray(cut + 1 + length);
              }
            });
            const over = () => {
              mine.ended = true;
              resolve({ status: response.statusCode ?? 0, text: buffer.toString(), stream_id, close });
            };
            response.on('end', over);
            response.on('error', over);
          },
        );
        request.on('error', reject);
        request.end(JSON.stringify(body));
      },
    );
    return opened;
  };

  // --- the scheduler ------------------------------------------------------------------------------------------------

  const open_streams = new Map<string, { stream_id: string; close: () => void }>();
  let stream_id = '';
  const ourEvents = () => heard.filter(({ who }) => who === 'scheduler').flatMap(({ events }) => events);
  const ourOffers = (): Json[] => ourEvents().flatMap(({ offers }) => offers?.offers ?? []);
  const spent = new Set<string>();
  const cpusOf = (offer: Json) => offer.resources.find(({ name }: Json) => name === 'cpus')?.scalar.value ?? 0;
  const offerFor = async (their: string) => {
    const offer = their_offers.find(({ id }) => id.value === their);
    if (offer === undefined || ids.has(their)) return;
    const agent = ids.get(offer.agent_id.value);
    const ours = () => ourOffers().filter(({ id, agent_id }) => agent_id.value === agent && !spent.has(id.value));
    const enough = Math.min(cpusOf(offer), 2);
    await within(`an offer of ${agent}`, () => ours().some(each => cpusOf(each) >= enough));
    const best = ours().sort((one, other) => cpusOf(other) - cpusOf(one))[0];
    spent.add(best.id.value);
    ids.set(their, best.id.value);
  };
  const acknowledged = new Set<string>();
  let to_acknowledge: { task: string; state: string }[] = [];
  /** Signs for what has come of that which the recorded scheduler signed for by now. */
  const acknowledge = async () => {
    for (let again = true; again; ) {
      again = false;
      for (const wish of to_acknowledge) {
        const status = ourEvents()
          .filter(({ type }) => type === 'UPDATE')
          .map(({ update }) => update.status)
          .find(
            ({ task_id, state, uuid }) =>
              task_id.value === wish.task && state === wish.state && uuid !== undefined && !acknowledged.has(uuid),
          );
        if (status === undefined) continue;
        to_acknowledge = to_acknowledge.filter(each => each !== wish);
        const { agent_id, task_id, uuid } = status;
        const framework_id = { value: ids.get(framework) };
        const body = { framework_id, type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } };
        const answer = await post({ url: master.url, credentials: undefined }, body, { 'Mesos-Stream-Id': stream_id });
        // One that came too late for a stream is made again on the next.
        if (answer.status === 202) acknowledged.add(status.uuid);
        await settle();
        again = true;
        break;
      }
    }
  };
  /** The recorded id of the framework that speaks at present. */
  let framework = '';

  // --- the steps ----------------------------------------------------------------------------------------------------

  const executorOf = (who: string) => who.replace(/\.\d+$/, '');
  const agentOf = (who: string): Agent | undefined => {
    const said = steps.find(step => step.who === who && /"agent_id"/.test(step.body ?? ''));
    const their = said === undefined ? undefined : JSON.parse(said.body).update?.status.agent_id?.value;
    return agents.get((their === undefined ? undefined : ids.get(their)) ?? 'ours-agent-0');
  };
  /** The last run of that executor on that agent. */
  const runOf = (who: string, agent: string) =>
    [...running].filter(([, run]) => run.executor === executorOf(who) && run.agent === agent).at(-1);
  const authorized = (who: string, headers: Record<string, string>): Record<string, string> => {
    const { authorization } = headers;
    if (authorization === undefined || !/^bearer eyJ/i.test(authorization)) return headers;
    // Their token of this executor is ours of it.
    return { ...headers, authorization: `${authorization.split(' ')[0]} ${tokens.get(executorOf(who))}` };
  };

  const perform = async (step: Json): Promise<void> => {
    switch (step.is) {
      case 'killed':
        await agents.get('ours-agent-0')!.close();
        agents.delete('ours-agent-0');
        return;
      case 'back':
        if (portBefore(work_dirs[0]!) === undefined) throw new Error('the agent has forgotten its port');
        agents.set('ours-agent-0', await openAgent(0, work_dirs[0]!));
        return;
      case 'start': {
        const agent = agentOf(step.who)!;
        await within(`the start of ${step.who}`, () => runOf(step.who, agent.id) !== undefined);
        agent.begin(runOf(step.who, agent.id)![0]);
        return;
      }
      case 'exit':
      case 'exited': {
        const agent = step.agent === undefined ? (agentOf(step.who)?.id ?? 'ours-agent-0') : ids.get(step.agent);
        const found = runOf(step.who, agent ?? '');
        if (found === undefined || found[1].ended !== undefined) return;
        found[1].ended = step.status;
        agents.get(found[1].agent)?.ended(found[0], endOf(found[0], step.status));
        return;
      }
      case 'close':
        open_streams.get(step.who)?.close();
        return;
      case 'acknowledge':
        to_acknowledge.push({ task: step.task, state: step.state });
        return;
      case 'subscribe': {
        const url = step.who === 'scheduler' ? master.url : agentOf(step.who)!.url;
        const path = step.who === 'scheduler' ? '/api/v1/scheduler' : '/api/v1/executor';
        const json = { 'content-type': 'application/json', accept: 'application/json' };
        const headers = authorized(step.who, { ...json, ...step.headers });
        const body = JSON.parse(toOurs(JSON.stringify(step.body)));
        const opened = await listenTo(step.who, step.stream, url, path, headers, body);
        open_streams.set(step.who, opened);
        await settle();
        const [their, our] = [recorded, heard].map(all =>
          all.findLast(({ who, stream }) => who === step.who && stream === step.stream),
        );
        const [their_first, our_first] = [their?.events[0], our?.events[0]];
        if (step.who === 'scheduler') {
          stream_id = opened.stream_id;
          framework = their_first.subscribed.framework_id.value;
          ids.set(framework, our_first.subscribed.framework_id.value);
        } else {
          const label = step.stream;
          answers.push({ who: step.who, label, status: step.status, text: step.text });
          replies.push({ who: step.who, label, status: opened.status, text: toTheirs(opened.text) });
          const container = their_first?.subscribed?.container_id.value;
          if (container !== undefined && our_first?.subscribed !== undefined)
            ids.set(container, our_first.subscribed.container_id.value);
        }
        return;
      }
      case 'call': {
        if (step.who === 'scheduler')
          for (const { value } of bodyOf(step)?.accept?.offer_ids ?? bodyOf(step)?.decline?.offer_ids ?? [])
            await offerFor(value);
        const url = step.who === 'scheduler' ? master.url : agentOf(step.who)!.url;
        const sent: Record<string, string | undefined> = {
          'Content-Type': step.headers['content-type'],
          Accept: step.headers.accept,
        };
        if (step.who === 'scheduler') sent['Mesos-Stream-Id'] = stream_id;
        else if (step.headers.authorization !== undefined)
          sent.Authorization = authorized(step.who, step.headers).authorization;
        const { method, path, who, label, status, text } = step;
        if (status === 200 && bodyOf(step)?.type === 'SUBSCRIBE') {
          // It takes somebody's stream, so it never ends by itself.
          const body = JSON.parse(toOurs(step.body));
          const opened = await listenTo(`${who} as another`, label, url, path, authorized(who, step.headers), body);
          t.is(opened.status, 200, label);
          opened.close();
          return;
        }
        const answer = await post({ url, credentials: undefined }, toOurs(step.body), sent, { method, path });
        answers.push({ who, label, status, text });
        replies.push({ who, label, status: answer.status, text: toTheirs(answer.text) });
        return;
      }
    }
  };
  const bodyOf = (step: Json): Json => {
    try {
      return JSON.parse(step.body);
    } catch {
      return undefined; // Broken on purpose.
    }
  };

  t.teardown(async () => {
    for (const { close } of open_streams.values()) close();
    for (const agent of agents.values()) await agent.close();
    host.close();
    await master.close();
    for (const work_dir of work_dirs) rmSync(work_dir, { recursive: true, force: true });
  });

  // --- from the top -------------------------------------------------------------------------------------------------

  for (const step of steps) {
    if (step.is === 'call' && options.skip?.test(step.label)) continue;
    if (clock.now() - begun < step.at_ms) {
      await tick(begun + step.at_ms - clock.now());
      await acknowledge();
    }
    await perform(step);
    await settle();
    await acknowledge();
  }
  for (let more_ms = 0; more_ms < 3_000; more_ms += 1_000) {
    await tick(1_000);
    await acknowledge();
  }
  return {
    answers,
    replies,
    recorded,
    heard: heard.map(each => ({ ...each, events: JSON.parse(toTheirs(JSON.stringify(each.events))) as Json[] })),
  };
}
