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
  let of = service;
  const choice = h('select', { 'aria-label': 'Service', onchange: () => turn({ service: choice.value }) }, h('option', { value: '' }, 'All services'));
  let offered = '';
  const offer = () => {
    const known = store.all('node/').filter((node) => node.kind === 'service').map((node) => node.name);
    const names = [...new Set([...known, ...(of ? [of] : [])])];
    if (offered === names.join('\n')) return;
    offered = names.join('\n');
    choice.replaceChildren(choice.firstElementChild, ...names.map((name) => h('option', { value: name }, name)));
    choice.value = of;
  };
  const search = h('input', { type: 'search', placeholder: 'Contains', 'aria-label': 'Contains', value: text });
  // Ended with the page, or by another choice.
  let ended = new AbortController();
  signal.addEventListener('abort', () => ended.abort());
  let box = lines({ service: service || undefined, matches: test(text) }, ended.signal);
  search.addEventListener('input', () => { box.only(test(search.value)); turn({ text: search.value }, { replace: true }); });
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Logs'), h('span', { class: 'grow' }), choice, search), box);
  store.watch(offer, signal);
  return (to) => {
    const wanted = to.query.text ?? '';
    if (search.value !== wanted) {
      search.value = wanted;
      box.only(test(wanted));
    }
    if ((to.query.service ?? '') === of) return;
    of = to.query.service ?? '';
    offer();
    choice.value = of;
    ended.abort();
    ended = new AbortController();
    const next = lines({ service: of || undefined, matches: test(search.value) }, ended.signal);
    box.replaceWith(next);
    box = next;
  };
});
