// faults.test.ts: conversations in which anything may break at any time, by seed.
//
// A master owes updates, one at a time per task, until each is acknowledged. A client subscribes again whenever it must,
// acknowledges what it hears, and makes calls that it repeats only when it was told that they surely had no effect. Between
// them streams are cut, connections are reset before and after a call took effect, masters refuse, redirect in circles, fall
// silent and talk nonsense. In the end nothing may be missing, nothing may have happened twice, and no fate may have been a lie.
//
// HORAE_FAULT_SEEDS sets how many conversations there are, HORAE_FAULT_SEED where they begin.

import test from 'ava';
import { acknowledgeCall } from '../../mesos/calls.ts';
import { httpLink } from '../../mesos/http-link.ts';
import type { CallAnswer, Event, LinkEnd, Subscribe } from '../../mesos/protocol.ts';
import { simulatedClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import {
  type Asked,
  accepted,
  answer,
  eventChunk,
  last_chunk,
  rawChunk,
  reset,
  scriptedMaster,
  stream_head,
  subscribed,
} from './support/scripted-master.ts';
import { mulberry32 } from './support/seeded.ts';

const seeds = Number(process.env.HORAE_FAULT_SEEDS ?? 50);
const first_seed = Number(process.env.HORAE_FAULT_SEED ?? 1);
const [tasks, updates_per_task, launches, faults_max] = [4, 5, 12, 12];
const request: Subscribe = { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'root', name: 'horae' } } };
const opening = stream_head + eventChunk(subscribed);

