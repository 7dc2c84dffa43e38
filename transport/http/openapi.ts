// openapi.ts: the API's own description, printed from the routes and the schemas that check.
//
// Nothing is described twice: a path, its parameters and its answers come from the route that is served, the shapes from
// the zod schemas that read what comes in and that the tests hold against what goes out.

import { z } from 'zod';
import { calendar_types, json_types, yaml_types } from './body.ts';
import { problem_type } from './problems.ts';
import { type Answered, problem, type Route } from './route.ts';
import { components } from './schemas.ts';

type Json = Record<string, unknown>;

export function openapiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Horae',
      version,
      summary: 'One scheduler for services, recurring jobs, dependent jobs and jobs that run once',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'jobs', description: 'What is to be done' },
      { name: 'runs', description: 'What is being done and has been done' },
      { name: 'updates', description: 'Services that are brought to another document, some instances at a time' },
      { name: 'calendars', description: 'Days on which work rests, under names' },
      { name: 'notifications', description: 'What people are told of what becomes of jobs' },
      { name: 'discovery', description: 'Where what runs can be reached' },
      { name: 'system', description: 'The scheduler itself' },
      { name: 'chronos', description: "Chronos's API, as its clients know it" },
    ],
    paths,
    components: {
      schemas: schemas(),
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  };
}

function operation(route: Route): Json {
  const parameters = [
    ...[...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...queryParameters(route),
    ...(route.permission === 'nothing' || route.messages !== undefined ? [] : wishes(route)),
    ...Object.entries(route.headers ?? {}).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      required: description.endsWith('Required.'),
      schema: { type: 'string' },
    })),
  ];
  const answers: Record<string, Answered> = {
    ...route.answers,
    ...(route.permission === 'nothing'
      ? {}
      : {
          401: problem('Nobody is known by these credentials.'),
          403: problem('A permission is missing, or the page or the host is foreign.'),
        }),
    default: problem('Any other refusal.'),
  };
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: Object.fromEntries(
              route.body.types
                .filter(type => [json_types[0], yaml_types[0], calendar_types[0]].some(each => each === type))
                .map(type => [type, type === 'text/calendar' ? {} : { schema: reference(route.body!.schema) }]),
            ),
          },
        }),
    responses: Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(answer)])),
    security: route.permission === 'nothing' ? [] : [{ basic: [] }, { bearer: [] }, {}],
    'x-horae-permission': route.permission,
    // OpenAPI ends where the answer does: what a WebSocket says stands beside it.
    ...(route.messages === undefined
      ? {}
      : {
          'x-websocket': {
            client: reference(route.messages.client),
            server: reference(route.messages.server),
          },
        }),
  };
}

function queryParameters(route: Route): Json[] {
  if (route.query === undefined) return [];
  const schema = z.toJSONSchema(route.query, { io: 'input' }) as {
    properties?: Record<string, Json>;
    required?: readonly string[];
  };
  return Object.entries(schema.properties ?? {}).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    required: schema.required?.includes(name) ?? false,
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

/** What any request may wish about the cluster. */
function wishes(route: Route): Json[] {
  const schema = { type: 'boolean' };
  if (route.method === 'GET')
    return [
      {
        name: 'consistent',
        in: 'query',
        required: false,
        description: 'Wait until this node has everything that was acknowledged before the request.',
        schema,
      },
    ];
  const description = 'Be sent to the leader (307) instead of being handed on to it; so does `Prefer: redirect`.';
  return [{ name: 'redirect', in: 'query', required: false, description, schema }];
}

function response({ description, schema, type }: Answered): Json {
  if (schema === undefined && type === undefined) return { description };
  const media = type ?? (schema === 'Problem' ? problem_type : 'application/json');
  return { description, content: { [media]: schema === undefined ? {} : { schema: reference(schema) } } };
}

const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });

function schemas(): Json {
  return Object.fromEntries(
    Object.entries(components).map(([name, schema]) => {
      const written = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json;
      // A schema with a name of its own is written as a reference to a definition beside it.
      const own = (written.$defs as Record<string, Json> | undefined)?.[name] ?? written;
      const { $schema: _, id: __, $defs: ___, ...rest } = own;
      // What it holds of others with names of their own stands beside it, not within.
      return [name, JSON.parse(JSON.stringify(rest).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json];
    }),
  );
}
