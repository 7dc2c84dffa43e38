// replay.test.ts: the driver, beside recorded conversations with a real master.
//
// The recorded bytes are played to it unchanged. What it makes of them must be what was recorded; what it then asks for must be
// what the recorded client asked for and a real master granted. Compared of every call: method and path, Content-Type, Accept,
// Mesos-Stream-Id, that Content-Length is true, and the whole body. Of ACCEPT's body: type, framework, offers, filters,
// kinds of operations, each executor's type, framework and amounts, each task's name, ids, agent, command and amounts.
// (Ours differ in the executor's id, which is the task's; in naming the kill policy; in returning a resource's role as offered.)

import test from 'ava';
import {
  acknowledgeCall,
  declineCall,
  killCall,
  reconcileAllCall,
  reconcileCall,
  reviveCall,
  shutdownCall,
  subscribeCall,
  suppressCall,
} from '../../mesos/calls.ts';
import { hostsOf } from '../../mesos/hosts.ts';
import { httpLink } from '../../mesos/http-link.ts';
import { type LaunchPlan, type Matched, match } from '../../mesos/match.ts';
import type {
  Call,
  Event,
  FrameworkInfo,
  Offer,
  Operation,
  Resource,
  Subscribe,
  TaskInfo,
} from '../../mesos/protocol.ts';
import { acceptCall, byHost } from '../../mesos/task-info.ts';
import { systemClock } from '../../schedules/clock.ts';
import { listener } from './support/listener.ts';
import {
  callOf,
  type HttpText,
  type Recording,
  recording,
  recording_numbers,
  recordsIn,
  unchunked,
} from './support/recordings.ts';
import { accepted, last_chunk, scriptedMaster } from './support/scripted-master.ts';

const clock = systemClock();

/** The SUBSCRIBE that we make of the framework that the recorded client was. */
function subscribeAs(request: HttpText): Subscribe {
  const { subscribe } = JSON.parse(request.body) as Subscribe;
  const {
    user,
    name,
    roles = [],
    failover_timeout = 0,
    checkpoint = false,
    capabilities = [],
    id,
  } = subscribe.framework_info;
  const info: FrameworkInfo = {
    user,
    name,
    roles,
    failover_timeout,
    checkpoint,
    capabilities,
    ...(id === undefined ? {} : { id }),
  };
  return subscribeCall(info);
}

type Launch = Extract<Operation, { type: 'LAUNCH' | 'LAUNCH_GROUP' }>;
const launches = (operation: Operation): operation is Launch =>
  operation.type === 'LAUNCH' || operation.type === 'LAUNCH_GROUP';

/** The fields of a call that are compared. */
function comparable(body: unknown): unknown {
  const call = body as Call & { framework_id: unknown };
  if (call.type !== 'ACCEPT') return call;
  const amounts = (resources: readonly Resource[]) =>
    resources.map(({ name, type, scalar, ranges, allocation_info }) => ({
      name,
      type,
      scalar,
      ranges,
      allocation_info,
    }));
  const task = ({ name, task_id, agent_id, command, resources }: TaskInfo) => ({
    name,
    task_id,
    agent_id,
    command,
    resources: amounts(resources),
  });
  return {
    type: call.type,
    framework_id: call.framework_id,
    offer_ids: call.accept.offer_ids,
    filters: call.accept.filters,
    operations: call.accept.operations.filter(launches).map(operation =>
      operation.type === 'LAUNCH'
        ? { type: operation.type, tasks: operation.launch.task_infos.map(task) }
        : {
            type: operation.type,
            executor: {
              type: operation.launch_group.executor.type,
              framework_id: operation.launch_group.executor.framework_id,
              resources: amounts(operation.launch_group.executor.resources ?? []),
            },
            tasks: operation.launch_group.task_group.tasks.map(task),
          },
    ),
  };
}

/** Plans that want what the recorded tasks were given. */
function plansOf({ request }: { readonly request: HttpText }): {
  plans: LaunchPlan[];
  offer_ids: string[];
  refuse_seconds: number;
  framework_id: string;
} {
  const { accept, framework_id } = JSON.parse(request.body) as Extract<Call, { type: 'ACCEPT' }> & {
    framework_id: { value: string };
  };
  const wanted = (resources: readonly Resource[]) => {
    const amount = (name: string) => resources.find(resource => resource.name === name)?.scalar?.value ?? 0;
    return { cpus: amount('cpus'), mem: amount('mem'), disk: amount('disk') };
  };
  const plan = (task: TaskInfo, executor: LaunchPlan['executor']): LaunchPlan => ({
    task_id: task.task_id.value,
    name: task.name,
    group: task.task_id.value,
    resources: wanted(task.resources),
    ports: [],
    executor,
    constraints: [],
    command: task.command ?? {},
    kill_grace_ms: 3000,
    labels: {},
  });
  return {
    plans: accept.operations
      .filter(launches)
      .flatMap(operation =>
        operation.type === 'LAUNCH'
          ? operation.launch.task_infos.map(task => plan(task, undefined))
          : operation.launch_group.task_group.tasks.map(task =>
              plan(task, wanted(operation.launch_group.executor.resources ?? [])),
            ),
      ),
    offer_ids: accept.offer_ids.map(({ value }) => value),
    refuse_seconds: accept.filters?.refuse_seconds ?? 5,
    framework_id: framework_id.value,
  };
}

