// operations.ts: the routes for whoever looks after a node: how much it logs, and what it knows, for a bug report.
//
// Both are about the node that is asked, and about no other. A level holds until it is changed again or the node ends.
// Somebody looks because something is wrong, so nothing here waits for a leader to be well: a change counts at once, is
// said in the node's own log, and goes on record where records can be written.

import { z } from 'zod';
import { log_levels, log_modules } from '../../logs.ts';
import { Refused } from '../problems.ts';
import { command, type Exchange, jsonBody, problem, type Reply, type Route } from '../route.ts';
import { read } from './steering.ts';

const level = z.enum(log_levels);
const module_name = z.enum(log_modules);

export const log_level_request = z
  .strictObject({
    level: level.optional().describe('The least severe lines that are written.'),
    modules: z
      .partialRecord(module_name, level.nullable())
      .optional()
      .describe('Levels of single modules, instead of that; null: as the others.'),
  })
  .describe('What is left out stays as it is.');
export const log_levels_told = z.object({
  node: z.string(),
  level,
  modules: z.partialRecord(module_name, level).describe('Those that have a level of their own.'),
  known_modules: z.array(module_name),
  audited: z
    .boolean()
    .optional()
    .describe('After a change: whether it is on record. Without a leader only the log of the node has it.'),
});

const of_a_node =
  'Of the node that is asked, and of no other. Not kept: when the node starts again, what its settings say holds.';

export const operations_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/log-level',
    id: 'getLogLevel',
    tag: 'system',
    summary: 'How much a node logs',
    description: of_a_node,
    permission: 'admin',
    scope: '*',
    answers: { 200: { description: 'The levels that hold.', schema: 'LogLevels' } },
    handle: exchange => ({ status: 200, body: told(exchange) }),
  },
  {
    method: 'PUT',
    path: '/api/v1/log-level',
    id: 'setLogLevel',
    tag: 'system',
    summary: 'Have a node log more, or less',
    description: `As a whole, or by module. ${of_a_node}`,
    permission: 'admin',
    scope: '*',
    body: { schema: 'LogLevelRequest', types: ['application/json'] },
    answers: { 200: { description: 'The levels that hold now.', schema: 'LogLevels' } },
    handle: setLevel,
  },
  {
    method: 'GET',
    path: '/api/v1/debug',
    id: 'getDebugBundle',
    tag: 'system',
    summary: 'What a node knows of itself, for a bug report',
    description:
      'A .tar.gz of text files: versions, settings without what is secret in them, the last lines of the log, counts, how far the journal is, metrics, health, and how the doctor finds the Mesos.',
    permission: 'admin',
    scope: '*',
    answers: {
      200: { description: 'The bundle.', type: 'application/gzip' },
      404: problem('This server makes none.'),
    },
    handle: bundle,
  },
];

function told({ services: { logs, cluster } }: Exchange) {
  if (logs === undefined) throw new Refused('not-found', 'the levels of this log cannot be asked for');
  return { node: cluster.node_id, ...logs.levels(), known_modules: [...log_modules] };
}

async function setLevel(exchange: Exchange): Promise<Reply> {
  const { services, who } = exchange;
  const { logs, log } = services;
  if (logs === undefined) throw new Refused('not-found', 'the levels of this log cannot be changed');
  const change = read(log_level_request, await jsonBody(exchange, ['application/json']));
  logs.change(change);
  const said = JSON.stringify(change);
  // Whoever turns the log down is its last line.
  log.error({ by: who.name, change }, 'somebody has changed how much is logged');
  return { status: 200, body: { ...told(exchange), audited: await onRecord(exchange, 'set-log-level', said) } };
}

async function bundle(exchange: Exchange): Promise<Reply> {
  const { debug } = exchange.services;
  if (debug === undefined) throw new Refused('not-found', 'this server makes no debug bundle');
  const packed = await debug();
  return {
    status: 200,
    headers: { 'content-disposition': 'attachment; filename="horae-debug.tar.gz"' },
    text: { type: 'application/gzip', text: packed },
  };
}

async function onRecord(exchange: Exchange, type: 'set-log-level', detail: string): Promise<boolean> {
  const answer = await command(exchange, { type, node: exchange.services.cluster.node_id, detail });
  return answer.type === 'noted';
}
