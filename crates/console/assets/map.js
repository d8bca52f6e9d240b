// The map: who is there, who calls whom, and how that goes just now.

import { asideOf, matters, ofEdge, ofShare } from './amiss.js';
import { h, heads, Keyed, link, mark, replace, say } from './dom.js';
import { drawn } from './drawn.js';
import * as show from './format.js';
import { address, page, turn } from './router.js';
import * as store from './store.js';

// Every how many turns rows out of sight are brought up to date.
const OUT_OF_SIGHT = 5;

const KINDS = { call: 'calls', publish: 'publishes', subscription: 'is brought', send: 'sends', work: 'is worked on by', state: 'keeps state' };

page('map', (root, at, signal) => {
  let on = at.query.on ?? null;
  const choose = (id) => turn({ on: id === on ? null : id }, { replace: true });
  const map = drawn({ choose, signal });
  const aside = h('aside', { 'aria-label': 'What is chosen' });
  const both = h('div', { class: 'map' }, map.element, aside);
  const head = h('p', {});
  const notable = h('p', { class: 'notable' });
  const body = h('tbody', {});
  const legend = h('p', { class: 'signs' }, [['', 'requests flow'], ['idle', 'idle'], ['unused', 'declared, never used'], ['undeclared', 'used, not declared'], ['warn', 'something is amiss'], ['bad', 'fails']]
    .map(([kind, text]) => h('span', { 'data-kind': kind }, text)));
  root.append(
    h('div', { class: 'head' }, h('h1', {}, 'Map'), head), notable, both, h('div', { class: 'row under-map' }, legend, h('span', { class: 'grow' }), map.buttons), h('h2', {}, 'Calls and messages'),
    h('div', { class: 'wide' }, h('table', { class: 'edges' }, heads('From', '', 'To', ' A second', ' Errors', ' p50', ' p99', ''), body)),
  );
  let turns = 0;
  const inSight = new IntersectionObserver((entries) => {
    for (const { target: row, isIntersecting } of entries) {
      row.isSeen = isIntersecting;
      if (isIntersecting) update(row, row.edge);
    }
  });
  signal.addEventListener('abort', () => inSight.disconnect());
  const made = (edge) => {
    const row = h('tr', {}, h('td', {}, edge.from), h('td', { class: 'dim' }, KINDS[edge.kind] ?? edge.kind), h('td', {}, link(address('map', [], { on: edge.id }), {}, edge.to)),
      [0, 1, 2, 3].map(() => h('td', { class: 'n' })), h('td', {}));
    inSight.observe(row);
    return row;
  };
  const update = (row, edge) => {
    row.edge = edge;
    const document = store.get(`edge/${edge.id}`);
    mark(row, 'data-on', on === edge.id);
    const told = remarks(edge);
    if (row.of === document && row.told === told) return;
    // What nobody sees follows now and then.
    if (row.of && row.isSeen === false && turns % OUT_OF_SIGHT !== 0) return;
    Object.assign(row, { of: document, told });
    const cells = row.children;
    say(cells[3], edge.used ? show.rate(edge.rate) : 'never used');
    mark(cells[3], 'class', edge.used ? 'n' : 'n dim');
    say(cells[4], show.share(edge.errors));
    mark(cells[4], 'class', `n ${ofShare(edge.errors)}`);
    say(cells[5], show.micros(edge.p50_us));
    say(cells[6], show.micros(edge.p99_us));
    say(cells[7], told);
    mark(cells[7], 'class', edge.state);
  };
  const rows = new Keyed(body, made, update);
  const draw = () => {
    turns += 1;
    map.draw();
    map.turn(on);
    const edges = map.edges();
    rows.show(edges, (edge) => edge.id);
    const unused = edges.filter((edge) => !edge.used).length;
    const total = edges.filter((edge) => edge.from === 'gateway').reduce((sum, edge) => sum + (edge.rate ?? 0), 0);
    say(head, `${show.rate(total)} requests/s come in${unused ? `, ${unused} declared ${unused === 1 ? 'call was' : 'calls were'} never used` : ''}`);
    standOut(notable);
    const node = map.has(on) ? store.get(`node/${on}`) : null;
    const edge = edges.find((one) => one.id === on);
    mark(both, 'data-on', Boolean(node || edge));
    about(aside, node && { id: on, ...node }, edge, edges);
  };
  store.watch(draw, signal);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && on && !document.querySelector('dialog[open]')) turn({ on: null }, { replace: true });
  }, { signal });
  return (to) => { on = to.query.on ?? null; draw(); };
});