const offersIn = (events: readonly Event[]): readonly Offer[] =>
  events.flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []));

function matchedAsRecorded(one: Recording, label: string): { matched: Matched; calls: Call[] } {
  const { plans, offer_ids, refuse_seconds, framework_id } = plansOf(callOf(one, label));
  const events = one.streams.flatMap(({ raw }) =>
    recordsIn(unchunked(raw).body).map(text => JSON.parse(text) as Event),
  );
  const offers = offersIn(events).filter(({ id }) => offer_ids.includes(id.value));
  const matched = match(hostsOf(offers), plans);
  return { matched, calls: byHost(matched.placements).map(host => acceptCall(host, { framework_id, refuse_seconds })) };
}

/** Calls that the recorded client made by hand, as our driver makes them. */
const agent = (one: Recording, n: 0 | 1): string =>
  `${(JSON.parse(one.calls.at(-1)!.request.body) as { framework_id: { value: string } }).framework_id.value.slice(0, -5)}-S${n}`;
const offer = (one: Recording, n: number): string => agent(one, 0).replace(/S0$/, `O${n}`);
const by_hand: { readonly [number: string]: (one: Recording) => readonly (readonly [label: string, call: Call])[] } = {
  '05': one => [
    ['06-KILL-with-agent', killCall({ task_id: 'k-1', agent_id: agent(one, 0) })],
    ['09-KILL-without-agent', killCall({ task_id: 'k-2' })],
    ['12-KILL-again-terminal', killCall({ task_id: 'k-1', agent_id: agent(one, 0) })],
  ],
  '07': one => [
    ['06-RECONCILE-implicit', reconcileAllCall()],
    ['07-RECONCILE-known', reconcileCall([{ task_id: 'r-1', agent_id: agent(one, 0) }, { task_id: 'r-2' }])],
  ],
  '10': one => [
    ['01-DECLINE', declineCall([offer(one, 53), offer(one, 54)], 3600)],
    ['02-REVIVE', reviveCall()],
    ['03-SUPPRESS', suppressCall()],
    ['04-DECLINE', declineCall([offer(one, 55), offer(one, 56)], 0)],
  ],
  '11': () => [['10-RECONCILE', reconcileAllCall()]],
  '15': one => [
    ['10-KILL', killCall({ task_id: 'lg-a', agent_id: agent(one, 0) })],
    ['18-SHUTDOWN', shutdownCall('grp-2', agent(one, 1))],
  ],
};
/** ACCEPTs that a real master granted whole. The groups of two tasks in 15 have no counterpart: our groups hold one. */
const granted: { readonly [number: string]: readonly string[] } = {
  '02': ['01-ACCEPT'],
  '03': ['01-ACCEPT'],
  '04': ['01-ACCEPT'],
  '05': ['01-ACCEPT', '16-ACCEPT-race'],
  '07': ['01-ACCEPT'],
  '09': ['04-ACCEPT-no-mem', '22-ACCEPT-dup-1', '29-ACCEPT-no-such-binary', '34-ACCEPT-once'],
  '11': ['01-ACCEPT'],
  '12': ['01-ACCEPT'],
  '15': ['15-ACCEPT-2'],
};

