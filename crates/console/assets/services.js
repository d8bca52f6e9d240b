// Services: their instances, what they are started with, what they write; started, stopped, scaled.

import { spark } from './chart.js';
import { h, Keyed, link, mark, replace, say } from './dom.js';
import * as show from './format.js';
import { wellness } from './map.js';
import { get, part, post } from './net.js';
import { records } from './records.js';
import { address, page } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';
import { keyOf } from './tail.js';

// How far back the output of a service is shown, of what is kept.
const OUTPUT = '-24h';

page('services', (root, at, signal) => (at.rest[0] ? one(root, at.rest[0], signal) : every(root, signal)));

const heads = (...names) => h('thead', {}, h('tr', {}, names.map((name) =>
  h('th', { scope: 'col', class: name.startsWith(' ') ? 'n' : null }, name.trim()))));

function every(root, signal) {
  const body = h('tbody', {});
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Services')),
    h('div', { class: 'wide' }, h('table', {}, heads('Service', 'State', ' Ready', ' Restarts', ' Memory', ' CPU', ' In flight', 'Requests'), body)));
  const rows = new Keyed(body, (node) => {
    const line = spark(`requests to ${node.name}`);
    return h('tr', {}, h('td', {}, link(address('services', [node.name]), {}, node.name)), h('td', {}, h('span', { class: 'state' })),
      [0, 1, 2, 3, 4].map(() => h('td', { class: 'n' })), h('td', {}, line));
  }, (row, node) => {
    const [, state, ready, restarts, memory, cpu, flight, requests] = row.children;
    const sum = (field) => node.instances.reduce((all, one) => all + (one[field] ?? 0), 0);
    say(state.firstChild, node.why ? `${node.state}: ${node.why}` : node.state);
    mark(state.firstChild, 'data-state', wellness(node));
    say(ready, `${node.ready}/${node.wanted}`);
    say(restarts, node.is_ours ? sum('restarts') : show.NONE);
    mark(restarts, 'class', sum('restarts') ? 'n warn' : 'n');
    say(memory, node.is_ours ? show.kib(sum('rss_kib')) : show.NONE);
    say(cpu, node.is_ours ? show.share(sum('cpu')) : show.NONE);
    say(flight, show.count(node.in_flight));
    const ways = store.all('edge/').filter((edge) => edge.to === node.name && edge.kind === 'call');
    const pasts = ways.map((edge) => store.past(`edge/${edge.id}`, 'rate'));
    const most = Math.max(0, ...pasts.map((past) => past.length));
    requests.firstChild.show(Array.from({ length: most }, (_, i) => pasts.reduce((all, past) => all + (past[past.length - most + i] ?? 0), 0)));
  });
  store.watch(() => rows.show(store.all('node/').filter((node) => node.kind === 'service'), (node) => node.id), signal);
}

function one(root, name, signal) {
  const state = h('span', { class: 'state' });
  const body = h('tbody', {});
  const declared = h('div', {});
  const instances = h('input', { type: 'number', min: 1, max: 999, 'aria-label': 'Instances', size: 3 });
  const does = (text, path, done, more = {}) => h('button', { ...more, onclick: (event) =>
    doing(event.target, done, () => post(`/api/services/${part(name)}/${path}`, path === 'scale' ? { instances: Number(instances.value) } : undefined)) }, text);
  const actions = h('div', { class: 'row' }, does('Restart', 'restart', `${name} was restarted`), does('Stop', 'stop', `${name} was stopped`, { class: 'danger' }),
    instances, does('Scale', 'scale', `${name} was scaled`));
  const output = records({ label: `Output of ${name}`, to: (record) => address('logs', [], { service: name, from: OUTPUT, line: keyOf(record) }) }, signal);
  root.append(h('div', { class: 'head' }, h('h1', {}, name), state, h('span', { class: 'grow' }), actions),
    h('div', { class: 'wide' }, h('table', {}, heads('Instance', 'State', ' pid', 'Address', ' Restarts', ' Memory', ' CPU', 'Last exit', ''), body)), declared,
    h('div', { class: 'head' }, h('h2', {}, 'Output'), link(address('logs', [], { service: name }), {}, 'In Logs')), output);
  output.show({ service: name, from: OUTPUT, attribute: [] });
  const rows = new Keyed(body, (one) => h('tr', {}, h('td', {}, one.id), h('td', {}, h('span', { class: 'state' })), h('td', { class: 'n mono' }), h('td', { class: 'mono' }),
    h('td', { class: 'n' }), h('td', { class: 'n' }), h('td', { class: 'n' }), h('td', {}), h('td', { class: 'n' }, h('button', { class: 'plain',
      onclick: (event) => doing(event.target, (done) => (done.killed ? `${one.id} was killed` : `${one.id} has no process`), () => post(`/api/instances/${part(one.id)}/kill`)) }, 'Kill'))),
  (row, one) => {
    const cells = row.children;
    say(cells[1].firstChild, one.state);
    mark(cells[1].firstChild, 'data-state', one.state === 'ready' ? 'good' : ['crash-loop', 'failed'].includes(one.state) ? 'bad' : 'warn');
    say(cells[2], one.pid ?? show.NONE);
    say(cells[3], one.address ?? show.NONE);
    say(cells[4], one.restarts);
    say(cells[5], show.kib(one.rss_kib));
    say(cells[6], show.share(one.cpu));
    say(cells[7], one.last_exit ?? '');
    cells[8].hidden = !one.pid;
  });
  store.watch(() => {
    const node = store.get(`node/${name}`);
    say(state, node ? (node.why ? `${node.state}: ${node.why}` : node.state) : 'there is no such service');
    mark(state, 'data-state', node ? wellness(node) : 'bad');
    actions.hidden = !node?.is_ours;
    if (node && document.activeElement !== instances && !instances.dataset.set) {
      instances.value = node.wanted;
      instances.dataset.set = 'yes';
    }
    rows.show(node?.instances ?? [], (instance) => instance.id);
  }, signal);
  get(`/api/services/${part(name)}`).then((service) => started(declared, service.declared ?? {}), () => {});
}

function started(root, { run, build, dir, scale, environment, url, calls, protocol, after }) {
  const pairs = [['command', run && h('code', {}, run)], ['build', build && h('code', {}, build)], ['folder', dir && h('code', {}, dir)], ['is at', url?.join(', ')],
    ['speaks', protocol], ['instances', scale && `${scale.min} to ${scale.max}`], ['calls', calls?.join(', ')], ['starts after', after?.join(', ')]].filter(([, value]) => value);
  const variables = Object.entries(environment ?? {});
  replace(root, h('h2', {}, 'Declared'), h('dl', {}, pairs.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
    variables.length ? [h('h2', {}, 'Environment'), h('dl', {}, variables.map(([name, value]) => [h('dt', {}, h('code', {}, name)), h('dd', {}, value === null ? h('span', { class: 'dim' }, 'secret') : h('code', {}, value))]))] : null);
}
