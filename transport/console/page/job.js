// job.js: the page of one job: what it does now, what it has done, when it is due, and what one can do about it.

import * as api from './api.js';
import { commandOf, containerFacts } from './container.js';
import { ask } from './dialog.js';
import { fill, h, keyed, say } from './dom.js';
import { browsing, filesView } from './files.js';
import { icon } from './icons.js';
import { instanceView } from './instance.js';
import { askChildren, drawKin } from './kin.js';
import { badge } from './list.js';
import { logView } from './log.js';
import { capital, drawFinishedRuns, drawLiveRuns, drawWaiting, fromRest } from './runs.js';
import { backfill, drawBackfills, drawPause, pause, resume } from './steer.js';
import { live, local } from './time.js';
import { report, toast } from './toast.js';
import { took } from './took.js';
import { updateCard } from './update.js';
import { catch_ups, count, instant, kinds, late, nameOf, outcomes, overlaps, targets, whys } from './words.js';

const rows_kept_max = 2_000;

/**
 * `log`: `{ run, index, stream }` of the log, or what else of an instance, that is open, if any; `back`: the list; `go(hash)`
 * moves on.
 */
export function jobView({ feed, key, log, back, go }) {
  const [role, environment] = key.split('/');
  const name = nameOf(key);
  const home = api.jobHash(key);
  let head;
  let live_runs = [];
  let kin = null;
  let pending = new Map();
  /** What was read over REST beyond what the feed shows, by its key. */
  const older = { runs: new Map(), outcomes: new Map() };
  const newest = { runs: [], outcomes: [] };
  let log_open;

  const logHash = (run, index) => `${home}/runs/${encodeURIComponent(run)}/${index}`;
  const busy = async (button, work) => {
    button.disabled = true;
    await work();
    button.disabled = false;
  };
  const button = (look, drawing, text, work) => {
    const made = h(
      `button${look}`,
      { type: 'button', onclick: () => busy(made, work) },
      icon(drawing),
      h('span', {}, text),
    );
    return made;
  };

  const kill = async run => {
    const sure = await ask({
      title: 'Kill this run?',
      text: `Its tasks are sent SIGTERM, and SIGKILL after ${(head?.job.kill_grace_ms ?? 0) / 1000} s. ${head?.job.service ? 'The service then stays down.' : ''}`,
      action: 'Kill run',
    });
    if (sure) report(await api.killRun(key, run), 'The run is being killed', 'The run was not killed');
  };
  const actions = {
    start: button('.primary', 'play', 'Start run', async () => {
      const answer = report(await api.startRun(key), 'Run recorded', 'No run was started');
      if (answer.ok && answer.body?.result === 'waiting') toast('good', 'It waits for the active run to end');
    }),
    enable: button('', 'check', 'Enable', async () =>
      report(await api.setEnabled(key, true), 'Enabled', 'Not enabled'),
    ),
    disable: button('', 'disabled', 'Disable', async () =>
      report(await api.setEnabled(key, false), 'Disabled: nothing becomes due', 'Not disabled'),
    ),
    pause: button('', 'pause', 'Pause', () => pause(key, name)),
    resume: button('', 'play', 'Resume', () => resume(key)),
    backfill: button('', 'again', 'Backfill', () =>
      backfill(
        key,
        name,
        head.job.schedules.map(one => one.id),
      ),
    ),
    edit: h('a.button', { href: `${home}/edit` }, icon('edit'), h('span', {}, 'Edit')),
    kill: button('', 'stop', 'Kill all', async () => {
      const sure = await ask({
        title: `Kill all runs of ${name}?`,
        text: `${count(live_runs.length, 'run')} will be killed. What waits will not start, and backfills end.`,
        action: 'Kill all',
      });
      if (sure) report(await api.killAll(key), 'Its runs are being killed', 'The runs were not killed');
    }),
    delete: button('.danger', 'trash', 'Delete', async () => {
      const text = `The job ${key} goes, and its active runs are killed. What it has done stays in the history for a time.`;
      const children_count = kin?.children_count ?? 0;
      const children = children_count > 0 ? await askChildren(name, children_count, text) : undefined;
      if (children_count > 0 && children === undefined) return;
      if (children_count === 0 && !(await ask({ title: `Delete ${name}?`, text, action: 'Delete job' }))) return;
      const deleted = await api.deleteJob(key, head.etag, children);
      const answer = report(deleted, `${name} was deleted`, `${name} was not deleted`);
      if (answer.ok) go(back);
    }),
  };

  const place = {
    state: h('div.now-state', {}),
    about: h('p.about', { hidden: true }),
    alert: h('p.callout', { hidden: true }),
    paused: h('p.callout.paused', { hidden: true }),
    backfills: h('section.card', { hidden: true }),
    runs: h('div.live-runs', {}),
    waiting: h('ul.waiting-starts', {}),
    idle: h('p.empty', {}),
    finished: h('ul.finished', {}),
    finished_none: h('p.empty', {}, 'No run has ended yet.'),
    finished_more: button('.plain.small', 'down', 'Show older runs', () => readOlder('runs')),
    outcomes: h('ul.outcomes', {}),
    outcomes_card: h('section.card', { hidden: true }),
    outcomes_more: button('.plain.small', 'down', 'Show older targets', () => readOlder('outcomes')),
    schedules: h('section.card', { hidden: true }),
    kin: h('section.card', { hidden: true }),
    tally: h('section.card', {}),
    document: h('section.card', {}),
  };
  const update = updateCard(key);
  fill(place.outcomes_card, h('h2', {}, 'Targets'), place.outcomes, place.outcomes_more);
  const body = h(
    'div.columns',
    {},
    h(
      'div.main',
      {},
      update.card,
      h('section.card', {}, h('h2', {}, 'Now'), place.runs, place.waiting, place.idle),
      h('section.card', {}, h('h2', {}, 'Runs'), place.finished, place.finished_none, place.finished_more),
      place.outcomes_card,
    ),
    h('div.side', {}, place.schedules, place.kin, place.backfills, place.tally, place.document),
  );
  const lost = h(
    'div.notice',
    { hidden: true },
    h('h2', {}, 'There is no such job'),
    h('p', {}, key),
    h('a.button', { href: '#/' }, 'All jobs'),
  );
  const header = h(
    'header.job-head',
    {},
    h('a.back', { href: back }, icon('back'), 'Jobs'),
    h('div.title', {}, h('div', {}, h('p.place', {}, `${role} / ${environment}`), h('h1', {}, name)), place.state),
    place.about,
    place.alert,
    place.paused,
    h('div.actions', {}, Object.values(actions)),
  );
  const element = h('section.job', { 'aria-busy': 'true' }, header, body, lost);

  async function readOlder(what) {
    const path = older[what].next ?? `${api.jobPath(key)}/${what === 'runs' ? 'runs' : 'outcomes'}?limit=100`;
    const answer = await api.readPage(path);
    if (!answer.ok) return toast('bad', 'Nothing older could be read', answer.message);
    if (what === 'runs')
      for (const run of answer.body.runs.map(fromRest)) if (run !== undefined) older.runs.set(run.run, run);
    if (what === 'outcomes') for (const row of answer.body.outcomes) older.outcomes.set(outcomeKey(row), row);
    older[what].next = answer.body.next;
    const button = what === 'runs' ? place.finished_more : place.outcomes_more;
    button.classList.toggle('used-up', answer.body.next === undefined || older[what].size > rows_kept_max);
    draw();
  }

  /** The newest from the feed, then what was read of older ones, each once. */
  const together = (what, keyOf) => {
    const all = new Map(newest[what].map(row => [keyOf(row), row]));
    for (const [id, row] of older[what]) if (!all.has(id)) all.set(id, row);
    return [...all.values()];
  };

  const draw = () => {
    const gone = head === null;
    lost.hidden = !gone;
    body.hidden = gone;
    header.classList.toggle('gone', gone);
    element.setAttribute('aria-busy', String(head === undefined));
    if (head === undefined || gone) return;
    const { row, job } = head;
    fill(place.state, badge(row.state), h('small', {}, kinds[row.kind]));
    place.about.hidden = job.description === undefined;
    say(place.about, job.description ?? '');
    const alert =
      row.quarantined ??
      (row.failures_in_a_row > 1 ? `It has failed ${row.failures_in_a_row} times in a row.` : undefined);
    place.alert.hidden = alert === undefined;
    say(
      place.alert,
      row.quarantined === undefined ? (alert ?? '') : `Put aside after a crash of the scheduler: ${alert}`,
    );
    actions.start.hidden = job.service;
    const recurs = job.schedules.length > 0;
    const starts_itself = recurs || job.parents !== undefined;
    actions.pause.hidden = !starts_itself || head.paused !== undefined;
    actions.resume.hidden = head.paused === undefined;
    actions.backfill.hidden = !recurs;
    drawPause(place.paused, head.paused);
    drawBackfills(place.backfills, head.backfills);
    actions.enable.hidden = job.enabled;
    actions.disable.hidden = !job.enabled;
    actions.kill.hidden = live_runs.length === 0;
    for (const [what, action] of Object.entries(actions))
      if (what !== 'edit' && what !== 'kill') action.classList.toggle('off', row.state === 'deleting');

    drawLiveRuns(place.runs, live_runs, { kill, logHash, reasons: (run, index) => pending.get(`${run}/${index}`) });
    drawWaiting(place.waiting, head.waiting, head.waiting_count, { kill });
    place.idle.hidden = live_runs.length + head.waiting.length > 0;
    fill(
      place.idle,
      'Nothing is running.',
      row.next_at === undefined ? '' : [' The next run is due ', live(row.next_at), `, at ${local(row.next_at)}.`],
    );
    const finished = together('runs', run => run.run);
    drawFinishedRuns(place.finished, finished, { logHash });
    place.finished_none.hidden = finished.length > 0;
    place.finished_more.hidden = newest.runs.length < 25 || place.finished_more.classList.contains('used-up');
    const decided = together('outcomes', outcomeKey);
    place.outcomes_card.hidden = decided.length === 0;
    drawOutcomes(place.outcomes, decided);
    place.outcomes_more.hidden = newest.outcomes.length < 25 || place.outcomes_more.classList.contains('used-up');
    drawTally(place.tally, head, finished);
  };

  /** How often the instance of the open log has been tried, as far as is known. */
  const attemptsOf = ({ run, index }) => {
    const live_one = live_runs.find(one => one.run === run)?.instances.find(one => one.index === index)?.record;
    if (live_one !== undefined) return live_one.status === 'pending' ? live_one.attempt - 1 : live_one.attempt;
    return (
      together('runs', one => one.run)
        .find(one => one.run === run)
        ?.results.find(one => one.index === index)?.attempts ?? 1
    );
  };

  const openLog = wanted => {
    const moved = wanted !== undefined && log_open?.move?.(wanted) === true;
    log = wanted;
    if (moved) return;
    log_open?.end();
    log_open = undefined;
    if (wanted === undefined) return;
    const view = wanted.stream === 'life' ? instanceView : browsing.has(wanted.stream) ? filesView : logView;
    log_open = view({
      key,
      name,
      ...wanted,
      close: () => go(home),
      go,
      /** `within`: a process, or the path of a file. */
      hash(stream, within = '', attempt) {
        const base = `${logHash(wanted.run, wanted.index)}/${stream}`;
        const place = within === '' ? base : `${base}/${encodeURIComponent(within)}`;
        return attempt === undefined ? place : `${place}?attempt=${attempt}`;
      },
    });
    element.append(log_open.element);
    log_open.begin();
    log_open.tell(attemptsOf(wanted));
  };

  return {
    element,
    title: `${name} – Horae`,
    key_of: key,
    begin() {
      feed.watch({ watch: 'job', key });
      openLog(log);
    },
    /** The address changed, but not the job. */
    move: openLog,
    frame(frame) {
      if (frame.type !== 'job' || frame.key !== key) return;
      const { parts } = frame;
      if (parts.head !== undefined) {
        if (parts.head !== null && parts.head.version !== head?.version) drawDocument(place.document, parts.head);
        head = parts.head;
      }
      if (parts.runs !== undefined) live_runs = parts.runs;
      if (parts.pending !== undefined)
        pending = new Map(parts.pending.map(one => [`${one.run}/${one.index}`, one.summary]));
      if (parts.update !== undefined) update.draw(parts.update);
      if (parts.finished !== undefined) newest.runs = parts.finished;
      if (parts.outcomes !== undefined) newest.outcomes = parts.outcomes;
      if (parts.kin !== undefined) {
        kin = parts.kin;
        drawKin(place.kin, name, kin, key);
      }
      if (parts.schedules !== undefined) drawSchedules(place.schedules, parts.schedules);
      if (log !== undefined) log_open?.tell(attemptsOf(log));
      draw();
    },
    key(event) {
      if (event.key === 'Escape') go(log_open === undefined ? back : home);
    },
    end: () => openLog(undefined),
  };
}

