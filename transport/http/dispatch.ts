// dispatch.ts: one request from its head to the end of its answer.
//
// Every request walks the same corridor: is it for us (Host), is it from us (Origin), what does it want (route), who
// sends it (credentials), may they (permission), does the query make sense, and only then the handler. Whatever is thrown
// on the way ends here and becomes an answer.

import type { IncomingMessage, ServerResponse } from 'node:http';
import createRouter, { type HTTPMethod } from 'find-my-way';
import type { Credentials } from '../credentials.ts';
import { allowedOrigin, authenticate, authorize, checkHost, checkOrigin, type GuardRules } from './guard.ts';
import { grant, takeWishes } from './leader.ts';
import { inShort, problem_type, problemDocument, Refused } from './problems.ts';
import { present } from './resources.ts';
import { type Exchange, type Reply, type Route, type Services, streaming } from './route.ts';

/** Files that belong to the console's page, by path. */
export type Page = (path: string) => PageFile | undefined;
export type PageFile = { readonly body: Uint8Array; readonly type: string; readonly etag: string };

/** What the page may load, and from where: from here alone, and nothing that is made of text. */
const page_policy =
  "default-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

export type DispatchInputs = {
  readonly routes: readonly Route[];
  readonly services: Services;
  readonly credentials: Credentials | undefined;
  /** Known once the server listens. */
  readonly rules: () => GuardRules;
  readonly page: Page;
};

const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const;
const request_id_sane = /^[A-Za-z0-9._-]{1,64}$/;

export function createDispatch({ routes, services, credentials, rules, page }: DispatchInputs) {
  const router = createRouter({ maxParamLength: 2_000, caseSensitive: true });
  for (const route of routes) router.on(route.method, route.path, () => undefined, route);
  const { metrics, clock, log } = services;

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const began = clock.monotonic();
    const given = request.headers['x-request-id'];
    // The id names an audit row and finds the answer, so what a client chose is only its beginning.
    const own = services.ids();
    const request_id = typeof given === 'string' && request_id_sane.test(given) ? `${given}.${own}` : own;
    response.setHeader('x-request-id', request_id);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('referrer-policy', 'no-referrer');
    response.on('error', error => log.debug({ request_id, error: error.message }, 'a client went away'));
    request.on('error', error => log.debug({ request_id, error: error.message }, 'a client went away'));

    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    let route: Route | undefined;
    let name = 'unknown';
    let followed = false;
    try {
      const { path, query } = target(request);
      checkHost(request, rules());
      checkOrigin(request, rules());
      const origin = allowedOrigin(request, rules());
      if (origin !== undefined) allowReading(response, origin);
      if (method === 'OPTIONS') return options(response, origin, allowed(path));
      const found = router.find(method as HTTPMethod, path);
      route = found?.store as Route | undefined;
      if (route === undefined || found === null) {
        const file = method === 'GET' ? page(path) : undefined;
        if (file === undefined) throw notServed(method, path, allowed(path));
        name = 'page';
        authorize(await authenticate(request, credentials), 'read', undefined);
        sendFile(request, response, file);
        return;
      }
      name = route.path;
      const params = found.params as Record<string, string>;
      const who = route.permission === 'nothing' ? nobody : await authenticate(request, credentials);
      if (route.permission !== 'nothing') authorize(who, route.permission, params.role ?? route.scope);
      const wishes = takeWishes(request, query);
      const granted = await grant(wishes, services.cluster, request);
      if (granted !== undefined) return send(response, granted);
      const exchange: Exchange = {
        request,
        response,
        params,
        query: readQuery(route, query),
        who,
        request_id,
        services,
      };
      // A read is at least as new as this; what was written here is in it.
      response.setHeader('horae-position', String(services.views.position()));
      const reply = await route.handle(exchange);
      if (!response.headersSent) response.setHeader('horae-position', String(services.views.position()));
      if (reply === streaming) followed = true;
      else send(response, reply);
    } catch (error) {
      const refused = error instanceof Refused ? error : failed(error, request_id);
      if (refused.kind === 'failed')
        log.error(
          { request_id, method, url: request.url, error: String(error), stack: stackOf(error) },
          'a request failed',
        );
      if (response.headersSent) response.destroy();
      else send(response, (route?.refuse ?? asProblem)(refused, services));
    } finally {
      metrics
        .counter('horae_http_requests_total', {
          route: name,
          method: known(method),
          status: String(response.statusCode),
        })
        .add();
      if (!followed) metrics.histogram('horae_http_request_seconds').observe((clock.monotonic() - began) / 1000);
      log.debug({ request_id, method, url: request.url, status: response.statusCode }, 'answered');
    }
  };

  /** What may be done to a path, for 405 and OPTIONS. */
  function allowed(path: string): string[] {
    const able: string[] = methods.filter(each => router.find(each, path) !== null);
    if (!able.includes('GET') && page(path) !== undefined) able.push('GET');
    return able.includes('GET') ? [...able, 'HEAD'] : able;
  }
}

