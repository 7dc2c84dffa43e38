// runs.js: the runs of one job: those that live, with their instances, and those that are over.

import { fill, h, keyed, say } from './dom.js';
import { icon } from './icons.js';
import { badge } from './list.js';
import { live, local, moveTo, now, span } from './time.js';
import { cause, count, instant, looks, reason, states } from './words.js';

const log_links_max = 12;

/** Live runs. `reasons(run, index)`: why an instance waits; `kill(run)`; `logHash(run, index)`. */
export function drawLiveRuns(place, runs, { reasons, kill, logHash }) {
  keyed(
    place,
    runs,
    run => run.run,
    run => {
      const parts = {
        counts: h('span.counts', {}),
        kill: h('button.danger.small', { type: 'button', onclick: () => kill(run.run) }, icon('stop'), 'Kill'),
        rows: h('ul.instances', {}),
        more: h('p.more', { hidden: true }),
      };
      const card = h(
        'article.run',
        {},
        h(
          'header',
          {},
          h(
            'div',
            {},
            h('strong', {}, capital(cause(run.cause))),
            h('small', {}, live(run.created_at), h('code.id', {}, run.run)),
          ),
          parts.counts,
          parts.kill,
        ),
        parts.rows,
        parts.more,
      );
      card.parts = parts;
      return card;
    },
    (card, run) => {
      const { counts, rows, more } = card.parts;
      const said = Object.entries(run.statuses).map(
        ([status, n]) => `${n.toLocaleString()} ${(states[status] ?? status).toLowerCase()}`,
      );
      say(
        counts,
        run.killing_by === undefined
          ? run.instance_count > 1
            ? said.join(', ')
            : ''
          : `being killed by ${run.killing_by}`,
      );
      card.classList.toggle('killing', run.killing_by !== undefined);
      drawInstances(rows, run, { reasons, logHash });
      more.hidden = run.instance_count <= run.instances.length;
      say(more, `${count(run.instance_count - run.instances.length, 'further instance')} not shown`);
    },
  );
}

function drawInstances(place, run, { reasons, logHash }) {
  keyed(
    place,
    run.instances,
    one => String(one.index),
    one => {
      const parts = {
        state: h('span.state', {}),
        where: h('span.where', {}),
        ports: h('span.ports', {}),
        since: live(one.record.since, 'since'),
        why: h('p.why', { hidden: true }),
      };
      const line = h(
        'li',
        {},
        h('span.index', { title: 'Instance' }, `#${one.index}`),
        parts.state,
        parts.where,
        parts.ports,
        h('span.since', {}, parts.since),
        h(
          'span.tools',
          {},
          h('a.button.small', { href: `${logHash(run.run, one.index)}/life` }, icon('search'), 'Details'),
          h('a.button.small', { href: logHash(run.run, one.index) }, icon('log'), 'Log'),
        ),
        parts.why,
      );
      line.parts = parts;
      return line;
    },
    (line, { index, record }) => {
      const { state, where, ports, since, why } = line.parts;
      const shown = record.status === 'over' ? record.outcome : record.status;
      if (line.dataset.state !== shown) {
        line.dataset.state = shown;
        fill(state, badge(shown, states[shown] ?? shown, looks[shown] ?? shown));
      }
      const tries = record.attempt > 1 ? `attempt ${record.attempt}` : '';
      say(
        where,
        [record.hostname, tries, record.failures > 0 ? count(record.failures, 'failure') : '']
          .filter(Boolean)
          .join(' · '),
      );
      say(
        ports,
        Object.entries(record.ports ?? {})
          .map(([name, port]) => `${name} ${port}`)
          .join(', '),
      );
      moveTo(since, record.started_at ?? record.since, 'since');
      const text =
        record.status === 'over'
          ? reason(record.reason)
          : record.status === 'pending'
            ? (reasons(run.run, index) ?? later(record, run.retries_max))
            : record.status === 'awaiting'
              ? 'its command has ended; waits for word that its work has'
              : unwell(record);
      why.hidden = text === '';
      say(why, text);
    },
  );
}

