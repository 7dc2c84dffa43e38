// calendars.js: days with a name: which there are, which jobs follow them, and a form for them.
//
// A calendar changes a few times a year, so this page reads over REST when it is opened and after each change of its own.

import * as api from './api.js';
import { ask } from './dialog.js';
import { fill, h, say } from './dom.js';
import { icon } from './icons.js';
import { local } from './time.js';
import { report, toast } from './toast.js';
import { count, instant } from './words.js';

const rules_shown_max = 100;
const example = `description: Days on which nobody works
rules:
  - {weekdays: [SAT, SUN]}
  - {yearly: 12-25}
  - {easter: 1}
  - {date: 2026-12-31}
`;

/** `name`: the calendar whose form is open; `new` for one that is to be made. `back`: the list of jobs. */
export function calendarsView({ feed, back, go, name: opened }) {
  const all = h('div.all', {});
  const none = h('div.notice', { hidden: true }, h('h2', {}, 'No calendars yet'));
  const form_place = h('div', {});
  const element = h(
    'section.calendars',
    { 'aria-busy': 'true' },
    h('a.back', { href: back }, icon('back'), 'Jobs'),
    h(
      'div.title',
      {},
      h('h1', {}, 'Calendars'),
      h('a.button', { href: '#/calendars/new' }, icon('plus'), h('span', {}, 'New calendar')),
      h('p', {}, 'Days with a name. A schedule leaves them out, or keeps to them, by naming the calendar.'),
    ),
    form_place,
    all,
    none,
  );

  const read = async () => {
    const answer = await api.readCalendars();
    element.setAttribute('aria-busy', 'false');
    if (!answer.ok) return toast('bad', 'The calendars could not be read', answer.message);
    const { calendars } = answer.body;
    none.hidden = calendars.length > 0 || opened !== undefined;
    fill(all, calendars.map(drawn));
  };

  const remove = async name => {
    const sure = await ask({
      title: `Delete the calendar ${name}?`,
      text: 'No job names it. What was decided under it stays.',
      action: 'Delete calendar',
    });
    if (!sure) return;
    report(await api.deleteCalendar(name), `${name} was deleted`, `${name} was not deleted`);
    await read();
  };

  const drawn = ({ name, description, rules, version, updated_at, used_by }) =>
    h(
      'article.card.calendar',
      { 'aria-label': name },
      h('header', {}, h('h2', {}, name), h('small', {}, `version ${version}, ${local(instant(updated_at))}`)),
      description !== undefined && h('p.about', {}, description),
      h(
        'ul.rules',
        {},
        rules.slice(0, rules_shown_max).map(rule => h('li', {}, inWords(rule))),
        rules.length > rules_shown_max && h('li', {}, `and ${count(rules.length - rules_shown_max, 'further rule')}`),
      ),
      h(
        'p.users',
        {},
        used_by.length === 0
          ? 'No job names it.'
          : ['Named by ', used_by.map((key, n) => [n > 0 && ', ', h('a', { href: api.jobHash(key) }, key)])],
      ),
      h(
        'div.buttons',
        {},
        h('a.button.small', { href: `#/calendars/${encodeURIComponent(name)}` }, icon('edit'), 'Edit'),
        used_by.length === 0 &&
          h('button.danger.small', { type: 'button', onclick: () => remove(name) }, icon('trash'), 'Delete'),
      ),
    );

  return {
    element,
    title: 'Calendars – Horae',
    async begin() {
      // Nothing is looked at here that the feed tells of: a window of no rows.
      feed.watch({ watch: 'list', search: '', filter: 'all', sort: 'key', descending: false, offset: 0, limit: 0 });
      if (opened !== undefined) {
        const form = calendarForm({ name: opened === 'new' ? undefined : opened, go });
        fill(form_place, form.element);
        await form.begin();
      }
      await read();
    },
    frame: () => undefined,
    key(event) {
      if (event.key === 'Escape') go(opened === undefined ? back : '#/calendars');
    },
    end: () => undefined,
  };
}

