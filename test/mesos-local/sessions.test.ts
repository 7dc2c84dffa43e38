// sessions.test.ts: sessions of an agent whose users come and go while they begin.

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { openSessions } from '../../mesos/local/sessions/server.ts';
import { launchCall, type SessionEnd } from '../../mesos/sessions.ts';
import { silent } from './support/machine.ts';

test('whoever hangs up before his session has begun leaves nobody running', async t => {
  const asked = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<SessionEnd>();
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  let kills = 0;
  const kill = () => {
    kills++;
    for (const stream of Object.values(streams)) stream.destroy();
    ended.resolve({ signal: 9 });
  };
  const sessions = openSessions({
    agent_id: 'a',
    log: silent,
    admits: () => true,
    tenants: () => [],
    // An engine takes its time.
    run: async () => {
      asked.resolve();
      await begun.promise;
      return { ...streams, ended: ended.promise, resize: () => undefined, kill };
    },
  });
  const gone = Promise.withResolvers<void>();
  const served = Promise.withResolvers<void>();
  const server = createServer((incoming, response) => {
    response.on('close', gone.resolve);
    void sessions.serve(incoming, response, '/api/v1').then(() => served.resolve(), served.reject);
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const headers = { 'content-type': 'application/json' };
  const user = request({ host: '127.0.0.1', port, method: 'POST', path: '/api/v1', agent: false, headers });
  user.on('error', () => undefined);
  user.end(JSON.stringify(launchCall({ value: 's', parent: { value: 'task' } }, { command: ['/bin/cat'] })));
  await asked.promise;
  user.destroy();
  await gone.promise;
  begun.resolve();
  // Left running it would be as long as its task.
  const rest = setTimeout(() => served.reject(new Error('it still runs')), 5_000);
  await served.promise;
  clearTimeout(rest);
  t.is(kills, 1);
});
