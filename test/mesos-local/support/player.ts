// player.ts: holds a recorded conversation again, with our Mesos at the other end, and writes down what is different.
//
// The script's side is sockets, chunks and records by hand. A hand moves the clock from row to row; between two rows
// everything that is to happen by then happens, and has arrived before the next. What our streams say is laid beside the
// recording at once, thread by thread: a thread is what is said of one task, of one agent's offers, of one operation. How
// threads interleave is the business of the machines that were recorded.

import * as http from 'node:http';
import { gunzipSync, gzipSync } from 'node:zlib';
import { hostMaster, type MasterHost } from '../../../mesos/local/host.ts';
import type { MasterOptions } from '../../../mesos/local/master-state.ts';
import { listen, type MasterServer, type MasterServerOptions, serveMaster } from '../../../mesos/local/server.ts';
import { type Fleet, type Life, simulatedFleet } from '../../../mesos/local/simulated-agent.ts';
import { simulatedClock } from '../../../schedules/clock.ts';
import type { Json } from './client.ts';
import { differences, Ids } from './compare.ts';
import { agentsOf, type CallRow, lifeIn, livesOf, offersOf, phaseOf, type Row, returnOf } from './conversation.ts';
import { silent } from './machine.ts';

export type Play = {
  readonly master?: Partial<MasterOptions>;
  readonly server?: Partial<MasterServerOptions>;
  /** Lives that cannot be read from the recording. */
  readonly lives?: Readonly<Record<string, Partial<Life>>>;
  /** Calls that were made to somebody else, or that are no scheduler's. */
  readonly skip?: RegExp;
  /** What an operator did, by the label of his call. */
  readonly operator?: (label: string, host: MasterHost, agents: readonly string[], row: CallRow, ids: Ids) => boolean;
  /** Threads in which more may be said than was. */
  readonly more?: RegExp;
  /** Offers are compared up to here. */
  readonly offers_until_ms?: number;
  /** What happened, and stands in no recording. */
  readonly happened?: readonly Row[];
};

const epoch_ms = 1_795_000_000_000;