for (const number of recording_numbers) {
  const one = recording(number);

  for (const [n, { name, raw, request }] of one.streams.entries())
    test(`recording ${one.folder}, ${name}: its events arrive as recorded, our calls are those recorded`, async t => {
      const { body, complete } = unchunked(raw);
      const recorded = recordsIn(body).map(text => JSON.parse(text) as Event);
      // The last chunk is kept back until our calls have been answered: the recorded client's last call led to it.
      const played = complete ? raw.subarray(0, raw.length - last_chunk.length) : raw;
      const master = await scriptedMaster(t, {
        subscribe: ({ socket }) => void socket.write(played),
        call: ({ socket, value }) =>
          void socket.write(one.calls.find(call => call.request.body === JSON.stringify(value))?.response ?? accepted),
      });
      const link = httpLink({ urls: [master.url], clock });
      t.teardown(() => link.close());
      const answers: Promise<unknown>[] = [];
      const heard = listener(event => {
        const call = event.type === 'UPDATE' ? acknowledgeCall(event.update.status) : undefined;
        if (call !== undefined) answers.push(link.call(call));
      });

      link.subscribe(subscribeAs(request), heard);
      await heard.count(recorded.length);
      t.deepEqual(heard.list, recorded);
      const calls = n > 0 ? [] : (by_hand[number]?.(one) ?? []);
      const accepts =
        n > 0 ? [] : (granted[number] ?? []).map(label => [label, matchedAsRecorded(one, label).calls] as const);
      for (const [, call] of calls) answers.push(link.call(call));
      for (const [label, made] of accepts) {
        t.is(made.length, 1, label);
        answers.push(link.call(made[0]!));
      }
      for (const fate of await Promise.all(answers)) t.deepEqual(fate, { type: 'accepted' });

      const stream_id = /Mesos-Stream-Id: (\S+)/.exec(raw.toString('latin1'))?.[1];
      t.deepEqual(fieldsOf(master.subscribes[0]!), fieldsOf(request));
      for (const call of master.calls) {
        t.is(call.headers.get('mesos-stream-id'), stream_id);
        t.is(call.headers.get('content-length'), String(call.body.length));
      }
      const made = master.calls.map(({ body }) => JSON.parse(body) as Call);
      const [acknowledged, others] = [
        made.filter(call => call.type === 'ACKNOWLEDGE'),
        made.filter(call => call.type !== 'ACKNOWLEDGE'),
      ];
      // Updates come again until they are acknowledged, so as sets: each that was acknowledged then is acknowledged now.
      const then = one.calls
        .filter(({ label }) => /-ACKNOWLEDGE-/.test(label))
        .map(call => JSON.parse(call.request.body) as Call);
      const known = new Set(then.map(call => JSON.stringify(call)));
      if (one.streams.length === 1) t.deepEqual(new Set(acknowledged.map(call => JSON.stringify(call))), known);
      else for (const call of acknowledged) t.true(known.has(JSON.stringify(call)));
      for (const [m, [label]] of [...calls, ...accepts].entries()) {
        const recorded_call = callOf(one, label).request;
        t.deepEqual(comparable(others[m]), comparable(JSON.parse(recorded_call.body)), label);
        t.deepEqual(
          { ...fieldsOf(master.calls.find(({ body }) => JSON.parse(body).type === others[m]!.type)!), body: '' },
          { ...fieldsOf(recorded_call), body: '' },
          label,
        );
      }

      const [asked] = master.subscribes;
      if (complete) {
        t.deepEqual(heard.ends, []);
        asked!.socket.write(last_chunk);
        t.is((await heard.end()).why, 'closed', 'the end of the body is the end, although the connection stands');
      } else {
        asked!.socket.end();
        t.is((await heard.end()).why, 'closed');
      }
    });
}

/** Of a request: method and path, the headers that masters look at, and the body as a value. */
function fieldsOf({ head, headers, body }: HttpText) {
  return { head, type: headers.get('content-type'), accept: headers.get('accept'), body: JSON.parse(body) as unknown };
}

const launches_refused = recording('09');
for (const [label, short] of [['01-ACCEPT-exceeds-offer', 'cpus']] as const)
  test(`what a real master refused as ${label} is not sent: the match says that ${short} is short`, t => {
    const { matched, calls } = matchedAsRecorded(launches_refused, label);
    t.deepEqual(calls, []);
    const why = [...matched.why.values()][0];
    t.is(why?.code, 'no-fit');
    t.deepEqual(why?.code === 'no-fit' && why.short, {
      cpus: {
        hosts_excluded: 1,
        needs: 999,
        nearest: { agent_id: agent(launches_refused, 1), hostname: '127.0.0.1', has: 4 },
      },
    });
  });

test('cpus that a real master rounded to nothing and refused are rounded up before they are sent', t => {
  const { calls } = matchedAsRecorded(launches_refused, '17-ACCEPT-tiny-cpus');
  const [call] = calls as Extract<Call, { type: 'ACCEPT' }>[];
  const [operation] = call!.accept.operations;
  t.is(operation?.type === 'LAUNCH' && operation.launch.task_infos[0]?.resources[0]?.scalar?.value, 0.001);
});

test('what a real master said to old stream ids and wrong uuids is told as refused, in its words', async t => {
  for (const [number, label, status, words] of [
    ['04', '03-ACK-invalid-uuid', 400, 'Failed to validate scheduler::Call: Not a valid UUID'],
    ['11', '06-REVIVE-with-old-stream-after-disconnect', 403, 'Framework is not subscribed'],
    [
      '12',
      '04-call-by-first',
      400,
      "The stream ID 'a0e2ebe6-2886-4757-8240-3058101dafed' included in this request didn't match",
    ],
  ] as const) {
    const one = recording(number);
    const recorded = callOf(one, label);
    const [stream] = one.streams;
    const { raw } = stream!;
    const master = await scriptedMaster(t, {
      subscribe: ({ socket }) => void socket.write(raw.subarray(0, raw.length - last_chunk.length)),
      call: ({ socket }) => void socket.write(recorded.response),
    });
    const link = httpLink({ urls: [master.url], clock });
    t.teardown(() => link.close());
    const heard = listener();
    link.subscribe(subscribeAs(stream!.request), heard);
    await heard.count(1);
    const fate = await link.call(JSON.parse(recorded.request.body) as Call);
    t.like(fate, { type: 'refused', status });
    t.true(fate.type === 'refused' && fate.message.startsWith(words), JSON.stringify(fate));
  }
});
