// Logs: the lines of all services, as they come; and the records that are kept of them, by trace, span, time, level and text.

import { h, link, replace, say } from './dom.js';
import { count } from './format.js';
import { lines } from './lines.js';
import { listing } from './listing.js';
import { get, query } from './net.js';
import { rangeControl } from './range.js';
import { address, page, turn } from './router.js';
import * as store from './store.js';
import { clock, range, stamp } from './time.js';

// What asks for records; `kept=true` does where nothing else does.
const OF_RECORDS = ['trace', 'span', 'level', 'from', 'to', 'kept'];
const LEVELS = [['', 'Any level'], ['debug', 'Debug and above'], ['info', 'Info and above'], ['warn', 'Warnings and errors'], ['error', 'Errors']];
const PAGE = 200;
// Of a trace all are read at once, for they are told in the order in which they were written.
const OF_TRACE = { limit: 1000, pages: 5 };
const WAIT_MS = 250;
// A record that belongs to no trace leads to what its service said before it and after.
const AROUND_MS = 5000;

page('logs', (root, at, signal) => {
  let [shown, ended, update] = [null, null, null];
  const build = (to) => {
    const view = OF_RECORDS.some((one) => to.query[one]) ? records : follow;
    if (view === shown) return update(to);
    ended?.abort();
    ended = new AbortController();
    shown = view;
    root.replaceChildren();
    update = view(root, to, ended.signal);
    return undefined;
  };
  signal.addEventListener('abort', () => ended?.abort());
  build(at);
  return build;
});

// The service that is chosen, of those that there are.
function services(of, signal) {
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
  choice.show = (service) => { of = service; offer(); choice.value = of; };
  store.watch(offer, signal);
  return choice;
}

const test = (text) => {
  const wanted = text.toLowerCase();
  return (line) => !wanted || line.text.toLowerCase().includes(wanted) || line.instance.toLowerCase().includes(wanted);
};

function follow(root, at, signal) {
  const { service = '', text = '' } = at.query;
  let of = service;
  const choice = services(of, signal);
  const search = h('input', { type: 'search', placeholder: 'Contains', 'aria-label': 'Contains', value: text });
  // Ended with the page, or by another choice.
  let ended = new AbortController();
  signal.addEventListener('abort', () => ended.abort());
  let box = lines({ service: service || undefined, matches: test(text) }, ended.signal);
  search.addEventListener('input', () => { box.only(test(search.value)); turn({ text: search.value }, { replace: true }); });
  const kept = h('button', { class: 'plain', onclick: () => turn({ kept: 'true' }) }, 'Look back');
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Logs'), h('p', {}, 'as they come'), kept, h('span', { class: 'grow' }), choice, search), box);
  return (to) => {
    const wanted = to.query.text ?? '';
    if (search.value !== wanted) {
      search.value = wanted;
      box.only(test(wanted));
    }
    if ((to.query.service ?? '') === of) return;
    of = to.query.service ?? '';
    choice.show(of);
    ended.abort();
    ended = new AbortController();
    const next = lines({ service: of || undefined, matches: test(search.value) }, ended.signal);
    box.replaceWith(next);
    box = next;
  };
}

function records(root, at, signal) {
  let { query: how } = at;
  const choice = services(how.service ?? '', signal);
  const search = h('input', { type: 'search', placeholder: 'Contains', 'aria-label': 'Contains' });
  const level = h('select', { 'aria-label': 'Level', onchange: () => turn({ level: level.value, kept: 'true' }) }, LEVELS.map(([value, word]) => h('option', { value }, word)));
  const time = rangeControl();
  const standing = h('p', { 'aria-live': 'polite' });
  const chips = h('div', { class: 'row chips' });
  const lively = h('button', { class: 'plain', onclick: () => turn(Object.fromEntries(OF_RECORDS.map((one) => [one, null]))) }, 'As they come');
  let wait;
  search.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => turn({ text: search.value }, { replace: true }), WAIT_MS);
  });
  const asked = () => ({ service: how.service, level: how.level, text: how.text, trace: how.trace, span: how.span });
  // A trace has a time of its own.
  const within = () => {
    if (how.trace && !how.from && !how.to) return {};
    const { from, to, live } = range(how);
    return { from, to: live ? null : to };
  };
  const ofTrace = async () => {
    const [all, more] = [[], { next: '' }];
    for (let read = 0; read < OF_TRACE.pages && more.next !== null; read += 1) {
      const told = await get(`/api/logs${query({ ...asked(), ...within(), limit: OF_TRACE.limit, before: more.next })}`);
      all.push(...told.logs);
      more.next = told.next;
    }
    say(standing, `${count(all.length)} of a trace${more.next === null ? '' : ', the last'}, in order`);
    return { items: all.reverse(), next: null };
  };
  const list = listing({
    label: 'Records', heads: ['When', 'Level', 'Who', 'What'].map((head, i) => h('span', { class: ['when', 'level', 'who', 'glimpse'][i] }, head)),
    height: () => (innerWidth <= 720 ? 44 : 26), key: (log) => log.seq,
    cells: (log) => [h('time', { class: 'when' }, stamp(log.at_us / 1000).slice(0, -8), clock(log.at_us / 1000)), h('span', { class: `level ${{ error: 'bad', fatal: 'bad', warn: 'warn' }[log.level] ?? 'dim'}` }, log.level),
      h('span', { class: 'who' }, log.instance || log.service), h('span', { class: 'glimpse', title: log.body }, log.body)],
    to: (log) => (log.trace_id ? address('traces', [log.trace_id], { span: log.span_id }) : address('logs', [], { service: log.service, from: Math.floor(log.at_us / 1000) - AROUND_MS, to: Math.ceil(log.at_us / 1000) + AROUND_MS, kept: 'true' })),
    empty: 'Nothing of that was written.',
    more: async (before) => {
      if (how.trace) return ofTrace();
      const told = await get(`/api/logs${query({ ...asked(), ...within(), limit: PAGE, before })}`);
      say(standing, told.cut ? 'not everything was looked at: ask for less time, or for a service' : 'kept, the newest first');
      return { items: told.logs, next: told.next };
    },
  }, signal);
  list.classList.add('records');
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Logs'), standing, lively, h('span', { class: 'grow' }), choice, level, search), time, chips, list);
  const show = () => {
    choice.show(how.service ?? '');
    level.value = how.level ?? '';
    if (document.activeElement !== search) search.value = how.text ?? '';
    time.hidden = Boolean(how.trace);
    time.show();
    const chip = (word, id, without, to) => h('span', { class: 'row' }, link(to, { class: 'mono' }, `${word} ${id}`), h('button', { class: 'chip', title: `Not only of this ${word}`, 'aria-label': `Not only of this ${word}`, onclick: () => turn(without) }, '×'));
    replace(chips, how.trace ? chip('trace', how.trace, { trace: null, span: null, kept: 'true' }, address('traces', [how.trace])) : null,
      how.span ? chip('span', how.span, { span: null }, address('traces', [how.trace ?? ''], { span: how.span })) : null);
    chips.hidden = !chips.firstChild;
  };
  show();
  return (to) => {
    how = to.query;
    show();
    list.anew();
  };
}
