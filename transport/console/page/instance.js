// instance.js: one instance as somebody wants to see it at three in the morning: is it well, what of it runs, what happened.
//
// Answers first: its state and its health stand on top in words. Below them its processes, where it is reached, and what it
// went through, the latest first. The feed does not carry what executors report, so it is asked for anew while it is looked at.

import { readInstance, readUsage, snoozeInstance, wakeInstance } from './api.js';
import { askFor } from './dialog.js';
import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { badge } from './list.js';
import { live, local, span } from './time.js';
import { report } from './toast.js';
import { usageView } from './usage.js';
import { count, instant, looks, reason, states } from './words.js';

const ask_again_ms = 2_000;

/** `hash(stream, process)`: the address of a log. */
export function instanceView({ key, name, run, index, close, hash }) {
  let timer;
  let ended = false;
  let shown = '';
  const usage = usageView();
  const body = h('div.life', { tabindex: '0', 'aria-label': `Instance ${index} of ${name}`, 'aria-busy': 'true' });
  const element = h(
    'aside.log.instance',
    { role: 'dialog', 'aria-label': `Instance ${index} of ${name}` },
    h(
      'header',
      {},
      h('div', {}, h('h2', {}, name), h('small', {}, `instance ${index} of run `, h('code', {}, run))),
      h('button.plain', { type: 'button', 'aria-label': 'Close', onclick: close }, icon('cross')),
    ),
    h('div.log-tools', {}, tabs('life', hash)),
    body,
  );

  const look = async () => {
    clearTimeout(timer);
    const [answer, used] = document.hidden
      ? []
      : await Promise.all([readInstance(key, run, index), readUsage(key, run, index)]);
    if (ended) return;
    if (used !== undefined) usage.tell(used.ok ? used.body : undefined);
    if (answer?.ok) draw(answer.body);
    else if (answer !== undefined && shown === '') fill(body, h('p.empty', {}, answer.message));
    timer = setTimeout(look, ask_again_ms);
  };
  const draw = detail => {
    // What is the same is left alone: a text that is being selected, a button under a finger.
    const text = JSON.stringify({ ...detail, instance: { ...detail.instance, task: said(detail.instance.task) } });
    if (text === shown) return;
    shown = text;
    const { instance, events } = detail;
    fill(
      body,
      now(instance),
      usage.element,
      instance.task?.health !== undefined && health(instance, { snooze, wake }),
      instance.task !== undefined && processes(instance.task, hash),
      instance.ports !== undefined && Object.keys(instance.ports).length > 0 && ports(instance),
      story(events),
    );
    body.removeAttribute('aria-busy');
  };
  const snooze = async () => {
    const given = await askFor({
      title: 'Snooze its health checks?',
      text: 'Nobody looks whether it is well, and it is not ended for being sick. It ends with this attempt at the latest.',
      fields: [
        {
          name: 'minutes',
          label: 'For',
          input: h(
            'select',
            {},
            [
              ['15', '15 minutes'],
              ['60', 'one hour'],
              ['240', 'four hours'],
              ['1440', 'a day'],
              ['', 'until somebody wakes it'],
            ].map(([value, words]) => h('option', { value }, words)),
          ),
        },
      ],
      action: 'Snooze',
    });
    if (given === undefined) return;
    const wish = given.minutes === '' ? {} : { minutes: Number(given.minutes) };
    report(await snoozeInstance(key, index, wish), 'Its executor is being told to snooze', 'Not snoozed');
    await look();
  };
  const wake = async () => {
    report(await wakeInstance(key, index), 'Its executor is being told to look again', 'Not woken');
    await look();
  };

  return {
    element,
    tell: () => undefined,
    begin() {
      void look();
      body.focus({ preventScroll: true });
    },
    end() {
      ended = true;
      clearTimeout(timer);
      element.remove();
    },
  };
}

/** The ways to look at one instance. */
export const tabs = (selected, hash) =>
  h(
    'div.tabs',
    { role: 'tablist' },
    [
      ['life', 'Instance'],
      ['stdout', 'stdout'],
      ['stderr', 'stderr'],
      ['files', 'Files'],
    ].map(([which, words]) =>
      h('a.tab', { role: 'tab', href: hash(which), 'aria-selected': String(which === selected) }, words),
    ),
  );

/** When it was heard changes with every word, what was said seldom does. */
const said = task => (task === undefined ? undefined : { ...task, heard_at: undefined });

// --- parts ----------------------------------------------------------------------------------------------------------

function now({ state, attempt, failures, hostname, started_at, since, not_before, reason: why, pending_reason }) {
  const text =
    why !== undefined
      ? reason(why)
      : (pending_reason ?? (not_before === undefined ? undefined : `tries again at ${local(instant(not_before))}`));
  return h(
    'section',
    {},
    h(
      'p.stand',
      {},
      badge(state, states[state] ?? state, looks[state] ?? state),
      started_at !== undefined && h('span', {}, 'for ', live(instant(started_at), 'since')),
      started_at === undefined && since !== undefined && h('span', {}, 'for ', live(instant(since), 'since')),
      hostname !== undefined && h('span', {}, `on ${hostname}`),
      h('span', {}, `attempt ${attempt}`),
      failures > 0 && h('span.bad', {}, count(failures, 'failure')),
    ),
    text !== undefined && h('p.why', {}, text),
  );
}

