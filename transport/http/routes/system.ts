// system.ts: the routes about the scheduler itself: health, metrics, what waits, who did what, and the API's description.

import { z } from 'zod';
import type { AuditRow } from '../../../actors/model/records.ts';
import { permits } from '../../credentials.ts';
import { exposition_type } from '../../metrics.ts';
import { chronosMetrics, wantsChronos } from '../chronos/metrics.ts';
import { isTimed, nextPage, page_query, readCursor } from '../cursor.ts';
import { iso } from '../resources.ts';
import { type Exchange, limit_query, limitOf, type Reply, type Route } from '../route.ts';

/** `openapi`: the document, made once from all the routes there are, these among them. */
export function systemRoutes(openapi: () => unknown): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/health',
      id: 'health',
      tag: 'system',
      summary: 'Whether the scheduler answers, and how far its journal has come',
      permission: 'nothing',
      answers: { 200: { description: 'It answers.', schema: 'Health' } },
      handle: ({ services: { views, version, serversets } }) => {
        const lists = serversets?.();
        return {
          status: 200,
          body: {
            status: 'ok',
            version,
            position: views.position(),
            jobs: views.job_count(),
            ...(lists === undefined ? {} : { serversets: { ...lists, since: iso(lists.since) } }),
          },
        };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/openapi.json',
      id: 'openapi',
      tag: 'system',
      summary: 'This description',
      permission: 'nothing',
      answers: { 200: { description: 'OpenAPI 3.1.', type: 'application/json' } },
      handle: () => ({ status: 200, body: openapi() }),
    },
    ...['/metrics', '/api/v1/metrics'].map(
      (path): Route => ({
        method: 'GET',
        path,
        id: path === '/metrics' ? 'metrics' : 'metricsOfApi',
        tag: 'system',
        summary:
          path === '/metrics'
            ? "Metrics for Prometheus; for whoever accepts application/json first, those of Chronos's jobs as it told them"
            : 'Metrics for Prometheus',
        permission: 'read',
        answers: { 200: { description: 'Text exposition 0.0.4.', type: 'text/plain' } },
        handle: exchange => {
          if (path === '/metrics' && wantsChronos(exchange)) return chronosMetrics(exchange);
          return { status: 200, text: { type: exposition_type, text: exchange.services.metrics.text() } };
        },
      }),
    ),
    {
      method: 'GET',
      path: '/api/v1/pending',
      id: 'listPending',
      tag: 'system',
      summary: 'Instances that wait for an offer, and why',
      permission: 'read',
      description: 'In the order of their names. Only those of jobs whose role the sender may read.',
      query: z.strictObject({
        limit: limit_query.describe('Rows in this page; 100 when left out.'),
        after: z.string().max(1_000).optional().describe('From the `next` of the page before.'),
      }),
      answers: { 200: { description: 'Who waits.', schema: 'PendingPage' } },
      handle: pending,
    },
    {
      method: 'GET',
      path: '/api/v1/audit',
      id: 'listAudit',
      tag: 'system',
      summary: 'Who did what, newest first',
      permission: 'admin',
      scope: '*',
      query: page_query,
      answers: { 200: { description: 'A page of the audit.', schema: 'AuditPage' } },
      handle: audit,
    },
  ];
}

function pending(exchange: Exchange): Reply {
  const { who, query, services } = exchange;
  const limit = limitOf(exchange);
  const after = readCursor(query.after, () => true);
  // Somebody who may read everything is not asked about every row.
  const sees = permits(who, 'read', '*') ? undefined : (role: string) => permits(who, 'read', role);
  const { rows, total, next } = services.views.pending_page(limit, after, sees);
  const link = nextPage('/api/v1/pending', limit, next, 'after');
  return { status: 200, body: { pending: rows.map(row => ({ ...row, since: iso(row.since) })), total, ...link } };
}

function audit(exchange: Exchange): Reply {
  const limit = limitOf(exchange);
  const before = readCursor(exchange.query.before, isTimed);
  const { rows, next } = exchange.services.history.page('audit', '', limit, before);
  const link = nextPage('/api/v1/audit', limit, next);
  const shown = rows.map(row => {
    const { at, ...rest } = row.body as AuditRow;
    return { at: iso(at), ...rest };
  });
  return { status: 200, body: { audit: shown, ...link } };
}
