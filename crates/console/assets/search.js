// `/` finds anything by its name, `?` tells the keys.

import { h, replace } from './dom.js';
import { PAGES } from './app.js';
import * as router from './router.js';
import * as store from './store.js';

function opened(...children) {
  const dialog = h('dialog', {}, children);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function everything() {
  const pages = PAGES.map(([name, title]) => ({ text: title, kind: 'page', to: `/${name}` }));
  const nodes = store.all('node/').map((node) => ({
    text: node.name ?? node.id,
    kind: node.kind,
    to: { service: () => router.address('services', [node.name]), queue: () => router.address('messages', ['queue', node.name]), topic: () => router.address('messages', ['topic', node.name]),
      store: () => router.address('state', [node.name]) }[node.kind]?.() ?? router.address('map', [], { on: node.id }),
  }));
  const calls = store.all('call/').map((call) => ({
    text: call.call, kind: 'call', to: router.address('policies', [call.call]),
  }));
  return [...pages, ...nodes, ...calls];
}

export function search() {
  const list = h('ul', { role: 'listbox', id: 'found' });
  const input = h('input', {
    type: 'search', 'aria-label': 'Search', 'aria-controls': 'found', placeholder: 'A page, a service, a call, a trace', autofocus: true,
  });
  const dialog = opened(input, list);
  const all = everything();
  let at = 0;
  const open = (to) => { dialog.close(); router.go(to); };
  const show = () => {
    const id = /^[0-9a-f]{32}$/i.exec(input.value.trim())?.[0].toLowerCase();
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = id ? [{ text: id, kind: 'trace', to: router.address('traces', [id]) }] : all.filter(({ text, kind }) => wanted.every((word) => `${text} ${kind}`.toLowerCase().includes(word))).slice(0, 40);
    at = Math.max(0, Math.min(at, found.length - 1));
    const items = found.map(({ text, kind, to }, place) => h('li', { role: 'option', 'aria-selected': place === at },
      h('a', { href: to, onclick: (event) => { event.preventDefault(); open(to); } }, h('span', {}, text), h('span', { class: 'dim' }, kind))));
    replace(list, items.length ? items : h('li', { class: 'empty' }, 'Nothing is called so.'));
    items[at]?.setAttribute('aria-selected', 'true');
    items.forEach((item, place) => place === at || item.removeAttribute('aria-selected'));
    items[at]?.scrollIntoView({ block: 'nearest' });
    return found;
  };
  input.addEventListener('input', () => { at = 0; show(); });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') at += 1;
    else if (event.key === 'ArrowUp') at -= 1;
    // Otherwise a browser would only empty the field.
    else if (event.key === 'Escape') dialog.close();
    else if (event.key !== 'Enter') return;
    event.preventDefault();
    const found = show();
    if (event.key === 'Enter' && found[at]) open(found[at].to);
  });
  show();
  input.focus();
}

export function help() {
  const rows = [['/', 'search'], ['?', 'this'], ...PAGES.map(([, title, key]) => [`g ${key}`, title]), ['Esc', 'close, leave a field']];
  const dialog = opened(h('h2', {}, 'Keys'), h('dl', {}, rows.map(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)])),
    h('p', {}), h('button', { onclick: () => dialog.close() }, 'Close'));
}
