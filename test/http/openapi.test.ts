// openapi.test.ts: the description of the API describes the API.

import test from 'ava';
import { allRoutes } from '../../transport/http/server.ts';
import { serve } from './support/serve.ts';

type Json = Record<string, unknown>;
const methods = ['get', 'post', 'put', 'delete'];

/** Every `$ref` below a value. */
function references(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, each]) =>
    name === '$ref' && typeof each === 'string' ? [each] : references(each),
  );
}

test('it is OpenAPI 3.1: every operation has a name of its own, words, parameters and answers', async t => {
  const { ask } = await serve(t);
  const { status, json, headers } = await ask('GET', '/api/v1/openapi.json');
  t.is(status, 200);
  t.is(headers['content-type'], 'application/json');
  t.is(json.openapi, '3.1.0');
  t.like(json.info, { title: 'Horae', version: '1.2.3' });
  const ids = new Set<unknown>();
  for (const [path, item] of Object.entries(json.paths as Record<string, Record<string, Json>>)) {
    t.true(path.startsWith('/'), path);
    for (const [method, operation] of Object.entries(item)) {
      const place = `${method} ${path}`;
      t.true(methods.includes(method), place);
      t.false(ids.has(operation.operationId), place);
      ids.add(operation.operationId);
      t.truthy(operation.summary, place);
      const parameters = (operation.parameters ?? []) as {
        name: string;
        in: string;
        required: boolean;
        schema: Json;
      }[];
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(match => match[1]);
      t.deepEqual(
        parameters.filter(each => each.in === 'path').map(each => each.name),
        named as string[],
        place,
      );
      t.true(parameters.every(each => each.in !== 'path' || each.required));
      t.true(parameters.every(each => typeof each.schema === 'object'));
      const responses = operation.responses as Record<string, Json>;
      t.true(
        Object.keys(responses).some(code => /^[12]/.test(code)),
        place,
      );
      t.true(Object.values(responses).every(each => typeof each.description === 'string' && each.description !== ''));
    }
  }
});

test('every reference leads somewhere', async t => {
  const { ask } = await serve(t);
  const { json } = await ask('GET', '/api/v1/openapi.json');
  const found = references(json);
  t.true(found.length > 20);
  for (const reference of found) {
    let at: unknown = json;
    for (const step of reference.replace(/^#\//, '').split('/')) at = (at as Json | undefined)?.[step];
    t.truthy(at, reference);
  }
});

test('every route that is served is described, and nothing else', async t => {
  const { ask } = await serve(t);
  const { json } = await ask('GET', '/api/v1/openapi.json');
  const described = Object.entries(json.paths as Record<string, Json>).flatMap(([path, item]) =>
    Object.keys(item).map(method => `${method.toUpperCase()} ${path}`),
  );
  const served = allRoutes('1').map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
  t.deepEqual(described.toSorted(), served.toSorted());
});

test('the schema of a submission is the one that checks: its fields are described, others refused', async t => {
  const { ask } = await serve(t);
  const { json } = await ask('GET', '/api/v1/openapi.json');
  const { schemas } = json.components as { schemas: Record<string, Json> };
  const submission = schemas.JobSubmission as { properties: Record<string, Json>; additionalProperties: unknown };
  t.is(submission.additionalProperties, false);
  t.like(submission.properties.cpus, { type: 'number', exclusiveMinimum: 0 });
  t.deepEqual((submission as Json).required, ['role', 'environment', 'name']);
});

test('the WebSocket of a session is described with its words, and asked for plainly it says what it is', async t => {
  const { ask } = await serve(t);
  const { json } = await ask('GET', '/api/v1/openapi.json');
  const path = '/api/v1/jobs/{role}/{environment}/{name}/session';
  const operation = (json.paths as Record<string, Record<string, Json>>)[path]!.get!;
  t.true(Object.keys(operation.responses as Json).includes('101'));
  const names = (operation.parameters as { name: string; in: string }[]).filter(each => each.in !== 'path');
  t.deepEqual(
    names.map(({ name }) => name),
    ['run', 'instance', 'Upgrade', 'Sec-WebSocket-Protocol'],
  );
  t.deepEqual(operation['x-websocket'], {
    client: { $ref: '#/components/schemas/SessionClientWord' },
    server: { $ref: '#/components/schemas/SessionServerWord' },
  });
  const plain = await ask('GET', '/api/v1/jobs/www/prod/hello/session');
  t.is(plain.status, 426);
  t.is(plain.headers.upgrade, 'websocket');
});