export async function play(recorded: readonly Row[], how: Play): Promise<readonly string[]> {
  const rows = rowsOf(recorded, how);
  const found: string[] = [];
  const ids = new Ids();
  const clock = simulatedClock(epoch_ms);
  const work: (() => void)[] = [];
  const agents = agentsOf(rows);
  let masters = 0;

  // --- the other end ------------------------------------------------------------------------------------------------
  let host: MasterHost | undefined;
  let server: MasterServer | undefined;
  /** Messages that left us and have not arrived; the end of a body is one too. */
  let under_way = 0;
  /** A SUBSCRIBE that is refused is a call like others: its body is read to its end. */
  let calling = false;
  const house: MasterHost = {
    get master(): MasterHost['master'] {
      if (host === undefined) throw new Error('the master is dead');
      return host.master;
    },
    subscribe(stream, request, answer) {
      const counted = calling ? 0 : 1;
      host?.subscribe(
        {
          id: stream.id,
          events(events) {
            under_way += counted * events.length;
            stream.events(events);
          },
          closed() {
            under_way += counted;
            stream.closed();
          },
        },
        request,
        answer,
      );
    },
    call: (stream, call, answer, caller) => host?.call(stream, call, answer, caller),
    streamClosed: id => host?.streamClosed(id),
    register: (agent, info, tasks, executors) => host?.register(agent, info, tasks, executors),
    agentGone: id => host?.agentGone(id),
    updates: (agent, updates) => host?.updates(agent, updates),
    executorEnded: (agent, ended) => host?.executorEnded(agent, ended),
    executorMessage: (agent, message) => host?.executorMessage(agent, message),
    operate: wish => host?.operate(wish),
    close: () => host?.close(),
  };
  const startMaster = async (phase_ms: number | undefined) => {
    host = hostMaster(clock, {
      ids_prefix: `ours-${++masters}-aaaabbbbcccc`,
      allocation_interval_ms: 1000,
      ...(phase_ms === undefined ? {} : { allocation_phase_ms: (epoch_ms + phase_ms) % 1000 }),
      ...how.master,
      ...(masters === 1 ? {} : { awaited_agents: fleet.ids }),
    });
    server = serveMaster(await listen(), { log: silent, ...how.server, host: house });
  };
  await startMaster(phaseOf(rows));
  const fleet: Fleet = simulatedFleet(house, clock, each => void work.push(each), {
    agents: agents.length,
    ids_prefix: 'ours-aaaabbbbcccc',
    resources: index => agents[index]!.resources,
    attributes: index => agents[index]!.attributes,
    hostname: () => '127.0.0.1',
    url: index => agents[index]!.url,
    life: lifeIn(livesOf(rows), how.lives ?? {}),
  });
  for (const [index, agent] of agents.entries()) ids.pair(agent.id, fleet.ids[index]!);

  // --- our end ------------------------------------------------------------------------------------------------------
  type Item = { readonly what: Json; readonly at_ms: number };
  /** By stream and thread: what they said, and how much of it we have said too. */
  const threads = new Map<string, { readonly theirs: Item[]; said: number }>();
  const thread = (name: string) => {
    let known = threads.get(name);
    if (known === undefined) {
      known = { theirs: [], said: 0 };
      threads.set(name, known);
    }
    return known;
  };
  const streams = new Map<string, { close(): void; readonly id: string }>();
  const offered_by = new Map<string, string>();

  const tooLate = (key: string, at_ms: number) =>
    how.offers_until_ms !== undefined && at_ms > how.offers_until_ms && / offers of |: offers of /.test(key);

  const said = (stream: string, event: Json) => {
    for (const { name, what } of itemsOf(event, offered_by)) {
      const key = `${stream}: ${name}`;
      if (tooLate(key, clock.now() - epoch_ms)) continue;
      const { theirs, said } = thread(key);
      threads.get(key)!.said++;
      const at = `${key}, ${said + 1} at ${clock.now() - epoch_ms} ms`;
      if (said < theirs.length && kindOf(theirs[said]!.what) !== kindOf(what))
        found.push(`${at} (${theirs[said]!.at_ms}): ${kindOf(what)} instead of ${kindOf(theirs[said]!.what)}`);
      else if (said >= theirs.length && how.more?.test(key) === true) continue;
      else if (said >= theirs.length) found.push(`${at}: said too much: ${JSON.stringify(what)?.slice(0, 600)}`);
      else
        found.push(
          ...differences(theirs[said]!.what, what, ids).map(each => `${at} (${theirs[said]!.at_ms}): ${each}`),
        );
    }
  };

  const open = async (row: Extract<Row, { is: 'subscribe' }>) => {
    const answer = rows.find(
      (other): other is Extract<Row, { is: 'answer' }> => other.is === 'answer' && other.stream === row.stream,
    )!;
    if (how.skip?.test(row.stream)) return;
    const { response, request } = await ask(server!.url, row.path, row.headers, translated(JSON.stringify(row.body)));
    if (response.statusCode !== answer.status)
      found.push(`${row.stream}: ${response.statusCode} instead of ${answer.status}`);
    for (const name of ['content-type', 'transfer-encoding'])
      if (response.headers[name] !== answer.headers[name] && answer.status === 200)
        found.push(`${row.stream}: ${name} ${response.headers[name]} instead of ${answer.headers[name]}`);
    const id = String(response.headers['mesos-stream-id'] ?? '');
    const their_id = answer.headers['mesos-stream-id'];
    if ((id === '') !== (their_id === undefined)) found.push(`${row.stream}: Mesos-Stream-Id ${id} and ${their_id}`);
    else if (their_id !== undefined) ids.pair(their_id, id);
    if (response.statusCode !== 200) {
      const text = await textOf(response);
      if (answer.text !== undefined && text !== answer.text)
        found.push(`${row.stream}: ${text} instead of ${answer.text}`);
      return;
    }
    let buffer = Buffer.alloc(0);
    response.on('data', (part: Buffer) => {
      buffer = Buffer.concat([buffer, part]);
      for (;;) {
        const cut = buffer.indexOf(10);
        if (cut < 0) break;
        const length = Number(buffer.subarray(0, cut).toString());
        if (buffer.length < cut + 1 + length) break;
        const event = JSON.parse(buffer.subarray(cut + 1, cut + 1 + length).toString());
        buffer = buffer.subarray(cut + 1 + length);
        under_way--;
        said(row.stream, event);
      }
    });
    response.on('end', () => {
      under_way--;
      said(row.stream, { type: 'end of body' });
    });
    response.on('error', () => undefined); // The master died: told apart from an end of body, as it was.
    streams.set(row.stream, { id, close: () => request.destroy() });
  };

  const translated = (body: string): string | Buffer =>
    body.startsWith('base64:') ? packed(body.slice('base64:'.length)) : inOurs(body);
  /** A body that came gzipped goes so. */
  const packed = (body: string) => gzipSync(inOurs(gunzipSync(Buffer.from(body, 'base64')).toString()));
  const inOurs = (body: string) =>
    body.replace(/"([^"\\]{8,})"/g, (whole, text) => {
      const ours = ids.ours(text);
      return ours === undefined ? whole : JSON.stringify(ours);
    });

  const call = async (row: CallRow) => {
    const headers: Record<string, string> = { ...row.headers };
    const stream = headers['mesos-stream-id'];
    if (stream !== undefined) headers['mesos-stream-id'] = ids.ours(stream) ?? stream;
    for (const wanted of refersTo(row, rows)) {
      if (ids.ours(wanted.id) !== undefined) continue;
      // A little patience: what they had by then may come to us with the next second.
      for (let waited = 0; waited < 1500 && ids.ours(wanted.id) === undefined; waited += 50)
        await pass(clock.now() + 50);
      if (ids.ours(wanted.id) === undefined) found.push(`${row.label}: ${wanted.what} ${wanted.id} never came to us`);
    }
    let answer: { status: number; headers: http.IncomingHttpHeaders; text: string } | undefined;
    calling = true;
    try {
      const { response } = await ask(server!.url, row.path, headers, translated(row.body), row.method);
      answer = { status: response.statusCode ?? 0, headers: response.headers, text: await textOf(response) };
    } catch {
      answer = undefined;
    } finally {
      calling = false;
    }
    if ('broken' in row.answer) {
      if (answer !== undefined) found.push(`${row.label}: ${answer.status} instead of ${row.answer.broken}`);
      return;
    }
    if (answer === undefined) {
      found.push(`${row.label}: no answer instead of ${row.answer.status}`);
      return;
    }
    const place = row.label;
    found.push(...differences(row.answer.status, answer.status, ids, `${place} status`));
    found.push(...differences(row.answer.text, answer.text, ids, `${place} body`));
    for (const name of ['content-type', 'www-authenticate', 'location'])
      found.push(...differences(row.answer.headers[name] ?? '', answer.headers[name] ?? '', ids, `${place} ${name}`));
  };

  // --- time ---------------------------------------------------------------------------------------------------------
  const settle = async () => {
    for (;;) {
      while (work.length > 0) work.shift()?.();
      const next = clock.nextWake();
      if (next !== undefined && next <= clock.now()) clock.advanceTo(clock.now());
      else break;
    }
    for (const begun = performance.now(); under_way > 0; ) {
      if (performance.now() - begun > 60_000) throw new Error(`${under_way} events left and never arrived`);
      await new Promise(resolve => setImmediate(resolve));
    }
  };
  const pass = async (until: number) => {
    await settle();
    for (let next = clock.nextWake(); next !== undefined && next <= until; next = clock.nextWake()) {
      clock.advanceTo(Math.max(next, clock.now()));
      await settle();
    }
    if (until > clock.now()) clock.advanceTo(until);
    await settle();
  };

  // --- the play -----------------------------------------------------------------------------------------------------
  const their_offers = new Map<string, string>();
  for (const row of rows)
    if (row.is === 'event')
      for (const { name, what } of itemsOf(row.event, their_offers, id => ids.ours(id) ?? id)) {
        const key = `${row.stream}: ${name}`;
        if (!tooLate(key, row.at_ms)) thread(key).theirs.push({ what, at_ms: row.at_ms });
      }
    else if (row.is === 'end' && !how.skip?.test(row.stream))
      thread(`${row.stream}: subscription`).theirs.push({ what: { type: 'end of body' }, at_ms: row.at_ms });

  const lost: string[] = [];
  const away: { readonly at_ms: number; readonly agent: string }[] = [];
  const checkpointing = rows.some(
    row => row.is === 'subscribe' && row.body.subscribe.framework_info.checkpoint === true,
  );
  for (const row of rows) {
    for (const back of away.filter(({ at_ms }) => at_ms <= row.at_ms)) {
      away.splice(away.indexOf(back), 1);
      await pass(epoch_ms + back.at_ms);
      fleet.restore(back.agent);
    }
    await pass(epoch_ms + row.at_ms);
    if (row.is === 'subscribe') await open(row);
    else if (row.is === 'call') {
      if (how.operator?.(row.label, house, fleet.ids, row, ids) !== true && !how.skip?.test(row.label)) await call(row);
    } else if (row.is === 'pipelined') found.push(...(await pipelined(server!.url, row, ids, translated)));
    else if (row.is === 'hang-up') streams.get(row.stream)?.close();
    else if (row.is === 'world') await turnOfEvents(row);
    await settle();
  }
  await pass(clock.now() + 10);
  for (const [name, { theirs, said }] of threads)
    for (const { what, at_ms } of theirs.slice(said))
      found.push(`${name}: never said what they said at ${at_ms} ms: ${JSON.stringify(what).slice(0, 600)}`);

  async function turnOfEvents(row: Extract<Row, { is: 'world' }>): Promise<void> {
    const first = fleet.ids[0]!;
    if (row.what === 'agent-dies') {
      fleet.lose(first, { reboot: !checkpointing });
      lost.push(first);
    } else if (row.what === 'master-dies') {
      await server?.close();
      host?.close();
      host = undefined;
      under_way = 0;
      for (const id of fleet.ids) {
        fleet.lose(id);
        lost.push(id);
      }
    } else if (row.what === 'all-start') {
      await allStart(row.at_ms);
    }
  }
  async function allStart(at_ms: number): Promise<void> {
    if (host === undefined) await startMaster(phaseOf(rows, at_ms));
    for (const agent of lost.splice(0)) {
      const back_ms = returnOf(rows, ids.theirs(agent)!, at_ms);
      if (back_ms !== undefined) away.push({ at_ms: back_ms, agent });
    }
    away.sort((one, other) => one.at_ms - other.at_ms);
  }

  for (const { close } of streams.values()) close();
  fleet.close();
  host?.close();
  await server?.close();
  return found;
}
const rowsOf = (recorded: readonly Row[], { happened = [] }: Play): readonly Row[] =>
  [...recorded, ...happened].sort((one, other) => one.at_ms - other.at_ms);

