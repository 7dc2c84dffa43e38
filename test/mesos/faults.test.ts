// faults.test.ts: conversations in which anything may break at any time, by seed.
//
// A master owes updates, one at a time per task, until each is acknowledged. A client subscribes again whenever it must,
// acknowledges what it hears, and makes calls that it repeats only when it was told that they surely had no effect. Between
// them streams are cut, delayed and doubled, connections are reset before and after a call took effect or stay half open,
// masters refuse, redirect in circles or to a leader that is dead, read slowly, talk nonsense and announce 100 MB at once. In
// the end nothing may be missing, nothing may have happened twice, no fate may have been a lie, and memory stays as it was.
//
// HORAE_FAULT_SEEDS sets how many conversations there are, HORAE_FAULT_SEED where they begin.

import { createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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
/** The announcement of 100 MB, and the first of them. */
const huge = rawChunk(`${100 * 2 ** 20}\n${'x'.repeat(64 * 1024)}`);

/** Conversations after which everything that is made once has been made. */
const warm = Math.min(20, Math.floor(seeds * 0.4));
const growth_mb_max = 64;
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void;
const rss = () => {
  collectGarbage();
  return process.memoryUsage().rss;
};
let rss_when_warm = 0;
let faults_met = 0;

/** A port that nobody listens at. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>(resolve => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no address: expected a port');
  return address.port;
}

for (let seed = first_seed; seed < first_seed + seeds; seed++)
  // One at a time: a thousand conversations at once in one process are a test of patience.
  test.serial(`seed ${seed}: no update is lost, no call takes effect twice, every fate told is true`, async t => {
    if (seed === first_seed + warm) rss_when_warm = rss();
    // V8 makes room for as much garbage as it is given: 100 MB and more, whatever is kept of it. So it is given none.
    collectGarbage({ type: 'minor' });
    const random = mulberry32(seed);
    const clock = simulatedClock(0);
    const dead = await deadPort();
    let faults = 0;
    /** One of the faults, or undefined to behave; there are only so many in a conversation. */
    const fault = <T extends string>(...list: readonly T[]): T | undefined => {
      if (faults >= faults_max || random() < 0.6) return undefined;
      faults++;
      faults_met++;
      return list[Math.floor(random() * list.length)];
    };

    /** Lets five heartbeats pass, for the stream and for whatever else waits, until the client has hung up. */
    const passTimeUntilClosed = (socket: Asked['socket']) => {
      if (socket.destroyed) return;
      clock.advanceTo(clock.now() + 75_000);
      setTimeout(() => passTimeUntilClosed(socket), 1);
    };

    /** A little later, in real time: 1 to 4 ms. */
    const later = (then: () => void) => void setTimeout(then, 1 + Math.floor(random() * 4));

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
      const to = stream;
      switch (fault('cut', 'twice', 'delay', 'garbage', 'huge', 'end', 'silence', 'reset')) {
        case 'cut':
          stream.end(chunk.slice(0, Math.floor(random() * chunk.length)));
          break;
        case 'twice':
          stream.write(chunk + chunk);
          return;
        case 'delay': {
          // Half of it now. Whatever is written meanwhile goes to the next stream: a master does not mix its chunks.
          const half = Math.floor(random() * chunk.length);
          to.write(chunk.slice(0, half));
          stream = undefined;
          later(() => {
            if (to.destroyed) return;
            to.write(chunk.slice(half));
            stream ??= to;
          });
          return;
        }
        case 'garbage':
          stream.write(rawChunk('<html>') + chunk);
          break;
        case 'huge':
          stream.write(huge);
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
    const redirect = (port: number) =>
      answer('307 Temporary Redirect', '', [`Location: //127.0.0.1:${port}/master/api/v1/scheduler`]);
    let circles = 0;
    /** Answers leave in the order of their calls, also when one of them is slow. */
    const answers = new Map<Asked['socket'], Promise<void>>();
    const inTurn = (socket: Asked['socket'], act: () => void | Promise<void>) =>
      answers.set(socket, (answers.get(socket) ?? Promise.resolve()).then(act));
    const master = await scriptedMaster(t, {
      subscribe({ socket }) {
        if (circles > 0) {
          circles--;
          return void socket.write(redirect(master.port));
        }
        switch (fault('refuse', 'redirect', 'circle', 'dead leader', 'half open', 'delay', 'hang up', 'cut')) {
          case 'refuse':
            return void socket.write(answer('503 Service Unavailable', 'the master is recovering'));
          case 'redirect':
            return void socket.write(redirect(master.port));
          case 'circle':
            circles = 8;
            return void socket.write(redirect(master.port));
          case 'dead leader':
            return void socket.write(redirect(dead));
          case 'half open':
            return passTimeUntilClosed(socket);
          case 'delay':
            socket.write(opening.slice(0, 40));
            return later(() => {
              if (socket.destroyed) return;
              socket.write(opening.slice(40));
              stream = socket;
            });
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
        inTurn(socket, () => {
          switch (fault('reset before', 'reset after', 'refuse', 'close', 'nonsense', 'delay', 'slow', 'half open')) {
            case 'reset before':
              return reset(socket);
            case 'reset after':
              takeEffect();
              return reset(socket);
            case 'refuse':
              return void socket.write(answer('400 Bad Request', 'no'));
            case 'close':
              takeEffect();
              return void socket.end(answer('202 Accepted', '', ['Connection: close']));
            case 'nonsense':
              takeEffect();
              return void socket.end('EHLO\r\n\r\n');
            case 'delay':
              takeEffect();
              return new Promise<void>(resolve =>
                later(() => {
                  if (!socket.destroyed) socket.write(accepted);
                  resolve();
                }),
              );
            case 'slow':
              socket.pause();
              later(() => socket.resume());
              break;
            case 'half open':
              takeEffect();
              return passTimeUntilClosed(socket);
          }
          if (socket.destroyed) return;
          takeEffect();
          socket.write(accepted);
        });
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

test.serial('a frame of 100 MB ends the subscription where it is announced, and none of it is kept', async t => {
  let written = 0;
  const piece = rawChunk('x'.repeat(2 ** 20));
  const master = await scriptedMaster(t, {
    subscribe({ socket }) {
      socket.write(opening + huge);
      const pour = () => {
        while (!socket.destroyed && written < 100) {
          written++;
          if (!socket.write(piece)) return;
        }
      };
      socket.on('drain', pour);
      pour();
    },
  });
  const link = httpLink({ urls: [master.url], clock: simulatedClock(0) });
  t.teardown(() => link.close());
  const before = rss();
  const ends: LinkEnd[] = [];
  link.subscribe(request, { events: () => undefined, ended: end => void ends.push(end) });
  await until('the subscription to end', () => ends.length > 0);
  t.regex(ends[0]!.message, /a record of 104857600 bytes or more .*: expected at most 67108864/);
  await until('the master to be hung up on', () => master.subscribes[0]!.socket.destroyed);
  t.true(rss() - before < 50 * 2 ** 20, 'half of it would have been kept');
});

test.serial(`${seeds} conversations with all their faults leave no more than ${growth_mb_max} MB behind`, t => {
  const growth_mb = (rss() - rss_when_warm) / 2 ** 20;
  t.log(`${faults_met} faults; memory grew by ${growth_mb.toFixed(1)} MB after the first ${warm} conversations`);
  t.true(growth_mb <= growth_mb_max, `${growth_mb} MB`);
  t.true(faults_met >= seeds, `${faults_met} faults`);
});
