// Policies: what each has done lately, and of one call all of them with their values and where those were set.

import { spark } from './chart.js';
import { broken, h, heads, Keyed, link, mark, replace, say } from './dom.js';
import * as show from './format.js';
import { get, post, query } from './net.js';
import { missing } from './nowhere.js';
import { address, page } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';

const DEEDS = [['retries', 'Retries'], ['retries_denied', 'Denied'], ['hedges', 'Hedges'], ['fallbacks', 'Fallbacks'], ['limited', 'Limited'],
  ['overloaded', 'Overloaded'], ['rejected', 'Rejected'], ['timeouts', 'Timeouts']];

page('policies', (root, at, signal) => (at.rest[0] ? one(root, at.rest.join('/'), signal) : every(root, signal)));

function breaker(call) {
  const state = h('span', {});
  const buttons = [['auto', 'Auto'], ['open', 'Open'], ['closed', 'Closed']].map(([force, text]) => h('button', { 'data-force': force, onclick: (event) =>
    doing(event.target, `the breaker of ${call} is ${force === 'auto' ? 'left to itself' : `forced ${force}`}`, () => post('/api/breakers', { call, state: force })) }, text));
  const whole = h('div', { class: 'row', role: 'group', 'aria-label': `Breaker of ${call}` }, state, buttons);
  whole.show = (word) => {
    say(state, word === 'none' ? 'no breaker' : word);
    mark(state, 'class', ['open', 'forced-open'].includes(word) ? 'bad' : word === 'half-open' ? 'warn' : '');
    const forced = word?.startsWith('forced-') ? word.slice(7) : 'auto';
    for (const button of buttons) {
      button.hidden = word === 'none';
      mark(button, 'aria-pressed', String(button.dataset.force === forced));
    }
  };
  return whole;
}

function every(root, signal) {
  const body = h('tbody', {});
  const none = h('p', { class: 'empty', hidden: true }, 'The manifest declares no route and no call: each has policies as soon as it is there. ', link('/manifest', {}, 'The manifest'));
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Policies'), h('p', {}, 'What they did in the last ten seconds, per second')), none,
    h('div', { class: 'wide' }, h('table', {}, heads('Call', 'Breaker', ' Requests/s', ' p99', ...DEEDS.map(([, name]) => ` ${name}`)), body)));
  const rows = new Keyed(body, (call) => h('tr', {}, h('td', {}, link(address('policies', [call.call]), {}, call.call)), h('td', {}), [0, 1, ...DEEDS].map(() => h('td', { class: 'n' }))), (row, call) => {
    const cells = row.children;
    say(cells[1], call.breaker === 'none' ? '' : call.breaker);
    mark(cells[1], 'class', ['open', 'forced-open'].includes(call.breaker) ? 'bad' : '');
    say(cells[2], show.rate(call.rate));
    say(cells[3], show.micros(call.p99_us));
    DEEDS.forEach(([field], i) => {
      const value = call.lately[field];
      say(cells[4 + i], value ? show.rate(value) : '');
      mark(cells[4 + i], 'class', value ? 'n warn' : 'n');
    });
  });
  store.watch(() => {
    const all = store.all('call/');
    rows.show(all, (call) => call.id);
    none.hidden = all.length > 0 || !store.get('drawing/wide');
    body.parentElement.hidden = !none.hidden;
  }, signal);
}

function one(root, call, signal) {
  const force = breaker(call);
  const numbers = h('dl', {});
  const line = spark(`requests of ${call}`);
  const policies = h('tbody', {});
  const worst = h('p', { class: 'dim' });
  root.append(h('div', { class: 'head' }, h('h1', {}, call), line, h('span', { class: 'grow' }), force, link(address('break', [], { on: call }), {}, 'Break it')),
    numbers, h('h2', {}, 'In the order in which a request meets them'), worst,
    h('div', { class: 'wide' }, h('table', { class: 'policies' }, heads('Policy', 'Value', 'Options', 'Set at'), policies)));
  store.watch(() => {
    const now = store.get(`call/${call}`);
    force.show(now?.breaker ?? 'none');
    if (!now) return;
    line.show(store.past(`call/${call}`, 'rate'));
    const pairs = [['Requests', `${show.rate(now.rate)}/s, ${show.count(now.requests)} in all`], ['Errors', show.share(now.errors)],
      ['p50, p99', `${show.micros(now.p50_us)}, ${show.micros(now.p99_us)}`], ['In flight', now.limit ? `${now.in_flight} of ${now.limit}, ${now.waiting} wait` : null],
      ['Ejected', now.ejected.join(', ') || null], ...DEEDS.map(([field, name]) => [name, now.total[field] ? `${show.rate(now.lately[field])}/s, ${show.count(now.total[field])} in all` : null])];
    replace(numbers, pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
  }, signal);
  const where = (place) => (place ? h('span', { class: 'mono' }, broken(`${place.file}:${place.line}`)) : h('span', { class: 'dim' }, 'default'));
  get(`/api/policies${query({ call })}`).then((told) => {
    say(worst, told.worst?.ms ? `At worst a request takes ${show.micros(told.worst.ms * 1000)} and becomes ${told.worst.tries} tries.` : '');
    replace(policies, (told.policies ?? []).map((policy) => h('tr', {}, h('td', {}, policy.name ?? policy.key), h('td', { class: 'mono' }, policy.value),
      h('td', {}, Object.entries(policy.options ?? {}).map(([name, option]) => h('span', { class: 'mono option' }, `${name} ${option.value}`))), h('td', {}, where(policy.place)))));
  }, (error) => {
    if (error.status === 422) missing(root, 'call', call, '/policies', 'All calls');
    else replace(policies, h('tr', {}, h('td', { colspan: 4, class: 'bad' }, error.message)));
  });
}