// What is the matter with an edge, and how far who reads behind it is.
function remarks(edge) {
  const nodes = new Map([[edge.from, store.get(`node/${edge.from}`)]]);
  return [...ofEdge(edge, { aside: asideOf(edge, nodes) }).map(({ text }) => text), edge.lag ? `lag ${show.count(edge.lag)}` : ''].filter(Boolean).join(', ');
}

// Everything that is the matter, from what the stream has told.
export const amiss = () => matters({ nodes: store.all('node/'), edges: store.all('edge/'), faults: store.all('fault/') });

// What one should look at first, as links into the map.
function standOut(element) {
  const all = amiss();
  const key = JSON.stringify([all, store.connection.isLost]);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  if (!all.length) { replace(element, h('span', { class: 'dim' }, store.connection.isLost ? 'All was well.' : 'All is well.')); return; }
  replace(element, all.slice(0, 6).map(({ id, name, state, text }) => link(address('map', [], { on: id }), { class: state }, `${name}: ${text}`)), all.length > 6 ? h('span', { class: 'dim' }, `and ${all.length - 6} more`) : null);
}

function rowsOf(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

// Rebuilt where what it says has changed, and focus is not in it.
function about(aside, node, edge, edges) {
  const of = (edge ?? node)?.id ?? '';
  const key = JSON.stringify([node, edge]);
  if (aside.dataset.key === key || (aside.contains(document.activeElement) && aside.dataset.of === of)) return;
  Object.assign(aside.dataset, { key, of });
  const close = h('button', { class: 'plain close', title: 'Close ( Esc )', 'aria-label': 'Close', onclick: () => turn({ on: null }, { replace: true }) }, '×');
  if (edge) replace(aside, close, aboutEdge(edge));
  else if (node) replace(aside, close, aboutNode(node, edges));
  else replace(aside);
}

function aboutEdge(edge) {
  return [h('h2', {}, `${edge.from} → ${edge.to}`), rowsOf([
    ['is', edge.kind], [edge.kind === 'call' ? 'requests' : 'rate', edge.used ? `${show.rate(edge.rate)}/s` : 'never used'], ['errors', show.share(edge.errors)],
    ['p50', edge.p50_us === undefined ? null : show.micros(edge.p50_us)], ['p99', edge.p99_us === undefined ? null : show.micros(edge.p99_us)],
    ['breaker', ['none', undefined].includes(edge.breaker) ? null : edge.breaker], ['retries', edge.retries ? `${show.rate(edge.retries)}/s` : null],
    ['refused', edge.refused ? `${show.rate(edge.refused)}/s` : null], ['ejected', edge.ejected || null], ['lag', edge.lag ?? null],
    ['split', edge.share === null || edge.share === undefined ? null : `${show.share(edge.share)} of the requests by its weight`],
    ['faults', edge.faults?.length ? link('/break', {}, `${edge.faults.length} on purpose`) : null],
  ]), undeclared(edge), h('div', { class: 'row' }, link(tracesOf(edge), {}, 'Traces'), edge.calls ? link(graphs({ caller: edge.from, upstream: edge.to }), {}, 'Metrics') : null,
    edge.calls ? link(address('break', [], { on: edge.calls[0] }), {}, 'Break it') : null),
  edge.calls ? [h('h3', {}, 'Policies of'), edge.calls.map((call) => h('div', {}, link(address('policies', [call]), {}, call)))] : null];
}

const graphs = (labels) => address('graphs', [], { name: ['colony.call.requests', 'colony.call.duration'], ...Object.fromEntries(Object.entries(labels).map(([name, value]) => [`label.${name}`, value])) });

// Exactly those traces that went over an edge.
export function tracesOf(edge) {
  const last = (id) => id.slice(id.indexOf(' ') + 1);
  const topic = (id) => last(id).slice(last(id).indexOf('/') + 1);
  const query = {
    publish: () => ({ service: edge.from, name: `publish ${topic(edge.to)}` }),
    subscription: () => ({ service: edge.to, name: `process ${topic(edge.from)}` }),
    send: () => ({ service: edge.from, name: `send ${last(edge.to)}` }),
    work: () => ({ service: edge.to, name: `process ${last(edge.from)}` }),
    state: () => ({ service: edge.from, attribute: `colony.component=${last(edge.to)}` }),
  }[edge.kind] ?? (() => ({ caller: edge.from, callee: edge.to }));
  return address('traces', [], query());
}

const plain = (name) => (/^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name));

