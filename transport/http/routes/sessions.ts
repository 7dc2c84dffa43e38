// sessions.ts: the route at which a command in a running task is asked for, as far as it is plain HTTP: a way to be told of it.
//
// Whoever asks for the WebSocket is served by the session desk (transport/terminal/desk.ts) and never comes here.

import { z } from 'zod';
import { subprotocol } from '../../terminal/words.ts';
import { Refused } from '../problems.ts';
import { job_path, problem, type Route } from '../route.ts';

export const session_routes: readonly Route[] = [
  {
    method: 'GET',
    path: `${job_path}/session`,
    id: 'openSession',
    tag: 'runs',
    summary: 'Run a command, or a shell, in a running task',
    description:
      'A WebSocket. Text messages are words in JSON, the first of them `begin`; binary messages are bytes, those of the server behind one byte that says where they were written (1 stdout, 2 stderr). Whoever hangs up ends the command; so does a silence of `--session-idle-ms`. Its beginning and its end are in the audit, and who was not permitted too.',
    permission: 'operate',
    query: z.strictObject({
      run: z.string().max(255).optional().describe('Which of its active runs; the newest when left out.'),
      instance: z
        .string()
        .regex(/^\d{1,6}$/, 'expected its number, from 0')
        .optional()
        .describe('Which instance; the first that runs when left out.'),
    }),
    headers: {
      Upgrade: '`websocket`. Required.',
      'Sec-WebSocket-Protocol': `\`${subprotocol}\`, which is what is spoken when it is left out too.`,
    },
    messages: { client: 'SessionClientWord', server: 'SessionServerWord' },
    answers: {
      101: { description: 'The WebSocket is open; a refusal from here on is a word.' },
      404: problem('There is no such job.'),
      409: problem('It does not run.'),
      426: problem('This is a WebSocket: ask for the upgrade.'),
      502: problem('Mesos cannot reach the agent on which it runs.'),
      503: problem('Too many commands are being run in tasks.'),
    },
    handle() {
      throw new Refused('upgrade-required', 'a session is a WebSocket: expected the header Upgrade: websocket', [], {
        upgrade: 'websocket',
        connection: 'upgrade',
      });
    },
  },
];