/** What is not as it should be with one that runs. */
function unwell({ unhealthy, snooze }) {
  const sick = unhealthy === true ? ['its health checks say that it is sick'] : [];
  if (snooze === undefined || snooze.over === true || snooze.until <= now()) return sick.join('');
  const end = snooze.until === undefined ? 'somebody wakes it' : local(snooze.until);
  return [...sick, `its health checks are snoozed by ${snooze.by} until ${end}`].join('; ');
}

/** Only a failure uses up a retry: whoever lost its place merely tries again. */
function later({ failures, not_before }, retries_max) {
  if (not_before === undefined) return '';
  if (failures === 0) return `tries again at ${local(not_before)}`;
  return `retry ${failures}${retries_max === undefined ? '' : ` of ${retries_max}`} at ${local(not_before)}`;
}

/** Starts that wait for an active run. */
export function drawWaiting(place, starts, total, { kill }) {
  keyed(
    place,
    starts,
    start => start.run,
    start =>
      h(
        'li',
        {},
        badge('waiting'),
        h('span', {}, `${capital(cause(start.cause))}, behind the active run`),
        h('small', {}, live(start.since)),
        h('button.danger.small', { type: 'button', onclick: () => kill(start.run) }, icon('stop'), 'Kill'),
      ),
  );
  place.title = total > starts.length ? `${total} in all` : '';
}

/** Runs that are over, in the shape of the feed: REST's are brought to it by `fromRest`. */
export function drawFinishedRuns(place, runs, { logHash }) {
  keyed(
    place,
    runs,
    run => run.run,
    run => {
      const bad = run.results.find(result => result.outcome !== 'succeeded');
      const tries = Math.max(0, ...run.results.map(result => result.attempts));
      const began = run.started_at ?? run.created_at;
      return h(
        'li',
        {},
        h('span.state', {}, badge(run.outcome, states[run.outcome], looks[run.outcome] ?? run.outcome)),
        h(
          'span.what',
          {},
          h('span', {}, capital(cause(run.cause))),
          h(
            'small',
            {},
            [
              bad === undefined ? undefined : reason(bad.reason),
              run.by === undefined || bad?.reason.code === 'killed' ? undefined : `killed by ${run.by}`,
              tries > 1 ? count(tries, 'attempt') : undefined,
              run.instances > 1 ? count(run.instances, 'instance') : undefined,
            ]
              .filter(Boolean)
              .join(' · '),
          ),
        ),
        h('span.took', {}, span(Math.max(0, run.ended_at - began))),
        h('span.ended', {}, live(run.ended_at)),
        h('span.logs', {}, run.results.length > 0 && logLinks(run, logHash)),
      );
    },
  );
}

function logLinks(run, logHash) {
  if (run.results.length <= 1)
    return [
      h('a.button.small', { href: `${logHash(run.run, run.results[0]?.index ?? 0)}/life` }, icon('search'), 'Details'),
      h('a.button.small', { href: logHash(run.run, run.results[0]?.index ?? 0) }, icon('log'), 'Log'),
    ];
  return run.results
    .slice(0, log_links_max)
    .map(({ index }) =>
      h('a.button.small', { href: logHash(run.run, index), 'aria-label': `Log of instance ${index}` }, `#${index}`),
    );
}

/** A run of REST as the feed would show it; undefined while it is not over. */
export function fromRest(run) {
  if (run.ended_at === undefined) return undefined;
  return {
    run: run.run,
    cause: run.cause,
    instances: run.instance_count,
    created_at: instant(run.created_at),
    ended_at: instant(run.ended_at),
    started_at: run.started_at === undefined ? undefined : instant(run.started_at),
    outcome: run.state,
    by: run.killed_by,
    results: run.instances.map(({ index, attempt, state, reason }) => ({
      index,
      attempts: attempt,
      outcome: state,
      reason,
    })),
  };
}

export const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