const nobody = { name: 'anonymous', grants: [] };
const known = (method: string) => (methods.some(each => each === method) ? method : 'other');
const stackOf = (error: unknown) => (error instanceof Error ? error.stack : undefined);
const failed = (_error: unknown, request_id: string) =>
  new Refused('failed', `the request failed inside the scheduler; its log says more under request ${request_id}`);

/** Path and query of a request, whatever form its target has. */
function target(request: IncomingMessage): { path: string; query: URLSearchParams } {
  const whole = (request.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '');
  const cut = whole.indexOf('?');
  const path = cut < 0 ? whole : whole.slice(0, cut);
  try {
    decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) throw new Refused('malformed', `the path ${path.slice(0, 200)} is not valid UTF-8`);
    throw error;
  }
  return { path: path === '' ? '/' : path, query: new URLSearchParams(cut < 0 ? '' : whole.slice(cut + 1)) };
}

function notServed(method: string, path: string, able: readonly string[]): Refused {
  if (able.length === 0)
    return new Refused(
      'not-found',
      `there is nothing at ${path.slice(0, 200)}: see /api/v1/openapi.json for what there is`,
    );
  return new Refused(
    'wrong-method',
    `${method} cannot be done to ${path.slice(0, 200)}: expected ${able.join(', ')}`,
    [],
    {
      allow: able.join(', '),
    },
  );
}

function readQuery(route: Route, query: URLSearchParams): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of query) {
    if (Object.hasOwn(given, name))
      throw new Refused('malformed', `the parameter "${name.slice(0, 40)}" is given twice: expected it once`);
    given[name] = value;
  }
  // A dialect ignores what it does not know, as its original did.
  if (route.refuse !== undefined) return given;
  const known_names = Object.keys(route.query?.shape ?? {});
  const problems = Object.keys(given)
    .filter(name => !known_names.includes(name))
    .map(name => ({
      place: `?${name.slice(0, 40)}`,
      value: given[name]?.slice(0, 100),
      message: `unknown parameter "${name.slice(0, 40)}"`,
      expected: known_names.length === 0 ? 'no parameters' : `one of ${known_names.join(', ')}`,
    }));
  const read = route.query?.safeParse(
    Object.fromEntries(Object.entries(given).filter(([name]) => known_names.includes(name))),
  );
  for (const issue of read?.error?.issues ?? [])
    problems.push({
      place: `?${issue.path.join('.')}`,
      value: given[String(issue.path[0])]?.slice(0, 100),
      message: `"${given[String(issue.path[0])]?.slice(0, 100)}" will not do`,
      expected: issue.message.replace(/^Invalid.*: /, ''),
    });
  if (problems.length > 0) throw new Refused('malformed', inShort(problems), problems);
  return given;
}

function send(response: ServerResponse, { status, headers = {}, body, text }: Reply): void {
  const type = text?.type ?? (body === undefined ? undefined : (headers['content-type'] ?? 'application/json'));
  const bytes = text !== undefined ? text.text : body === undefined ? undefined : JSON.stringify(body);
  response.writeHead(
    status,
    present({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      ...headers,
      'content-type': type,
      'content-length': bytes === undefined ? undefined : String(Buffer.byteLength(bytes)),
    }) as Record<string, string>,
  );
  response.end(bytes);
}

function sendFile(request: IncomingMessage, response: ServerResponse, { body, type, etag }: PageFile): void {
  const fresh = (request.headers['if-none-match'] ?? '').split(',').some(each => each.trim() === etag);
  const headers = {
    etag,
    // Asked for anew each time, answered from the browser's own copy while that is the same: an upgrade shows at once.
    'cache-control': 'no-cache',
    'content-security-policy': page_policy,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
  if (fresh) return void response.writeHead(304, headers).end();
  response.writeHead(200, { ...headers, 'content-type': type, 'content-length': String(body.length) });
  response.end(request.method === 'HEAD' ? undefined : body);
}

const asProblem = (refused: Refused): Reply => ({
  status: refused.status,
  headers: { ...refused.headers, 'content-type': problem_type },
  body: problemDocument(refused),
});

// --- other origins ------------------------------------------------------------------------------------------------------

function allowReading(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader(
    'access-control-expose-headers',
    'ETag, Location, X-Request-Id, Horae-Position, Content-Range, Retry-After',
  );
  response.setHeader('vary', 'Origin');
}

function options(response: ServerResponse, origin: string | undefined, able: readonly string[]): void {
  const headers: Record<string, string> = { allow: able.join(', ') };
  if (origin !== undefined) {
    headers['access-control-allow-methods'] = able.join(', ');
    headers['access-control-allow-headers'] =
      'Authorization, Content-Type, If-Match, Idempotency-Key, X-Request-Id, Prefer, Last-Event-ID, Range';
    headers['access-control-max-age'] = '600';
  }
  response.writeHead(204, headers).end();
}
