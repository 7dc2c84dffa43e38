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

export const isAsking = () => document.querySelector('dialog[open]') !== null;
