// executor.mjs: a custom executor for tests: a hundred lines that share nothing with Horae's own.
//
// It does what the data of its tasks says, a list of steps in JSON: ["update", {state, ...}], ["sleep", ms], ["exit", code],
// ["signal", name], ["spawn", command, "detached"?], ["message", text], ["resubscribe"], ["close", ms]. A MESSAGE holds more
// steps. EX_CONF in its environment says what else it does: mute (never subscribes), ignore_shutdown, ignore_kill, stay_away.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import * as http from 'node:http';

const env = process.env;
const conf = JSON.parse(env.EX_CONF ?? '{}');
const [hostname, port] = env.MESOS_AGENT_ENDPOINT.split(':');
const ids = { executor_id: { value: env.MESOS_EXECUTOR_ID }, framework_id: { value: env.MESOS_FRAMEWORK_ID } };
const token = env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN;
const headers = {
  'Content-Type': 'application/json',
  Accept: 'application/json',
  ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
};
const say = line => appendFileSync('events', `${line}\n`);
const later = ms => new Promise(done => setTimeout(() => done(), ms));

const tasks = new Map(); // without any acknowledged update
const updates = new Map(); // not acknowledged, by uuid
let stream;
let stopped = false;

const post = body =>
  new Promise(done => {
    const request = http.request(
      { hostname, port, method: 'POST', path: '/api/v1/executor', headers, agent: false },
      response => {
        response.resume();
        response.on('end', () => done(response.statusCode));
        response.on('error', () => done(0));
      },
    );
    request.on('error', () => done(0));
    request.end(JSON.stringify({ ...ids, ...body }));
  });

async function update(task, status) {
  const uuid = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64');
  const whole = { task_id: { value: task }, source: 'SOURCE_EXECUTOR', timestamp: Date.now() / 1000, uuid, ...status };
  updates.set(uuid, whole);
  if (stream !== undefined) await send(whole);
}

async function send(whole) {
  for (;;) {
    const code = await post({ type: 'UPDATE', update: { status: whole } });
    if (code !== 503) return;
    await later(50);
  }
}

async function run(task, steps) {
  for (const [what, one, two] of steps) {
    if (what === 'update') await update(task, one);
    else if (what === 'sleep') await later(one);
    else if (what === 'exit') process.exit(one);
    else if (what === 'signal') {
      process.kill(process.pid, one);
      await later(60_000);
    } else if (what === 'spawn') {
      const child = spawn('/bin/sh', ['-c', one], { stdio: 'ignore', detached: two === 'detached' });
      say(`spawned ${child.pid}`);
    } else if (what === 'message')
      await post({ type: 'MESSAGE', message: { data: Buffer.from(one).toString('base64') } });
    else if (what === 'resubscribe') subscribe();
    else if (what === 'close') {
      stream?.destroy();
      await later(one);
    }
  }
}

async function hear(event) {
  say(`${event.type} ${event.launch?.task.task_id.value ?? event.kill?.task_id.value ?? ''}`.trim());
  if (event.type === 'LAUNCH') launch(event.launch.task);
  else if (event.type === 'LAUNCH_GROUP') for (const task of event.launch_group.task_group.tasks) launch(task);
  else if (event.type === 'ACKNOWLEDGED') {
    updates.delete(event.acknowledged.uuid);
    tasks.delete(event.acknowledged.task_id.value);
  } else if (event.type === 'MESSAGE') {
    const { task, steps } = JSON.parse(Buffer.from(event.message.data, 'base64').toString());
    void run(task, steps);
  } else if (event.type === 'KILL' && conf.ignore_kill !== true)
    await update(event.kill.task_id.value, { state: 'TASK_KILLED', message: 'killed on request' });
  else if (event.type === 'SHUTDOWN' && conf.ignore_shutdown !== true) {
    stopped = true;
    process.exit(0);
  }
}

function launch(task) {
  tasks.set(task.task_id.value, task);
  void run(task.task_id.value, JSON.parse(Buffer.from(task.data ?? 'W10=', 'base64').toString()));
}

function subscribe() {
  const told = new Set(updates.keys());
  const request = http.request(
    { hostname, port, method: 'POST', path: '/api/v1/executor', headers, agent: false },
    response => {
      if (response.statusCode !== 200) {
        say(`refused ${response.statusCode}`);
        if (response.statusCode === 400) process.exit(4);
        setTimeout(subscribe, 50);
        return;
      }
      const mine = response;
      stream = response;
      // What came up while the subscription was on its way stood in no list.
      for (const [uuid, whole] of updates) if (!told.has(uuid)) void send(whole);
      let buffer = Buffer.alloc(0);
      response.on('data', part => {
        buffer = Buffer.concat([buffer, part]);
        for (let cut = buffer.indexOf(10); cut >= 0; cut = buffer.indexOf(10)) {
          const length = Number(buffer.subarray(0, cut).toString());
          if (buffer.length < cut + 1 + length) return;
          const event = JSON.parse(buffer.subarray(cut + 1, cut + 1 + length).toString());
          buffer = buffer.subarray(cut + 1 + length);
          void hear(event);
        }
      });
      const gone = () => {
        if (stream !== mine || stopped) return;
        stream = undefined;
        say('stream closed');
        if (conf.stay_away === true) {
          setInterval(() => {}, 60_000);
          return;
        }
        if (env.MESOS_CHECKPOINT !== '1' && conf.stay !== true) process.exit(5);
        setTimeout(subscribe, 50);
      };
      response.on('close', gone);
      response.on('error', gone);
    },
  );
  request.on('error', () => setTimeout(subscribe, 100));
  request.end(
    JSON.stringify({
      ...ids,
      type: 'SUBSCRIBE',
      subscribe: {
        unacknowledged_tasks: [...tasks.values()],
        unacknowledged_updates: [...updates.values()].map(status => ({ status })),
      },
    }),
  );
}

say(`begun ${process.pid}`);
if (conf.mute === true) setInterval(() => {}, 60_000);
else subscribe();
