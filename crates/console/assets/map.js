// The map: who is there, who calls whom, and how that goes just now.

import { h, Keyed, link, mark, replace, s, say } from './dom.js';
import * as show from './format.js';
import { address, page, turn } from './router.js';
import * as store from './store.js';

const BOX = { width: 156, height: 48 };
const GAP = { along: 120, least: 56, across: 26 };
// On a phone the layers lie below each other.
const isNarrow = () => innerWidth < 720;

export function wellness(node) {
  if (node.kind !== 'service') return node.trouble ? 'bad' : '';
  if (['failed', 'crash-loop'].includes(node.state)) return 'bad';
  if (node.state === 'ready') return node.faults?.length ? 'warn' : 'good';
  return node.state === 'stopped' ? '' : 'warn';
}

function edgeState(edge) {
  if (['open', 'forced-open'].includes(edge.breaker) || edge.errors > 0.05) return 'bad';
  if (edge.errors > 0.005 || edge.ejected || edge.refused > 0 || ['half-open', 'forced-closed'].includes(edge.breaker)) return 'warn';
  return '';
}

function small(node) {
  if (node.kind === 'service') {
    if (!node.is_ours) return node.trouble ?? 'runs elsewhere';
    const memory = (node.instances ?? []).reduce((sum, one) => sum + (one.rss_kib ?? 0), 0);
    return `${node.state === 'ready' ? '' : `${node.state}, `}${node.ready}/${node.wanted}${memory ? `  ${show.kib(memory)}` : ''}`;
  }
  if (node.kind === 'topic') return `topic, lag ${show.count(node.lag)}`;
  if (node.kind === 'queue') return `queue, ${show.count(node.ready)} ready`;
  return node.trouble ?? node.kind;
}

function flag(node) {
  const restarts = (node.instances ?? []).reduce((sum, one) => sum + one.restarts, 0);
  if (node.faults?.length) return 'FAULT';
  if (node.dead) return `${node.dead} DEAD`;
  return restarts ? `↻${restarts}` : '';
}

function laid(nodes, room) {
  const narrow = isNarrow();
  const layers = new Map();
  for (const node of nodes) {
    const row = layers.get(node.layer) ?? [];
    row.push(node);
    layers.set(node.layer, row);
  }
  // Narrow: a layer is broken into rows of two.
  const rows = [...layers.entries()].sort(([a], [b]) => a - b).flatMap(([, row]) => {
    row.sort((a, b) => a.order - b.order);
    if (!narrow) return [row];
    return row.reduce((all, node, at) => { if (at % 2) all.at(-1).push(node); else all.push([node]); return all; }, []);
  });
  const most = Math.max(...rows.map((row) => row.length), 1);
  // All layers are in sight where they can be.
  const fits = (room - 8 - rows.length * BOX.width) / Math.max(1, rows.length - 1);
  const gap = Math.max(GAP.least, Math.min(GAP.along, Math.floor(fits)));
  const along = (narrow ? BOX.height + 44 : BOX.width + gap);
  const across = (narrow ? BOX.width + 14 : BOX.height + GAP.across);
  const places = new Map();
  rows.forEach((row, layer) => row.forEach((node, at) => {
    const aside = 4 + (at + (most - row.length) / 2) * across;
    places.set(node.id, narrow ? { x: aside, y: 4 + layer * along } : { x: 4 + layer * along, y: aside });
  }));
  const width = narrow ? most * across - 14 + 8 : rows.length * along - gap + 8;
  const height = narrow ? rows.length * along - 44 + 8 : most * across - GAP.across + 8;
  return { places, width: Math.max(width, BOX.width + 8), height: Math.max(height, BOX.height + 8), narrow };
}

// A way from box to box, where its words stand, and its tip.
function way(from, to, narrow) {
  const back = narrow ? to.y <= from.y : to.x <= from.x;
  const { width, height } = BOX;
  if (narrow) {
    const [x1, y1, x2, y2] = [from.x + width / 2, back ? from.y : from.y + height, to.x + width / 2, back ? to.y + height : to.y];
    const bend = Math.max(18, Math.abs(y2 - y1) / 2) * (back ? -1 : 1);
    return { path: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2,
      tip: `M${x2} ${y2}l-4 ${back ? 7 : -7}h8z` };
  }
  const [x1, y1, x2, y2] = [back ? from.x : from.x + width, from.y + height / 2, back ? to.x + width : to.x, to.y + height / 2];
  const bend = Math.max(30, Math.abs(x2 - x1) / 2) * (back ? -1 : 1);
  // Nearer to the end: there the ways of one caller have parted.
  const at = 0.62;
  const on = (a, b, c, d) => (1 - at) ** 3 * a + 3 * (1 - at) ** 2 * at * b + 3 * (1 - at) * at * at * c + at ** 3 * d;
  return { path: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, x: on(x1, x1 + bend, x2 - bend, x2), y: on(y1, y1, y2, y2) - 4,
    tip: `M${x2} ${y2}l${back ? 7 : -7} -4v8z` };
}

