// A question that is answered before something is lost, stopped, or done that cannot be undone.

import { h } from './dom.js';
import { doing } from './say.js';

// `word` says on the button what is done; `what` does it, and answers with what is said of it.
export function ask(title, text, word, what) {
  const before = document.activeElement;
  const dialog = h('dialog', { 'aria-label': title }, h('h2', {}, title), h('p', {}, text), h('div', { class: 'row' },
    h('button', { class: 'danger', 'data-yes': true, onclick: (event) => doing(event.target, (said) => said, what).then(() => dialog.close()) }, word), h('button', { autofocus: true, onclick: () => dialog.close() }, 'Cancel')));
  dialog.addEventListener('close', () => { dialog.remove(); if (before?.isConnected) before.focus(); });
  document.body.append(dialog);
  dialog.showModal();
}
