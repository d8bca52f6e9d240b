// Something made to fail on purpose, for a time, and undone; the map shows what follows.

import { h, Keyed, link, mark, say } from './dom.js';
import * as show from './format.js';
import { part, post, remove } from './net.js';
import { address, page } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';

const WAYS = [['fail', 'Fail it'], ['slow', 'Slow it down'], ['reset', 'Lose its connections'], ['kill', 'Kill an instance']];

page('break', (root, at, signal) => {
  const targets = h('select', { id: 'target' });
  const way = h('select', {}, WAYS.map(([value, text]) => h('option', { value }, text)));
  const status = h('input', { type: 'number', value: 503, min: 400, max: 599 });
  const delay = h('input', { type: 'number', value: 500, min: 1, max: 600000 });
  const percent = h('input', { type: 'number', value: 100, min: 1, max: 100 });
  const time = h('select', {}, [[30, '30 s'], [60, '1 min'], [300, '5 min'], [900, '15 min']].map(([value, text]) => h('option', { value }, text)));
  const field = (name, input) => h('label', {}, name, input);
  const [ofStatus, ofDelay, ofPercent, ofTime] = [field('Status', status), field('Delay, ms', delay), field('% of tries', percent), field('For', time)];
  const go = h('button', { class: 'main', onclick: () => doing(go, done, begin) }, 'Break it');
  const done = (outcome) => (outcome.killed === undefined ? `fault ${outcome.id} strikes ${outcome.on}` : outcome.killed ? `${outcome.instance} was killed` : `${outcome.instance} has no process`);
  const begin = () => {
    const on = targets.value;
    if (way.value === 'kill') return post(`/api/instances/${part(on)}/kill`);
    const fault = { on, percent: Number(percent.value), for_ms: Number(time.value) * 1000 };
    if (way.value === 'fail') fault.status = Number(status.value);
    if (way.value === 'slow') fault.delay_ms = [Number(delay.value), Number(delay.value)];
    if (way.value === 'reset') fault.reset = true;
    return post('/api/faults', fault);
  };
  const body = h('tbody', {});
  const none = h('p', { class: 'empty' }, 'Nothing is broken on purpose.');
  const all = h('button', { class: 'danger', onclick: () => doing(all, 'everything is undone', () => remove('/api/faults')) }, 'Undo all');
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Break something'), h('p', {}, 'It ends by itself. ', link('/map', {}, 'The map'), ' shows what follows.')),
    h('div', { class: 'row end' }, field('What', way), field('Where', targets), ofStatus, ofDelay, ofPercent, ofTime, go),
    h('h2', {}, 'In force'), none, h('div', { class: 'wide' }, h('table', {}, body)), h('p', {}), all);
  let offered = '';
  const offer = () => {
    const nodes = store.all('node/');
    const instances = nodes.filter((node) => node.is_ours).flatMap((node) => node.instances.map((one) => one.id));
    const places = [...nodes.filter((node) => ['service', 'external'].includes(node.kind)).map((node) => node.name), ...store.all('call/').map((call) => call.call)];
    const names = way.value === 'kill' ? instances : places;
    const fault = way.value !== 'kill';
    ofStatus.hidden = way.value !== 'fail';
    ofDelay.hidden = way.value !== 'slow';
    ofPercent.hidden = ofTime.hidden = !fault;
    if (offered === names.join('\n')) return;
    offered = names.join('\n');
    const chosen = targets.value || at.query.on;
    targets.replaceChildren(...names.map((name) => h('option', { value: name, selected: name === chosen }, name)));
  };
  way.addEventListener('change', offer);
  const rows = new Keyed(body, (fault) => h('tr', {}, h('td', {}, link(address('map', [], { on: fault.on }), {}, fault.on)), h('td', {}, effect(fault)), h('td', { class: 'n' }), h('td', { class: 'n' }),
    h('td', { class: 'n' }, h('button', { onclick: (event) => doing(event.target, 'undone', () => remove(`/api/faults/${fault.id}`)) }, 'Undo'))), (row, fault) => {
    say(row.children[2], `struck ${show.count(fault.struck)} of ${show.count(fault.tries)}`);
    say(row.children[3], `${show.span(fault.remaining_ms)} left`);
    mark(row, 'data-id', fault.id);
  });
  store.watch(() => {
    offer();
    const faults = store.all('fault/');
    none.hidden = faults.length > 0;
    all.hidden = faults.length < 2;
    rows.show(faults, (fault) => fault.id);
  }, signal);
});

function effect(fault) {
  const parts = [];
  if (fault.delay_ms) {
    const [least, most] = fault.delay_ms;
    parts.push(least === most ? `${least} ms late` : `${least} to ${most} ms late`);
  }
  if (fault.status) parts.push(`answers ${fault.status}`);
  if (fault.grpc_status !== null && fault.grpc_status !== undefined) parts.push(`answers gRPC ${fault.grpc_status}`);
  if (fault.reset) parts.push('loses connections');
  if (fault.slow_body) parts.push(`${fault.slow_body} bytes/s`);
  return `${parts.join(', ')}${fault.percent < 100 ? `, ${fault.percent} % of tries` : ''}${fault.path ? `, ${fault.path}` : ''}`;
}