// Queues that hold nothing and topics that nobody has published to are on the page of messages only.
function stands(node) {
  if (node.kind === 'queue') return node.ready + node.delayed + node.leased + node.blocked + node.dead > 0;
  return node.kind !== 'topic' || node.published > 0;
}

const pick = (id) => (event) => {
  if (event.type === 'keydown' && event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  turn({ on: id }, { replace: true });
};

function box(node) {
  const choose = pick(node.id);
  return s('g', { class: 'node', tabindex: 0, role: 'button', 'data-kind': node.kind, onclick: choose, onkeydown: choose },
    s('title', {}), s('rect', { width: BOX.width, height: BOX.height, rx: 6 }), s('circle', { cx: 14, cy: 18, r: 4 }),
    s('text', { class: 'title', x: 25, y: 22 }), s('text', { class: 'small', x: 25, y: 38 }),
    s('text', { class: 'flag', x: BOX.width - 8, y: 38, 'text-anchor': 'end' }));
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function stroke(edge) {
  const choose = pick(edge.id);
  return s('g', { class: 'edge', tabindex: 0, role: 'button', onclick: choose, onkeydown: choose },
    s('title', {}), s('path', { class: 'line' }), s('path', { class: 'tip' }), s('path', { class: 'hit' }), s('text', {}));
}

function words(edge) {
  if (edge.kind === 'subscription') return edge.lag ? `lag ${show.count(edge.lag)}` : '';
  const parts = [];
  if (edge.rate > 0) parts.push(`${show.rate(edge.rate)}/s`);
  if (edge.p99_us !== null && edge.p99_us !== undefined) parts.push(show.micros(edge.p99_us));
  if (edge.errors > 0) parts.push(`${show.share(edge.errors)} err`);
  if (['open', 'forced-open', 'half-open', 'forced-closed'].includes(edge.breaker)) parts.push(edge.breaker);
  return parts.join('  ');
}

page('map', (root, at, signal) => {
  let on = at.query.on ?? null;
  const svg = s('svg', { class: 'all', role: 'group', 'aria-label': 'Who calls whom' });
  const [edgesAt, nodesAt] = [s('g', {}), s('g', {})];
  svg.append(edgesAt, nodesAt);
  const aside = h('aside', {});
  const drawing = h('div', { class: 'drawing' }, svg);
  const both = h('div', { class: 'map' }, drawing, aside);
  const head = h('p', {});
  const body = h('tbody', {});
  root.append(
    h('div', { class: 'head' }, h('h1', {}, 'Map'), head),
    both,
    h('h2', {}, 'Calls'),
    h('div', { class: 'wide' }, h('table', {}, h('thead', {}, h('tr', {}, ['From', 'To'].map((name) => h('th', { scope: 'col' }, name)),
      ['Requests/s', 'Errors', 'p50', 'p99'].map((name) => h('th', { class: 'n', scope: 'col' }, name)), h('th', { scope: 'col' }, 'Breaker'))), body)),
  );
  let placed;
  const nodes = new Keyed(nodesAt, box, (g, node) => {
    const { x, y } = placed.places.get(node.id);
    const [title, , , name, line, extra] = g.children;
    mark(g, 'transform', `translate(${x} ${y})`);
    mark(g, 'data-state', wellness(node));
    mark(g, 'data-on', on === node.id);
    say(name, cut(node.name ?? node.id, node.kind === 'service' ? 18 : 17));
    say(line, cut(small(node), flag(node) ? 15 : 22));
    say(extra, flag(node));
    say(title, `${node.kind} ${node.name ?? node.id}`);
    mark(g, 'aria-label', `${node.kind} ${node.name ?? node.id}, ${small(node)} ${flag(node)}`);
  });
  const edges = new Keyed(edgesAt, stroke, (g, edge) => {
    const drawn = way(placed.places.get(edge.from), placed.places.get(edge.to), placed.narrow);
    const [title, line, tip, hit, text] = g.children;
    mark(line, 'd', drawn.path);
    mark(hit, 'd', drawn.path);
    mark(tip, 'd', drawn.tip);
    mark(text, 'x', drawn.x.toFixed(1));
    mark(text, 'y', drawn.y.toFixed(1));
    mark(g, 'data-used', String(edge.used));
    mark(g, 'data-flow', edge.rate > 0);
    mark(g, 'data-state', edgeState(edge));
    mark(g, 'data-on', on === edge.id);
    const said = words(edge);
    say(text, placed.narrow && on !== edge.id ? '' : said);
    say(title, `${edge.id}${edge.used ? '' : ': declared, never used'}`);
    mark(g, 'aria-label', `${edge.id} ${said || (edge.used ? 'idle' : 'never used')}`);
  });
  const rows = new Keyed(body, (edge) => h('tr', {}, h('td', {}, edge.from), h('td', {}, link(address('map', [], { on: edge.id }), {}, edge.to)),
    [0, 1, 2, 3].map(() => h('td', { class: 'n' })), h('td', {})), (row, edge) => {
    const cells = row.children;
    say(cells[2], edge.used ? show.rate(edge.rate) : 'never used');
    say(cells[3], show.share(edge.errors));
    mark(cells[3], 'class', edge.errors > 0.005 ? 'n bad' : 'n');
    say(cells[4], show.micros(edge.p50_us));
    say(cells[5], show.micros(edge.p99_us));
    say(cells[6], edge.breaker === 'none' ? '' : edge.breaker);
    mark(cells[6], 'class', ['open', 'forced-open'].includes(edge.breaker) ? 'bad' : '');
    mark(row, 'data-on', on === edge.id);
  });
  const draw = () => {
    const all = store.all('node/').filter(stands);
    const known = new Set(all.map((node) => node.id));
    const ways = store.all('edge/').filter((edge) => known.has(edge.from) && known.has(edge.to));
    const chosen = all.some((node) => node.id === on) || ways.some((edge) => edge.id === on);
    mark(both, 'data-on', chosen);
    placed = laid(all, drawing.clientWidth);
    mark(svg, 'width', placed.width);
    mark(svg, 'height', placed.height);
    nodes.show(all, (node) => node.id);
    edges.show(ways, (edge) => edge.id);
    rows.show(ways.filter((edge) => edge.kind === 'call'), (edge) => edge.id);
    const unused = ways.filter((edge) => !edge.used).length;
    const total = ways.filter((edge) => edge.from === 'gateway').reduce((sum, edge) => sum + (edge.rate ?? 0), 0);
    say(head, `${all.length} nodes, ${show.rate(total)} requests/s come in${unused ? `, ${unused} declared calls were never used` : ''}`);
    about(aside, all.find((node) => node.id === on), ways.find((edge) => edge.id === on), ways);
  };
  store.watch(draw, signal);
  addEventListener('resize', draw, { signal });
  return (to) => { on = to.query.on ?? null; draw(); };
});

function rowsOf(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

// Rebuilt where what it says has changed, and focus is not in it.
function about(aside, node, edge, ways) {
  const key = JSON.stringify([node, edge]);
  if (aside.dataset.key === key || (aside.contains(document.activeElement) && aside.dataset.of === (node ?? edge)?.id)) return;
  aside.dataset.key = key;
  aside.dataset.of = (node ?? edge)?.id ?? '';
  if (edge) return aboutEdge(aside, edge);
  if (node) return aboutNode(aside, node, ways);
  replace(aside);
}

function aboutEdge(aside, edge) {
  replace(aside, h('h2', {}, `${edge.from} → ${edge.to}`), rowsOf([
    ['requests', `${show.rate(edge.rate)}/s`], ['errors', show.share(edge.errors)], ['p50', show.micros(edge.p50_us)], ['p99', show.micros(edge.p99_us)],
    ['breaker', edge.breaker === 'none' ? null : edge.breaker], ['retries', edge.retries ? `${show.rate(edge.retries)}/s` : null],
    ['refused', edge.refused ? `${show.rate(edge.refused)}/s` : null], ['ejected', edge.ejected || null], ['lag', edge.lag ?? null],
  ]), edge.calls ? [h('h3', {}, 'Policies of'), edge.calls.map((call) => h('div', {}, link(address('policies', [call]), {}, call))),
    h('h3', {}, 'Do'), h('div', { class: 'row' }, link(address('traces', [], { caller: edge.from, callee: edge.to }), {}, 'Traces'), link(address('break', [], { on: edge.calls[0] }), {}, 'Break it'))] : null);
}

function aboutNode(aside, node, ways) {
  const calls = ways.filter((edge) => edge.from === node.id).map((edge) => edge.to);
  const called = ways.filter((edge) => edge.to === node.id).map((edge) => edge.from);
  const names = (all) => all.map((name, at) => [at ? ', ' : '', link(address('map', [], { on: name }), {}, name)]);
  replace(aside, h('h2', {}, node.name ?? node.id), rowsOf([
    ['kind', node.kind], ['state', node.state], ['why', node.why], ['trouble', node.trouble],
    ['instances', node.kind === 'service' ? `${node.ready} of ${node.wanted} ready` : null], ['in flight', node.in_flight],
    ['lag', node.lag], ['dead', node.dead], ['called by', called.length ? names(called) : null], ['calls', calls.length ? names(calls) : null],
  ]), node.kind === 'service' ? [h('h3', {}, 'More'), h('div', { class: 'row' }, link(address('services', [node.name]), {}, 'Instances'), link(address('traces', [], { service: node.name }), {}, 'Traces'),
    link(address('logs', [], { service: node.name }), {}, 'Logs'), link(address('break', [], { on: node.name }), {}, 'Break it'))] : null);
}