const kindOf = (what: Json): string => what.update?.status.state ?? what.type ?? 'an offer';

// --- events, taken apart --------------------------------------------------------------------------------------------

/** What an event says, each thing under the name of its thread. */
function itemsOf(
  event: Json,
  offered_by: Map<string, string>,
  agentName: (id: string) => string = id => id,
): { name: string; what: Json }[] {
  const one = (name: string, what: Json = event) => [{ name, what }];
  switch (event.type) {
    case 'OFFERS':
      return offersOf(event).map(offer => {
        offered_by.set(offer.id.value, agentName(offer.agent_id.value));
        return { name: `offers of ${agentName(offer.agent_id.value)}`, what: offer };
      });
    case 'RESCIND':
      return one(`offers of ${offered_by.get(event.rescind.offer_id.value)}`);
    case 'INVERSE_OFFERS':
      return event.inverse_offers.inverse_offers.map((offer: Json) => {
        offered_by.set(offer.id.value, agentName(offer.agent_id.value));
        return { name: `inverse offers of ${agentName(offer.agent_id.value)}`, what: offer };
      });
    case 'RESCIND_INVERSE_OFFER':
      return one(`inverse offers of ${offered_by.get(event.rescind_inverse_offer.inverse_offer_id.value)}`);
    case 'UPDATE':
      return one(`task ${event.update.status.task_id.value}`);
    case 'UPDATE_OPERATION_STATUS':
      return one(`operation ${event.update_operation_status.status.operation_id?.value}`);
    case 'FAILURE':
      return one(
        event.failure.executor_id === undefined
          ? `agent ${agentName(event.failure.agent_id.value)}`
          : `executor ${event.failure.executor_id.value}`,
      );
    case 'HEARTBEAT':
      return one('heartbeats');
    case 'SUBSCRIBED':
    case 'ERROR':
    case 'end of body':
      return one('subscription');
    default:
      return one(`events ${event.type}`);
  }
}