for (let seed = first_seed; seed < first_seed + seeds; seed++)
  // One at a time: a thousand conversations at once in one process are a test of patience.
  test.serial(`seed ${seed}: no update is lost, no call takes effect twice, every fate told is true`, async t => {
    const random = mulberry32(seed);
    const clock = simulatedClock(0);
    let faults = 0;
    /** One of the faults, or undefined to behave; there are only so many in a conversation. */
    const fault = <T extends string>(...list: readonly T[]): T | undefined => {
      if (faults >= faults_max || random() < 0.6) return undefined;
      faults++;
      return list[Math.floor(random() * list.length)];
    };

    /** Lets five heartbeats pass, for the stream and for whatever else waits, until the client has hung up. */
    const passTimeUntilClosed = (socket: Asked['socket']) => {
      if (socket.destroyed) return;
      clock.advanceTo(clock.now() + 75_000);
      setTimeout(() => passTimeUntilClosed(socket), 1);
    };

    // The master.
    const acknowledged = Array.from({ length: tasks }, () => 0);
    const took_effect = Array.from({ length: launches }, () => 0);
    let stream: Asked['socket'] | undefined;
    const update = (task: number): Event => ({
      type: 'UPDATE',
      update: {
        status: {
          task_id: { value: `${task}` },
          state: 'TASK_RUNNING',
          agent_id: { value: 'S0' },
          uuid: `${task}/${acknowledged[task]}`,
        },
      },
    });
    const sendUpdate = (task: number) => {
      if (stream === undefined || acknowledged[task]! >= updates_per_task) return;
      const chunk = eventChunk(update(task));
      switch (fault('cut', 'twice', 'garbage', 'end', 'silence', 'reset')) {
        case 'cut':
          stream.end(chunk.slice(0, Math.floor(random() * chunk.length)));
          break;
        case 'twice':
          stream.write(chunk + chunk);
          return;
        case 'garbage':
          stream.write(rawChunk('<html>') + chunk);
          break;
        case 'end':
          stream.write(chunk + last_chunk);
          break;
        case 'silence':
          passTimeUntilClosed(stream);
          break;
        case 'reset':
          stream.write(chunk);
          reset(stream);
          break;
        default:
          stream.write(chunk);
          return;
      }
      stream = undefined;
    };
    // An update whose acknowledgement was lost is sent again after a while, as real masters do.
    const again = setInterval(() => {
      for (let task = 0; task < tasks; task++) sendUpdate(task);
    }, 20);
    t.teardown(() => clearInterval(again));
    const master = await scriptedMaster(t, {
      subscribe({ socket }) {
        switch (fault('refuse', 'redirect', 'hang up', 'cut')) {
          case 'refuse':
            return void socket.write(answer('503 Service Unavailable', 'the master is recovering'));
          case 'redirect':
            return void socket.write(
              answer('307 Temporary Redirect', '', [`Location: //127.0.0.1:${master.port}/master/api/v1/scheduler`]),
            );
          case 'hang up':
            return void reset(socket);
          case 'cut':
            return void socket.end(opening.slice(0, Math.floor(random() * opening.length)));
        }
        stream = socket;
        socket.write(opening);
        for (let task = 0; task < tasks; task++) sendUpdate(task);
      },
      call({ socket, value }) {
        const takeEffect = () => {
          if (value.type === 'ACKNOWLEDGE') {
            const [task, n] = (value.acknowledge as { uuid: string }).uuid.split('/').map(Number) as [number, number];
            if (acknowledged[task] !== n) return;
            acknowledged[task] = n + 1;
            sendUpdate(task);
          } else took_effect[Number((value.message as { data: string }).data)]! += 1;
        };
        switch (fault('reset before', 'reset after', 'refuse', 'close', 'nonsense')) {
          case 'reset before':
            return void reset(socket);
          case 'reset after':
            takeEffect();
            return void reset(socket);
          case 'refuse':
            return void socket.write(answer('400 Bad Request', 'no'));
          case 'close':
            takeEffect();
            return void socket.end(answer('202 Accepted', '', ['Connection: close']));
          case 'nonsense':
            takeEffect();
            return void socket.end('EHLO\r\n\r\n');
        }
        takeEffect();
        socket.write(accepted);
      },
    });

    // The client.
    const heard = Array.from({ length: tasks }, () => new Set<number>());
    const fates = Array.from({ length: launches }, () => undefined as CallAnswer['type'] | undefined);
    const ends: LinkEnd[] = [];
    let over = false;
    const link = httpLink({
      urls: [master.url],
      clock,
      subscribe_timeout_ms: 5000,
      call_timeout_ms: 5000,
      calls_in_flight_max: 1 + (seed % 4),
    });
    const launch = async (n: number) => {
      fates[n] = undefined;
      const fate = await link.call({
        type: 'MESSAGE',
        message: { agent_id: { value: 'S0' }, executor_id: { value: 'e' }, data: `${n}` },
      });
      fates[n] = fate.type;
    };
    const subscribe = () => {
      if (over) return;
      let at_an_end = false;
      link.subscribe(request, {
        events(events) {
          if (at_an_end) throw new Error('events after the end');
          for (const event of events) {
            if (event.type === 'SUBSCRIBED')
              for (let n = 0; n < launches; n++) if (fates[n] === 'unsent') void launch(n);
            if (event.type !== 'UPDATE') continue;
            const [task, n] = event.update.status.uuid!.split('/').map(Number) as [number, number];
            heard[task]!.add(n);
            void link.call(acknowledgeCall(event.update.status)!);
          }
        },
        ended(end) {
          if (at_an_end) throw new Error('a second end');
          at_an_end = true;
          ends.push(end);
          setImmediate(subscribe);
        },
      });
    };
    t.teardown(async () => {
      over = true;
      await link.close();
    });
    for (let n = 0; n < launches; n++) fates[n] = 'unsent';
    subscribe();
    await until(
      `all updates of seed ${seed} to be acknowledged`,
      () =>
        acknowledged.every(count => count === updates_per_task) &&
        fates.every(fate => fate !== undefined && fate !== 'unsent'),
    );

    for (const [task, numbers] of heard.entries())
      t.deepEqual(
        [...numbers],
        Array.from({ length: updates_per_task }, (_, n) => n),
        `updates of task ${task}, in order`,
      );
    for (const [n, fate] of fates.entries()) {
      const times = took_effect[n]!;
      if (fate === 'accepted') t.is(times, 1, `call ${n} was accepted`);
      else if (fate === 'refused') t.is(times, 0, `call ${n} was refused`);
      else t.true(fate === 'unknown' && times <= 1, `call ${n} is ${fate} and took effect ${times} times`);
    }
  });