function health({ task, snooze: wish }, { snooze, wake }) {
  const { up, failures_in_a_row, history, snoozed_since, snoozed_until } = task.health;
  const [look, words] =
    snoozed_since !== undefined
      ? ['paused', 'Snoozed']
      : !up
        ? ['scheduled', 'Not well yet']
        : failures_in_a_row === 0
          ? ['running', 'Well']
          : ['failed', 'Sick'];
  const last = history.findLast(one => !one.ok);
  const act = (text, drawing, work) => h('button.small', { type: 'button', onclick: work }, icon(drawing), text);
  return h(
    'section',
    {},
    h(
      'header',
      {},
      h('h3', {}, 'Health'),
      snoozed_since === undefined ? act('Snooze', 'pause', snooze) : act('Wake', 'play', wake),
    ),
    h(
      'p.stand',
      {},
      badge(look, words, look),
      snoozed_since !== undefined &&
        h(
          'span',
          {},
          'since ',
          live(instant(snoozed_since)),
          snoozed_until === undefined ? ', until somebody wakes it' : `, until ${local(instant(snoozed_until))}`,
          wish?.by !== undefined && `, by ${wish.by}`,
        ),
      snoozed_since === undefined && failures_in_a_row > 0 && h('span.bad', {}, `${failures_in_a_row} bad in a row`),
      wish !== undefined && !wish.heard && h('span', {}, wish.over ? 'is being woken' : 'is being snoozed'),
    ),
    h(
      'ol.checks',
      { 'aria-label': 'The latest checks, oldest first' },
      history.map(one =>
        h(
          `li.${one.ok ? 'good' : 'bad'}`,
          { title: `${local(instant(one.at))}: ${one.ok ? 'well' : one.why}` },
          icon(one.ok ? 'check' : 'cross'),
          h('span', {}, one.ok ? 'well' : `sick: ${one.why}`),
        ),
      ),
    ),
    last !== undefined && h('p.why', {}, last.why, ' ', h('small', {}, live(instant(last.at)))),
  );
}

const process_looks = {
  waiting: 'waiting',
  forked: 'scheduled',
  running: 'running',
  succeeded: 'done',
  failed: 'failed',
  stopped: 'stopped',
};
const process_states = { forked: 'Starting', succeeded: 'Succeeded', stopped: 'Stopped' };

function processes({ processes: all, heard_at, stage }, hash) {
  return h(
    'section',
    {},
    h(
      'header',
      {},
      h('h3', {}, 'Processes'),
      h('small', {}, stage === 'active' ? '' : `${stage} · `, 'heard ', live(instant(heard_at))),
    ),
    h(
      'ul.processes',
      {},
      all.map(({ name, status, runs, failures, losses, since, last, pid }) =>
        h(
          'li',
          {},
          badge(process_looks[status], process_states[status] ?? states[status] ?? status, process_looks[status]),
          h('strong', {}, name),
          h(
            'span.facts',
            {},
            [
              since !== undefined && ['for ', live(instant(since), 'since')],
              pid !== undefined && `pid ${pid}`,
              runs > 1 && count(runs, 'run'),
              failures > 0 && count(failures, 'failure'),
              losses > 0 && count(losses, 'loss', 'losses'),
              last !== undefined && `last: ${last}`,
            ]
              .filter(Boolean)
              .flatMap((fact, n) => (n === 0 ? [fact] : [' · ', fact])),
          ),
          runs > 0 && h('a.button.small', { href: hash('stdout', name) }, icon('log'), 'Log'),
        ),
      ),
    ),
  );
}

function ports({ ports: all, hostname }) {
  return h(
    'section',
    {},
    h('h3', {}, 'Ports'),
    h(
      'dl',
      {},
      Object.entries(all).map(([name, port]) => [h('dt', {}, name), h('dd', {}, h('code', {}, `${hostname}:${port}`))]),
    ),
  );
}

const event_words = {
  pending: 'Waits for a place',
  assigned: 'Has a place',
  running: 'Runs',
  unreachable: 'Its agent is out of reach',
  awaiting: 'Waits for its call-back',
  killing: 'Is being killed',
  finished: 'Ended',
  failed: 'Failed',
  killed: 'Killed',
  lost: 'Lost',
};
const event_looks = { finished: 'done', killed: 'killed', lost: 'alert', ...looks };

/** The latest first; the instants of one attempt stand together. */
function story(events) {
  return h(
    'section',
    {},
    h('h3', {}, 'Events'),
    events.length === 0 && h('p.empty', {}, 'Nothing is known of what it went through.'),
    h(
      'ol.story',
      {},
      events
        .map((one, n) =>
          h(
            `li.${one.state}`,
            {},
            h('span.mark', {}, icon(event_looks[one.state] ?? one.state)),
            h('span', {}, h('strong', {}, event_words[one.state]), detailOf(one)),
            h('span.attempt', {}, events[n + 1]?.attempt === one.attempt ? '' : `attempt ${one.attempt}`),
            h('time', { datetime: one.at, title: one.at }, local(instant(one.at))),
          ),
        )
        .reverse(),
    ),
  );
}

function detailOf({ state, hostname, by, reason: why, ran_ms }) {
  const facts = [
    state === 'assigned' && hostname !== undefined && `on ${hostname}`,
    by !== undefined && `by ${by}`,
    why !== undefined && reason(why),
    ran_ms !== undefined && `after ${span(ran_ms)}`,
  ].filter(Boolean);
  return facts.length === 0 ? '' : `: ${facts.join(', ')}`;
}
