// client.ts: a framework in a hundred lines, for tests: sockets, records and calls by hand, nothing of Horae's own driver.

import * as http from 'node:http';

// biome-ignore lint/suspicious/noExplicitAny: recorded and received JSON is looked at as it stands, field by field.
export type Json = any;
export type Answer = { status: number; headers: http.IncomingHttpHeaders; text: string };

type Target = { readonly url: string; readonly credentials: { principal: string; secret: string } | undefined };

export function post(
  target: Target,
  body: string | Buffer | Json,
  headers: Record<string, string | undefined> = {},
  { method = 'POST', path = '/api/v1/scheduler' } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(target.url);
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const all: Record<string, string | undefined> = {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    ...(target.credentials === undefined
      ? {}
      : {
          Authorization: `Basic ${Buffer.from(`${target.credentials.principal}:${target.credentials.secret}`).toString('base64')}`,
        }),
    ...headers,
  };
  const told = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path, headers: told, agent: false }, response => {
      const parts: Buffer[] = [];
      response.on('data', part => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(parts).toString() }),
      );
    });
    request.on('error', reject);
    request.end(method === 'GET' ? undefined : bytes);
  });
}

export type Client = Awaited<ReturnType<typeof subscribe>>;

/** Subscribes and keeps everything that is heard. */
export async function subscribe(target: Target, id?: string, more: Json = {}) {
  const events: Json[] = [];
  const waiting: { what: (events: Json[]) => unknown; done: () => void }[] = [];
  const { hostname, port } = new URL(target.url);
  const body = JSON.stringify({
    type: 'SUBSCRIBE',
    ...(id === undefined ? {} : { framework_id: { value: id } }),
    subscribe: {
      framework_info: {
        user: 'root',
        name: 'test',
        roles: ['*'],
        failover_timeout: 3600,
        checkpoint: true,
        capabilities: [{ type: 'MULTI_ROLE' }, { type: 'PARTITION_AWARE' }, { type: 'TASK_KILLING_STATE' }],
        ...(id === undefined ? {} : { id: { value: id } }),
        ...more,
      },
    },
  });
  let ended = false;
  let acknowledging = true;
  const check = () => {
    for (const wish of [...waiting])
      if (wish.what(events)) {
        waiting.splice(waiting.indexOf(wish), 1);
        wish.done();
      }
  };
  const [request, response] = await new Promise<[http.ClientRequest, http.IncomingMessage]>((resolve, reject) => {
    const request = http.request(
      {
        hostname,
        port,
        method: 'POST',
        path: '/api/v1/scheduler',
        agent: false,
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          ...(target.credentials === undefined
            ? {}
            : {
                Authorization: `Basic ${Buffer.from(`${target.credentials.principal}:${target.credentials.secret}`).toString('base64')}`,
              }),
        },
      },
      response => resolve([request, response]),
    );
    request.on('error', reject);
    request.end(body);
  });
  const stream = String(response.headers['mesos-stream-id']);
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
      events.push(event);
      const status = event.update?.status;
      if (status?.uuid !== undefined && acknowledging) void acknowledge(status);
    }
    check();
  });
  const end = () => {
    ended = true;
    check();
  };
  response.on('end', end);
  response.on('error', end);
  request.on('error', end);

  const framework_id = () => events.find(({ type }) => type === 'SUBSCRIBED')?.subscribed.framework_id;
  const call = (call: Json, headers: Record<string, string | undefined> = {}) =>
    post(target, { framework_id: framework_id(), ...call }, { 'Mesos-Stream-Id': stream, ...headers });
  const acknowledge = (status: Json) =>
    call({
      type: 'ACKNOWLEDGE',
      acknowledge: { agent_id: status.agent_id, task_id: status.task_id, uuid: status.uuid },
    }).catch(() => undefined); // The master may be killed at this moment: what is not acknowledged comes again.
  const until = (what: (events: Json[]) => unknown) =>
    new Promise<void>(done => {
      waiting.push({ what, done });
      check();
    });
  const statuses = (task: string): Json[] =>
    events
      .filter(({ type, update }) => type === 'UPDATE' && update.status.task_id.value === task)
      .map(({ update }) => update.status);
  const reached = async (task: string, ...states: string[]): Promise<Json> => {
    await until(() => statuses(task).some(({ state }) => states.includes(state)));
    return statuses(task).find(({ state }) => states.includes(state));
  };
  await until(events => events.length > 0 || ended || response.statusCode !== 200);
  return {
    stream,
    events,
    response,
    call,
    acknowledge,
    until,
    statuses,
    reached,
    framework_id,
    states: (task: string): string[] => [...new Set(statuses(task).map(({ state }) => state))],
    isEnded: () => ended,
    /** From now on the test acknowledges by hand. */
    keepQuiet() {
      acknowledging = false;
    },
    disconnect: () => response.destroy(),
    /** The latest offer that nobody has used; waits for one. */
    async offer(): Promise<Json> {
      const free = () => events.flatMap(event => event.offers?.offers ?? []).filter(({ id }) => !used.has(id.value));
      await until(() => free().length > 0);
      return free().at(-1);
    },
    async launch(tasks: Json[], refuse_seconds = 0) {
      const offer = await this.offer();
      return this.accept(
        offer,
        [{ type: 'LAUNCH', launch: { task_infos: tasks.map(task => ({ agent_id: offer.agent_id, ...task })) } }],
        refuse_seconds,
      );
    },
    async accept(offer: Json, operations: Json[], refuse_seconds = 0) {
      used.add(offer.id.value);
      return call({
        type: 'ACCEPT',
        accept: { offer_ids: [offer.id], operations, filters: { refuse_seconds } },
      });
    },
  };
}
const used = new Set<string>();

export const scalar = (name: string, value: number) => ({ name, type: 'SCALAR', scalar: { value } });

/** A task as small as Mesos takes it. */
export const command = (id: string, value: string, more: Json = {}): Json => ({
  name: id,
  task_id: { value: id },
  resources: [scalar('cpus', 0.1), scalar('mem', 32)],
  command: { shell: true, value, ...more.command },
  ...(more.kill_policy === undefined ? {} : { kill_policy: more.kill_policy }),
  ...(more.max_completion_time === undefined ? {} : { max_completion_time: more.max_completion_time }),
});
