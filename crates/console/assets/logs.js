// Logs of all services, as they come.

import { h } from './dom.js';
import { lines } from './lines.js';
import { page, turn } from './router.js';
import * as store from './store.js';

const test = (text) => {
  const wanted = text.toLowerCase();
  return (line) => !wanted || line.text.toLowerCase().includes(wanted) || line.instance.toLowerCase().includes(wanted);
};

page('logs', (root, at, signal) => {
  const { service = '', text = '' } = at.query;
  const choice = h('select', { 'aria-label': 'Service', onchange: () => turn({ service: choice.value }) }, h('option', { value: '' }, 'All services'));
  const names = store.all('node/').filter((node) => node.kind === 'service').map((node) => node.name);
  for (const name of new Set([...names, ...(service ? [service] : [])])) choice.append(h('option', { value: name, selected: name === service }, name));
  const search = h('input', { type: 'search', placeholder: 'Contains', 'aria-label': 'Contains', value: text });
  let box = lines({ service: service || undefined, matches: test(text) }, signal);
  search.addEventListener('input', () => { box.only(test(search.value)); turn({ text: search.value }, { replace: true }); });
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Logs'), h('span', { class: 'grow' }), choice, search), box);
  let of = service;
  let ended = new AbortController();
  return (to) => {
    if ((to.query.service ?? '') === of) return;
    of = to.query.service ?? '';
    choice.value = of;
    ended.abort();
    ended = new AbortController();
    signal.addEventListener('abort', () => ended.abort());
    const next = lines({ service: of || undefined, matches: test(search.value) }, ended.signal);
    box.replaceWith(next);
    box = next;
  };
});