// --- parts ----------------------------------------------------------------------------------------------------------

function drawSchedules(card, schedules) {
  card.hidden = schedules.length === 0;
  fill(
    card,
    h('h2', {}, schedules.length > 1 ? 'Schedules' : 'Schedule'),
    schedules.map(({ id, text, words, upcoming }) =>
      h(
        'div.schedule',
        {},
        h('p.words', {}, capital(words || text)),
        h('p', {}, h('code', {}, text), schedules.length > 1 && h('small', {}, id)),
        upcoming.length > 0 &&
          h(
            'ol.upcoming',
            { 'aria-label': 'Next targets' },
            upcoming.map(at => h('li', {}, h('span', {}, local(at)), live(at))),
          ),
      ),
    ),
  );
}

function drawTally(card, { row, tally, durations }, finished) {
  // The run of a service never ends, so there is nothing to count until it is killed.
  card.hidden = row.kind === 'service' && row.successes + row.failures === 0;
  const figure = (look, n, text) =>
    h(`div.figure${look}`, {}, h('strong', {}, n.toLocaleString()), h('span', {}, text));
  fill(
    card,
    h('h2', {}, 'So far'),
    h(
      'div.figures',
      {},
      figure('.good', row.successes, 'succeeded'),
      figure(row.failures > 0 ? '.bad' : '', row.failures, 'failed'),
    ),
    took(durations, finished),
    tally?.last_success_at !== undefined && h('p.line', {}, 'Last success ', live(tally.last_success_at)),
    tally?.last_failure_at !== undefined && h('p.line', {}, 'Last failure ', live(tally.last_failure_at)),
  );
}

