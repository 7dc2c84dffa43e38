// update.js: the rolling update of a service: how far it is, what happened in it, and what one can say to it.

import * as api from './api.js';
import { ask } from './dialog.js';
import { fill, h, keyed, say } from './dom.js';
import { icon } from './icons.js';
import { live, local } from './time.js';
import { report } from './toast.js';

const statuses = {
  ROLLING_FORWARD: 'Rolling forward',
  ROLLING_BACK: 'Rolling back',
  ROLL_FORWARD_PAUSED: 'Paused',
  ROLL_BACK_PAUSED: 'Paused on its way back',
  ROLL_FORWARD_AWAITING_PULSE: 'Waiting for a pulse',
  ROLL_BACK_AWAITING_PULSE: 'Waiting for a pulse on its way back',
  ROLLED_FORWARD: 'Done',
  ROLLED_BACK: 'Rolled back',
  ABORTED: 'Aborted',
  FAILED: 'Failed',
  ERROR: 'Could not go on',
};
const actions = {
  INSTANCE_UPDATING: 'is being updated',
  INSTANCE_UPDATED: 'is updated',
  INSTANCE_UPDATE_FAILED: 'failed',
  INSTANCE_ROLLING_BACK: 'is being rolled back',
  INSTANCE_ROLLED_BACK: 'is rolled back',
  INSTANCE_ROLLBACK_FAILED: 'failed on its way back',
};

/** The card, and `draw(update)`; null hides it. */
export function updateCard(key) {
  let id;
  const told = what => async () =>
    report(await api.steerUpdate(key, id, what), `Told to ${words[what]}`, `It cannot ${words[what]}`);
  const words = { pause: 'pause', resume: 'go on', rollback: 'roll back', abort: 'end here' };
  const button = (drawing, text, onclick) =>
    h('button.small', { type: 'button', onclick }, icon(drawing), h('span', {}, text));
  const sure = (what, title, text, action) => async () => {
    if (await ask({ title, text, action })) await told(what)();
  };
  const buttons = {
    pause: button('pause', 'Pause', told('pause')),
    resume: button('play', 'Resume', told('resume')),
    rollback: button(
      'back',
      'Roll back',
      sure('rollback', 'Roll this update back?', 'What was changed is undone, the last first.', 'Roll back'),
    ),
    abort: button(
      'stop',
      'Abort',
      sure('abort', 'End this update here?', 'Every instance stays what it is now, old or new.', 'Abort update'),
    ),
  };
  const title = h('strong', {});
  const about = h('p.line', {});
  const bar = h('progress', { 'aria-label': 'Progress of the update' });
  const counted = h('p.line', {});
  const diary = h('ol.update-events', {});
  const card = h(
    'section.card.update',
    { hidden: true },
    h('h2', {}, 'Update'),
    h('p', {}, title),
    about,
    bar,
    counted,
    h('div.actions', {}, Object.values(buttons)),
    diary,
  );
  return {
    card,
    draw(update) {
      card.hidden = update === null;
      if (update === null) return;
      id = update.id;
      const { status, over, total, done, under_way, failed } = update;
      say(title, statuses[status] ?? status);
      fill(about, `${id}, by ${update.by}, `, live(update.created_at), update.message && `: ${update.message}`);
      bar.hidden = over;
      bar.max = Math.max(1, total);
      bar.value = done;
      const of = `${done.toLocaleString()} of ${total.toLocaleString()} instances`;
      // Written as in the list of instances: a bare 0 would be taken for how many.
      const named = (what, indexes) =>
        indexes.length === 0 ? '' : `, ${what}: ${indexes.map(n => `#${n}`).join(', ')}`;
      say(counted, `${of}${named('under way', under_way)}${named('failed', failed)}`);
      const paused = status.endsWith('_PAUSED');
      buttons.pause.hidden = over || paused;
      buttons.resume.hidden = over || !paused;
      buttons.rollback.hidden = over || status.includes('BACK');
      buttons.abort.hidden = over;
      keyed(
        diary,
        update.events,
        event => `${id} ${event.at} ${event.status ?? `${event.index} ${event.action}`}`,
        event =>
          h(
            'li',
            {},
            h('small', {}, local(event.at)),
            ' ',
            event.status === undefined
              ? `Instance ${event.index} ${actions[event.action] ?? event.action}`
              : h('strong', {}, statuses[event.status] ?? event.status),
            event.by !== undefined && `, by ${event.by}`,
            event.message !== undefined && `: ${event.message}`,
          ),
      );
    },
  };
}