/** Offers and updates of the recording that a call speaks of and that had come before it. */
function refersTo(row: CallRow, rows: readonly Row[]): { id: string; what: string }[] {
  if (row.method !== 'POST' || row.body === '') return [];
  const before = rows.slice(0, rows.indexOf(row));
  const known = new Map<string, string>();
  for (const each of before) {
    if (each.is !== 'event') continue;
    for (const offer of offersOf(each.event)) known.set(offer.id.value, 'offer');
    for (const offer of each.event.inverse_offers?.inverse_offers ?? []) known.set(offer.id.value, 'inverse offer');
    const status = each.event.update?.status;
    if (status?.uuid !== undefined) known.set(status.uuid, `update ${status.state} of ${status.task_id.value}`);
    const operation = each.event.update_operation_status?.status;
    if (operation?.uuid !== undefined) known.set(operation.uuid.value, `status of ${operation.operation_id?.value}`);
  }
  return [...known].filter(([id]) => row.body.includes(JSON.stringify(id))).map(([id, what]) => ({ id, what }));
}

// --- HTTP -----------------------------------------------------------------------------------------------------------

function ask(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
  method = 'POST',
): Promise<{ request: http.ClientRequest; response: http.IncomingMessage }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path, headers, agent: false }, response =>
      resolve({ request, response }),
    );
    request.on('error', reject);
    request.end(method === 'GET' ? undefined : body);
  });
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Several calls in one write on one connection. */
async function pipelined(
  url: string,
  row: Extract<Row, { is: 'pipelined' }>,
  ids: Ids,
  translated: (body: string) => string | Buffer,
): Promise<string[]> {
  const { createConnection } = await import('node:net');
  const { hostname, port } = new URL(url);
  const calls = [
    ...row.request.replaceAll('\r\n', '\n').matchAll(/Mesos-Stream-Id: (\S+)[\s\S]*?\n\n(\{.*?\})(?=POST|$)/g),
  ];
  const text = calls
    .map(([, stream = '', body = '']) => {
      const ours = translated(body);
      const head = [
        'POST /api/v1/scheduler HTTP/1.1',
        `Host: ${hostname}:${port}`,
        'Content-Type: application/json',
        `Mesos-Stream-Id: ${ids.ours(stream)}`,
        `Content-Length: ${Buffer.byteLength(ours)}`,
      ];
      return `${head.join('\r\n')}\r\n\r\n${ours}`;
    })
    .join('');
  const statuses = (answer: string) => answer.match(/HTTP\/1\.1 \d+/g) ?? [];
  const theirs = statuses(row.response);
  const answer = await new Promise<string>((resolve, reject) => {
    let heard = '';
    const socket = createConnection(Number(port), hostname, () => socket.write(text));
    socket.on('error', reject);
    socket.on('data', part => {
      heard += String(part);
      if (statuses(heard).length < theirs.length) return;
      socket.destroy();
      resolve(heard);
    });
  });
  const ours = statuses(answer);
  return ours.join() === theirs.join() ? [] : [`pipelined calls: ${ours.join()} instead of ${theirs.join()}`];
}