const outcomeKey = row => `${row.schedule} ${instant(row.to)} ${row.outcome}`;

function drawOutcomes(list, rows) {
  const drawings = { ran: 'check', 'caught-up': 'scheduled', missed: 'alert', skipped: 'pause', superseded: 'mixed' };
  keyed(list, rows, outcomeKey, row =>
    h(
      `li.${row.outcome}`,
      {},
      h(
        'span.verdict',
        {},
        icon(drawings[row.outcome] ?? 'once'),
        capital(outcomes[row.outcome] ?? row.outcome),
        row.count > 1 && ` ×${row.count.toLocaleString()}`,
      ),
      h('span', {}, targets(row)),
      h('small', {}, [whys[row.why] ?? row.why, late(row.late_ms)].filter(Boolean).join(', ')),
    ),
  );
}

function drawDocument(card, { job, version, created_at, updated_at, dialect }) {
  const facts = [
    ['Instances', job.instances > 1 || job.service ? job.instances.toLocaleString() : undefined],
    ['Resources', `${job.cpus} cpus, ${job.mem} MB memory${job.disk > 0 ? `, ${job.disk} MB disk` : ''}`],
    ['Runs as', job.user],
    [
      'Each process',
      Object.entries(job.rlimits ?? {})
        .map(
          ([name, limit]) =>
            `${name} ${typeof limit === 'string' ? limit : [...new Set([limit.soft, limit.hard])].join(' to ')}`,
        )
        .join(', '),
    ],
    ['Ports', job.ports.join(', ')],
    ...containerFacts(job.container),
    [
      'Attempts',
      job.service
        ? 'restarted for ever'
        : job.max_task_failures < 0
          ? 'until it succeeds'
          : job.max_task_failures > 1
            ? `up to ${job.max_task_failures} failures`
            : 'one',
    ],
    ['When a run is active', job.service ? undefined : overlaps[job.overlap.policy]],
    ['Caught up', job.schedules.length === 0 ? undefined : catch_ups[job.catch_up.policy]],
    ['Priority', job.priority === 0 ? undefined : job.priority],
    ['Constraints', job.constraints.map(one => one.join(' ')).join('; ')],
    ['Owner', job.owner],
    [
      'Labels',
      Object.entries(job.labels)
        .map(pair => pair.join('='))
        .join(', '),
    ],
    ['Submitted as', dialect],
    ['Version', `${version}, ${local(updated_at)}`],
    ['Created', local(created_at)],
  ];
  fill(
    card,
    h('h2', {}, 'What it runs'),
    (job.processes ?? [{ command: commandOf(job) }]).map(({ name, command }) => [
      name !== undefined && h('h3', {}, name),
      h('pre.command', {}, command),
    ]),
    Object.keys(job.env).length > 0 &&
      h(
        'pre.env',
        {},
        Object.entries(job.env)
          .map(pair => pair.join('='))
          .join('\n'),
      ),
    h(
      'dl',
      {},
      facts
        .filter(([, value]) => value !== undefined && value !== '')
        .map(([term, value]) => [h('dt', {}, term), h('dd', {}, String(value))]),
    ),
    h('details', {}, h('summary', {}, 'The whole document'), h('pre', {}, JSON.stringify(job, null, 2))),
  );
}