// What is to be written so that it is declared.
export function declaration(edge) {
  const component = (name, type) => `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: ${plain(name)}\nspec:\n  type: ${type}\n  version: v1`;
  const last = (id) => id.slice(id.indexOf(' ') + 1);
  if (edge.declared !== false) return null;
  if (edge.kind === 'call') return { into: 'Into the manifest:', text: `services:\n  ${plain(edge.from)}:\n    calls: [${plain(edge.to)}]` };
  const into = 'Into a file of the folder that the manifest names in `resources`:';
  if (edge.kind === 'state') return { into, text: component(last(edge.to), 'state.colony') };
  const topic = last(edge.kind === 'subscription' ? edge.from : edge.to);
  return { into, text: component(topic.slice(0, topic.indexOf('/')), 'pubsub.colony') };
}

function undeclared(edge) {
  const told = declaration(edge);
  return told && [h('p', { class: 'warn' }, 'This is used and declared nowhere', edge.kind === 'call' ? ', so that no policy holds for it.' : '.'), h('p', { class: 'dim' }, told.into), h('pre', { class: 'block' }, told.text)];
}

function aboutNode(node, edges) {
  const names = (all) => all.map((name, at) => [at ? ', ' : '', link(address('map', [], { on: name }), {}, name)]);
  const to = edges.filter((edge) => edge.from === node.id).map((edge) => edge.to);
  const from = edges.filter((edge) => edge.to === node.id).map((edge) => edge.from);
  const slo = node.slo && `${node.slo.name ? `${node.slo.name}: ` : ''}${{ ok: 'kept', burning: 'burns', exhausted: 'spent' }[node.slo.state] ?? node.slo.state}, ${show.share(node.slo.remaining)} of the budget left`;
  const is = (kind) => node.kind === kind;
  return [h('h2', {}, node.name ?? node.id), rowsOf([
    ['is', node.kind], ['state', node.state], ['why', node.why], ['trouble', node.trouble], ['SLO', slo && link('/slos', {}, slo)],
    ['rollout', node.rollout && `${node.rollout.replaced} of ${node.rollout.of} replaced, ${node.rollout.old} old left`],
    ['faults', node.faults?.length ? link('/break', {}, `${node.faults.length} on purpose`) : null],
    ['instances', is('service') ? `${node.ready} of ${node.wanted} ready` : null], ['in flight', node.in_flight],
    ['lag', node.lag], ['ready', is('queue') ? node.ready : null], ['at work', is('queue') ? node.leased : null], ['failing', node.aside || null], [is('topic') ? 'became dead letters' : 'dead', node.dead || null],
    ['comes from', from.length ? names(from) : null], ['goes to', to.length ? names(to) : null],
  ]), h('div', { class: 'row' }, is('service') ? [link(address('services', [node.name]), {}, 'Service'), link(address('logs', [], { service: node.name }), {}, 'Logs')] : null,
    ['service', 'external'].includes(node.kind) ? [link(graphs({ upstream: node.name }), {}, 'Metrics'), link(address('traces', [], { service: node.name }), {}, 'Traces'), link(address('break', [], { on: node.name }), {}, 'Break it')] : null,
    is('gateway') ? [link(graphs({ caller: 'gateway' }), {}, 'Metrics'), link(address('traces', [], { service: 'gateway' }), {}, 'Traces')] : null,
    is('queue') || is('topic') ? link(address('messages', [node.kind, node.name]), {}, 'Messages') : null, is('store') ? link(address('state', [node.name]), {}, 'State') : null)];
}