function calendarForm({ name: known, go }) {
  let etag;
  const name = h('input', { required: true, maxlength: '64', autocomplete: 'off', spellcheck: 'false' });
  const text = h('textarea.document', { rows: '12', spellcheck: 'false', required: true });
  const file = h('input', {
    type: 'file',
    accept: '.ics,.yaml,.yml,.json,text/calendar',
    onchange: async () => {
      const [chosen] = file.files;
      if (chosen !== undefined) text.value = await chosen.text();
    },
  });
  const wrong = h('div.problems', { role: 'alert', hidden: true });
  const send = h('button.primary', { type: 'submit' }, 'Save calendar');
  const save = async () => {
    send.disabled = true;
    wrong.hidden = true;
    const answer = await api.putCalendar(known ?? name.value, text.value, etag);
    send.disabled = false;
    if (answer.ok) {
      toast('good', `${answer.body.name} was saved as version ${answer.body.version}`);
      return go('#/calendars');
    }
    wrong.hidden = false;
    const said = answer.problems.length > 0 ? answer.problems : [{ place: '', message: answer.message }];
    fill(
      wrong,
      h(
        'ul',
        {},
        said.map(({ place, message }) => h('li', {}, place !== '' && h('code', {}, `${place} `), message)),
      ),
    );
  };
  const element = h(
    'form.card.calendar-form',
    {
      onsubmit: event => {
        event.preventDefault();
        void save();
      },
    },
    h('h2', {}, known === undefined ? 'New calendar' : `Edit ${known}`),
    known === undefined && h('label.field', {}, h('span', {}, 'Name'), name),
    h('label.field', {}, h('span', {}, 'Rules in YAML or JSON, or what a calendar program exported (.ics)'), text),
    h('label.field', {}, h('span', {}, 'From a file'), file),
    wrong,
    h('div.actions', {}, send, h('a.button', { href: '#/calendars' }, 'Cancel')),
  );
  return {
    element,
    async begin() {
      if (known === undefined) {
        text.value = example;
        return name.focus();
      }
      const answer = await api.readCalendar(known);
      if (!answer.ok) {
        wrong.hidden = false;
        return say(wrong, answer.message);
      }
      etag = answer.etag;
      const { description, rules } = answer.body;
      text.value = `${JSON.stringify({ description, rules }, null, 2)}\n`;
      text.focus();
    },
  };
}

const weekdays = { SUN: 'Sunday', MON: 'Monday', TUE: 'Tuesday', WED: 'Wednesday' };
Object.assign(weekdays, { THU: 'Thursday', FRI: 'Friday', SAT: 'Saturday' });
const day_of_year = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long' });
const ordinals = ['', 'first', 'second', 'third', 'fourth', 'fifth'];

/** A rule as somebody would say it. */
function inWords(rule) {
  if (rule.date !== undefined) return rule.date;
  if (rule.from !== undefined) return `${rule.from} to ${rule.to}`;
  if (rule.weekdays !== undefined) return `every ${rule.weekdays.map(day => weekdays[day]).join(', ')}`;
  if (rule.yearly !== undefined) {
    const [month, day] = rule.yearly.split('-').map(Number);
    return `${day_of_year.format(new Date(2024, month - 1, day))} of every year`;
  }
  if (rule.easter !== undefined) {
    if (rule.easter === 0) return 'Easter Sunday';
    return `${count(Math.abs(rule.easter), 'day')} ${rule.easter > 0 ? 'after' : 'before'} Easter Sunday`;
  }
  const month = new Intl.DateTimeFormat(undefined, { month: 'long' }).format(new Date(2026, rule.month - 1, 1));
  const which = rule.nth > 0 ? ordinals[rule.nth] : rule.nth === -1 ? 'last' : `${ordinals[-rule.nth]} from last`;
  return `the ${which} ${weekdays[rule.weekday]} of ${month}`;
}
