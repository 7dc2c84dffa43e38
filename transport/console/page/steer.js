// steer.js: what a person may do about what starts by itself: let it rest, let it go on, run again what was in the past.

import * as api from './api.js';
import { askFor } from './dialog.js';
import { fill, h } from './dom.js';
import { live, local, now } from './time.js';
import { report } from './toast.js';
import { overlaps } from './words.js';

export async function pause(key, name) {
  const note = h('textarea', { rows: '2', maxlength: '1024', required: true, autofocus: true });
  const given = await askFor({
    title: `Pause ${name}?`,
    text: 'Nothing starts by itself until somebody resumes it; targets that pass are skipped. What runs goes on.',
    fields: [{ name: 'note', label: 'Why, for whoever wonders', input: note }],
    action: 'Pause job',
  });
  if (given === undefined) return;
  report(await api.pauseJob(key, given.note), 'Paused: nothing starts by itself', 'Not paused');
}

export const resume = async key => report(await api.resumeJob(key), 'It goes on from now', 'Not resumed');

/** `schedules`: ids of the job's schedules. */
export async function backfill(key, name, schedules) {
  const instant = (label, at) => ({
    name: label.toLowerCase(),
    label,
    input: h('input', { type: 'datetime-local', step: '1', required: true, value: wall(at) }),
  });
  const choice = (label, options) => ({
    name: label.toLowerCase(),
    label,
    input: h(
      'select',
      {},
      options.map(([value, words]) => h('option', { value }, words)),
    ),
  });
  const fields = [
    instant('From', now() - 86_400_000),
    instant('To', now()),
    ...(schedules.length > 1 ? [choice('Schedule', [['', 'all of them'], ...schedules.map(id => [id, id])])] : []),
    choice('Overlap', [
      ['buffer-all', 'one after the other'],
      ...['allow', 'skip', 'buffer-one', 'cancel-other', 'kill-other'].map(policy => [policy, overlaps[policy]]),
    ]),
    {
      name: 'limit',
      label: 'Targets at most',
      input: h('input', { type: 'number', min: '1', max: '10000', value: '1000', required: true }),
    },
  ];
  const given = await askFor({
    title: `Backfill ${name}`,
    text: 'Starts a run for each target of a range that has passed, both ends included, in your local time.',
    fields,
    action: 'Start backfill',
  });
  if (given === undefined) return;
  const answer = await api.backfillJob(key, {
    from: new Date(given.from).toISOString(),
    to: new Date(given.to).toISOString(),
    ...(given.schedule ? { schedule: given.schedule } : {}),
    overlap: { policy: given.overlap },
    limit: Number(given.limit),
  });
  const targets = answer.body?.targets ?? 0;
  report(
    answer,
    `Backfill of ${targets.toLocaleString()} ${targets === 1 ? 'target' : 'targets'} begun`,
    'No backfill',
  );
}

/** An instant as an input of local time has it. */
function wall(at) {
  const date = new Date(at);
  return new Date(Math.floor(at / 1_000) * 1_000 - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function drawPause(place, paused) {
  place.hidden = paused === undefined;
  if (paused === undefined) return fill(place);
  const by = paused.by === 'horae' ? 'by itself' : `by ${paused.by}`;
  fill(place, h('strong', {}, `Paused ${by} `), live(paused.since), h('span', {}, `: ${paused.note}`));
}

export function drawBackfills(card, backfills) {
  card.hidden = backfills.length === 0;
  fill(
    card,
    h('h2', {}, 'Backfills'),
    h(
      'ul.backfills',
      {},
      backfills.map(({ from, to, by, since, targets, told, over_at, ended_by }) =>
        h(
          'li',
          {},
          h('span', {}, `${local(from)} to ${local(to)}`),
          h(
            'strong',
            {},
            ended_by !== undefined
              ? `ended by ${ended_by} after ${told.toLocaleString()} of ${targets.toLocaleString()}`
              : over_at !== undefined
                ? `all ${told.toLocaleString()} had their turn`
                : `${told.toLocaleString()} of ${targets.toLocaleString()} had their turn`,
          ),
          h('progress', { max: String(Math.max(1, targets)), value: String(told), 'aria-label': 'Progress' }),
          h('small', {}, `by ${by} `, live(since)),
        ),
      ),
    ),
  );
}
