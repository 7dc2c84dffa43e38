// dialog.js: asks before something that cannot be taken back.

import { h } from './dom.js';

/** Resolves with true when `action` was chosen. Esc and the backdrop mean no. */
export function ask({ title, text, action }) {
  return new Promise(resolve => {
    const dialog = h(
      'dialog',
      { 'aria-labelledby': 'dialog-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        h('p', {}, text),
        h(
          'div.buttons',
          {},
          h('button', { value: 'no', autofocus: true }, 'Cancel'),
          h('button.danger', { value: 'yes' }, action),
        ),
      ),
    );
    dialog.addEventListener('click', event => {
      if (event.target === dialog) dialog.close('no');
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks for what an action needs. `fields`: `{ name, label, input }`, in which `input` is an element with a value. Resolves with
 * the values by name; undefined when it was left.
 */
export function askFor({ title, text, fields, action }) {
  return new Promise(resolve => {
    const dialog = h(
      'dialog',
      { 'aria-labelledby': 'dialog-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        h('p', {}, text),
        fields.map(({ label, input }) => h('label.field', {}, h('span', {}, label), input)),
        h(
          'div.buttons',
          {},
          h('button', { type: 'button', onclick: () => dialog.close('no') }, 'Cancel'),
          h('button.primary', { value: 'yes' }, action),
        ),
      ),
    );
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (dialog.returnValue !== 'yes') return resolve(undefined);
      resolve(Object.fromEntries(fields.map(({ name, input }) => [name, input.value])));
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const isAsking = () => document.querySelector('dialog[open]') !== null;
