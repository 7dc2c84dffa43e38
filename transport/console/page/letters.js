// letters.js: what people were told of jobs, what is on its way to them, and what could not be delivered.
//
// Letters are few beside jobs, so this page asks over REST when it is opened, every few seconds while somebody looks, and
// after each change of its own. A letter stays as it was opened while it is there.

import * as api from './api.js';
import { ask } from './dialog.js';
import { fill, h, keyed, say } from './dom.js';
import { icon } from './icons.js';
import { live } from './time.js';
import { report, toast } from './toast.js';
import { count, instant } from './words.js';

const look_again_ms = 5_000;
const states = { dead: 'Given up', pending: 'On their way', delivered: 'Delivered' };
const channels = { mail: 'Mail', slack: 'Slack', mattermost: 'Mattermost', sentry: 'Sentry', webhook: 'Webhook' };
const nothing = {
  dead: 'Every letter has been delivered, or still may be.',
  pending: 'No letter waits for its receiver.',
  delivered: 'Nobody has been told of anything yet.',
};

export function lettersView({ feed, back, go, state = 'dead' }) {
  const shown = Object.hasOwn(states, state) ? state : 'dead';
  let timer;
  let ended = false;
  const counts = h('p', {});
  const chips = h('div.chips', { role: 'tablist', 'aria-label': 'Letters' });
  const list = h('div.all', {});
  const none = h('p.empty', { hidden: true }, nothing[shown]);
  const element = h(
    'section.letters',
    { 'aria-busy': 'true' },
    h('a.back', { href: back }, icon('back'), 'Jobs'),
    h('div.title', {}, h('h1', {}, 'Notifications'), counts),
    chips,
    list,
    none,
  );

  const look = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      const answer = await api.readLetters(shown);
      if (ended) return;
      element.setAttribute('aria-busy', 'false');
      if (answer.ok) draw(answer.body);
      else toast('bad', 'What people were told could not be read', answer.message);
    }
    // Two looks may have been under way.
    clearTimeout(timer);
    timer = setTimeout(look, look_again_ms);
  };

  const draw = ({ notifications, next, channels: told }) => {
    const sum = what => Object.values(told).reduce((all, one) => all + one[what], 0);
    say(
      counts,
      `${count(sum('notices'), 'notice')} wait to be put into letters, ${count(sum('pending'), 'letter')} for their receivers.`,
    );
    const numbers = { dead: sum('dead'), pending: sum('pending') };
    keyed(
      chips,
      Object.keys(states),
      name => name,
      name =>
        h('a.button.chip', { href: `#/notifications/${name}`, role: 'tab', 'aria-selected': String(name === shown) }),
      (chip, name) =>
        say(chip, numbers[name] === undefined ? states[name] : `${states[name]} (${numbers[name].toLocaleString()})`),
    );
    keyed(list, notifications, one => one.id, make, update);
    none.hidden = notifications.length > 0;
    if (next !== undefined) say(counts, `${counts.textContent} The newest ${notifications.length} are shown.`);
  };

  const make = letter =>
    h(
      'article.card.letter',
      { 'aria-label': letter.subject },
      h('header', {}, h('h2', {}, letter.subject), h('small.when', {})),
      h('p.about', {}),
      h(
        'p.users',
        {},
        'Of ',
        letter.jobs.map(({ job }, n) => [n > 0 && ', ', h('a', { href: api.jobHash(job) }, job)]),
        letter.more > 0 && ` and ${count(letter.more, 'more notice')}`,
      ),
      h('details', {}, h('summary', {}, 'What it says'), h('pre.words', { tabindex: '0' }, letter.text)),
      shown !== 'delivered' &&
        h(
          'div.buttons',
          {},
          h('button.small', { type: 'button', onclick: () => retry(letter) }, icon('again'), 'Try now'),
          shown === 'dead' &&
            h('button.danger.small', { type: 'button', onclick: () => forget(letter) }, icon('trash'), 'Forget'),
        ),
    );

  const update = (card, letter) => {
    const { channel, to, attempts, message, next_attempt_at: next, formed_at, dead_at, delivered_at } = letter;
    const at = instant(delivered_at ?? dead_at ?? next ?? formed_at);
    const when = card.querySelector('.when');
    const what = { dead: 'given up ', delivered: '', pending: next === undefined ? 'since ' : 'next attempt ' }[shown];
    if (when.dataset.at !== String(at)) {
      when.dataset.at = String(at);
      fill(when, what, live(at));
    }
    const tries = attempts === 0 ? 'not tried yet' : count(attempts, 'attempt');
    say(
      card.querySelector('.about'),
      `${channels[channel]}${to === undefined ? '' : ` to ${to}`}: ${tries}${message === undefined ? '' : `, and the last came to: ${message}`}`,
    );
  };

  const retry = async ({ id }) => {
    report(await api.retryLetter(id), 'It is being tried', 'It is not tried');
    await look();
  };
  const forget = async ({ id, subject }) => {
    const sure = await ask({
      title: 'Forget this letter?',
      text: `Nobody will be told: ${subject}`,
      action: 'Forget it',
    });
    if (!sure) return;
    report(await api.deleteLetter(id), 'It is forgotten', 'It is not forgotten');
    await look();
  };

  return {
    element,
    title: 'Notifications – Horae',
    async begin() {
      // Nothing is looked at here that the feed tells of: a window of no rows.
      feed.watch({ watch: 'list', search: '', filter: 'all', sort: 'key', descending: false, offset: 0, limit: 0 });
      await look();
    },
    frame: () => undefined,
    // There are others than there were: nobody waits for the next look.
    letters: () => void look(),
    key(event) {
      if (event.key === 'Escape') go(back);
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
