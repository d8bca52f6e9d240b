// The live map as a drawing, for the page of the map and beside what is broken on purpose. Laid out by the node (`drawing/*`);
// what has not changed is not touched.

import { asideOf, edgeState, NOTED, wellness } from './amiss.js';
import { h, Keyed, mark, s, say } from './dom.js';
import * as show from './format.js';
import { Frame } from './frame.js';
import * as store from './store.js';
import { SHAPES, paths, wired, worded } from './wires.js';

// On a phone the layers lie below each other.
const isNarrow = () => innerWidth < 720;

// A large map begins where requests come in, large enough to be read: its smallest words are of 11 px.
const LEAST = 0.92;
// Rather than that, layers and boxes stand nearer to each other: so near at least, in pixels and as a part of what is beside boxes else.
const GAP_LEAST = 54;
const SQUEEZE = 0.84;
// How much of a wide drawing is behind what tells of what is chosen.
const PANEL = 300;
// For so long words keep the room that they have needed.
const ROOM_MS = 60000;

const restarts = (node) => (node.instances ?? []).reduce((sum, one) => sum + one.restarts, 0);

// What stands out of a node, what matters most first.
export function flags(node) {
  const all = [];
  if (node.slo?.state === 'exhausted') all.push('SLO SPENT');
  if (node.faults?.length) all.push('FAULT');
  if (node.slo?.state === 'burning') all.push('SLO BURNS');
  if (node.rollout) all.push(`ROLLS ${node.rollout.replaced}/${node.rollout.of}`);
  if (node.ejected) all.push(`${node.ejected} EJECTED`);
  if (node.aside) all.push(`${show.count(node.aside)} FAILING`);
  if (node.dead && node.kind === 'queue') all.push(`${show.count(node.dead)} DEAD`);
  if (restarts(node)) all.push(`↻${restarts(node)}`);
  return all;
}

export function standing(node) {
  if (node.kind === 'service') {
    if (!node.is_ours) return node.trouble ?? 'runs elsewhere';
    const memory = (node.instances ?? []).reduce((sum, one) => sum + (one.rss_kib ?? 0), 0);
    return `${node.state === 'ready' ? '' : `${node.state}, `}${node.ready}/${node.wanted}${memory ? `  ${show.kib(memory)}` : ''}`;
  }
  if (node.kind === 'topic') return node.lag === undefined ? 'topic' : `topic, lag ${show.count(node.lag)}`;
  if (node.kind === 'queue') return node.ready === undefined ? 'queue' : `queue, ${show.count(node.ready)} ready`;
  return node.trouble ?? node.kind;
}

// All that is to be said of an edge, and less where there is no room for all.
export function words(edge) {
  const noted = [];
  if (edge.faults?.length) noted.push('FAULT');
  if (NOTED.includes(edge.breaker)) noted.push(edge.breaker);
  if (edge.ejected) noted.push(`${edge.ejected} ejected`);
  const rate = edge.rate > 0 ? `${show.rate(edge.rate)}/s` : '';
  const errors = edge.errors > 0 ? `${show.share(edge.errors)} err` : '';
  const p99 = edge.p99_us !== null && edge.p99_us !== undefined ? show.micros(edge.p99_us) : '';
  const split = edge.share !== null && edge.share !== undefined ? `${show.share(edge.share)} of requests` : '';
  const lag = edge.lag ? `lag ${show.count(edge.lag)}` : '';
  const undeclared = edge.declared === false ? 'undeclared' : '';
  const variants = [[...noted, undeclared, split, rate, lag, p99, errors], [...noted, errors, lag, rate], [noted[0] ?? (errors || lag || rate || undeclared)]];
  return [...new Set(variants.map((parts) => parts.filter(Boolean).join(' · ')))].filter(Boolean);
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
// Names that begin alike differ at their end.
const short = (text, most) => (text.length > most ? `${text.slice(0, Math.ceil((most - 1) / 2))}…${text.slice(text.length - Math.max(0, Math.floor((most - 1) / 2)))}` : text);

// What tells kinds apart beside their words: a queue has its end, a store its lid.
const KIND = {
  queue: (width, height) => `M${width - 9} 0v${height}M${width - 15} 0v${height}`,
  store: (width) => `M0 7h${width}`,
};

// `choose` is called with what is clicked, or null; `quiet` leaves out words and buttons.
export function drawn({ choose, signal, quiet = false }) {
  const svg = s('svg', { class: 'all', role: 'group', tabindex: quiet ? null : 0, 'aria-label': 'Who calls whom. Arrows move it, plus and minus zoom, 0 fits it in' });
  const [world, linesAt, wordsAt, nodesAt] = ['world', 'lines', 'words', 'nodes'].map((name) => s('g', { class: name }));
  world.append(linesAt, wordsAt, nodesAt);
  svg.append(world);
  const frame = new Frame(svg, world, signal);
  // Where the buttons are.
  const below = () => (quiet || isNarrow() ? 0 : 40);
  const button = (text, title, does) => h('button', { type: 'button', title, 'aria-label': title, onclick: does }, text);
  const buttons = h('div', { class: 'zoom' }, button('+', 'Larger', () => frame.zoom(1.25)), button('−', 'Smaller', () => frame.zoom(0.8)), button('Fit', 'Fit the map in', () => { frame.fit(); }));
  const element = h('div', { class: 'drawing', 'data-quiet': quiet }, svg, quiet ? null : buttons);

  let [on, over, lit, said, shape, narrow, shown] = [null, null, null, new Map(), null, null, false];
  let [told, edges] = [null, []];
  // How long the words of each were, and since when.
  let [spoken, freed, roomy, amiss] = [new Map(), 0, '', new Set()];

  const picks = (g, id) => {
    g.addEventListener('click', (event) => { event.stopPropagation(); choose(id); });
    g.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      choose(id);
    });
    for (const name of ['pointerenter', 'focus']) g.addEventListener(name, (event) => { if (event.pointerType !== 'touch') hover(id); });
    for (const name of ['pointerleave', 'blur']) g.addEventListener(name, () => hover(null));
    return g;
  };
  svg.addEventListener('click', () => choose(null), { signal });

  const hover = (id) => {
    if (over === id) return;
    over = id;
    light();
  };

  // Lights up what is on the ways through what is pointed at or chosen, and dims the rest.
  const light = () => {
    const about = over ?? on;
    const before = lit;
    lit = about && shape && (shape.boxes.has(about) || shape.wires.has(about)) ? paths(edges.filter((edge) => shape.wires.has(edge.id)), about) : null;
    if (lit || before) mark(svg, 'data-lit', lit !== null);
    // Nothing was lit, and nothing is.
    for (const layer of lit || before ? [lines, texts, nodes] : []) {
      for (const [id, g] of layer.shown) {
        mark(g, 'data-lit', lit?.has(id));
        mark(g, 'data-on', on === id);
      }
    }
    speak();
  };

  const nodes = new Keyed(nodesAt, (node) => picks(s('g', { class: 'node', tabindex: 0, role: 'button', 'data-kind': node.kind },
    s('title', {}), s('rect', {}), s('path', { class: 'kind' }), s('circle', { r: 4 }), s('text', { class: 'title' }), s('text', { class: 'small' }), s('text', { class: 'flag', 'text-anchor': 'end' })), node.id), (g, node) => {
    const box = shape.boxes.get(node.id);
    const document = store.get(`node/${node.id}`);
    if (g.of === document && g.box === box && g.ejected === node.ejected) return;
    Object.assign(g, { of: document, box, ejected: node.ejected });
    const [title, rect, kind, dot, name, line, flag] = g.children;
    const { width, height } = box;
    mark(g, 'transform', `translate(${box.x} ${box.y})`);
    mark(rect, 'width', width);
    mark(rect, 'height', height);
    mark(rect, 'rx', node.kind === 'topic' ? height / 2 : 5);
    mark(kind, 'd', KIND[node.kind]?.(width, height) ?? '');
    const inset = node.kind === 'topic' ? 20 : 13;
    const [first, second] = [height / 2 - 4.5, height / 2 + 12.5];
    for (const [of, at] of [[dot, { cx: inset, cy: first - 4.5 }], [name, { x: inset + 11, y: first }], [line, { x: inset + 11, y: second }], [flag, { x: width - 8 - (node.kind === 'queue' ? 12 : 0), y: second }]]) {
      for (const [key, value] of Object.entries(at)) mark(of, key, value);
    }
    mark(g, 'data-state', wellness(node));
    const all = flags(node);
    say(name, short(node.kind === 'topic' ? node.name.slice(node.name.indexOf('/') + 1) : node.name ?? node.id, Math.floor((width - inset - 19) / 7)));
    say(flag, all[0] ?? '');
    say(line, cut(standing(node), Math.floor((width - inset - 19 - (node.kind === 'queue' ? 12 : 0) - (all.length ? all[0].length * 7.6 + 6 : 0)) / 6.4)));
    const whole = `${node.kind} ${node.name ?? node.id}, ${standing(node)}${all.length ? `, ${all.join(', ')}` : ''}`;
    say(title, whole);
    mark(g, 'aria-label', whole);
  });

  // What is wrong lies over what is not.
  const rank = (edge) => ['', 'warn', 'bad'].indexOf(edge.state);
  const ranks = [0, 1, 2].map(() => linesAt.appendChild(s('g', {})));
  const lines = new Keyed(linesAt, (edge) => picks(s('g', { class: 'edge', 'data-kind': edge.kind },
    s('title', {}), s('path', { class: 'line' }), s('path', { class: 'tip' }), s('path', { class: 'hit' })), edge.id), (g, edge) => {
    const wire = shape.wires.get(edge.id);
    const document = store.get(`edge/${edge.id}`);
    if (g.of === document && g.wire === wire && g.state === edge.state) return;
    Object.assign(g, { of: document, wire, state: edge.state });
    const [title, line, tip, hit] = g.children;
    mark(line, 'd', wire.path);
    mark(hit, 'd', wire.own || wire.path);
    mark(tip, 'd', wire.tip);
    mark(g, 'data-used', String(edge.used));
    mark(g, 'data-declared', edge.declared === false ? 'false' : null);
    mark(g, 'data-flow', edge.rate > 0);
    mark(g, 'data-state', edge.state);
    say(title, `${edge.id}${edge.used ? '' : ': declared, never used'}${edge.declared === false ? ': used, not declared' : ''}`);
  }, (edge) => ranks[rank(edge)]);

  const texts = new Keyed(wordsAt, (edge) => picks(s('text', { class: 'word', 'text-anchor': 'middle' }), edge.id), () => {});

  // What was said of a document stays said.
  const known = new Map();
  const wordsOf = (edge) => {
    const document = store.get(`edge/${edge.id}`);
    const before = known.get(edge.id);
    if (before?.of === document && before.faults === edge.faults.length) return before.words;
    const found = words(edge);
    known.set(edge.id, { of: document, faults: edge.faults.length, words: found });
    return found;
  };

  const speak = () => {
    for (const edge of edges) {
      const text = texts.shown.get(edge.id);
      if (!text) continue;
      const at = said.get(edge.id);
      const all = wordsOf(edge);
      const isWhole = edge.id === (over ?? on);
      if (text.of === all && text.at === at && text.isWhole === isWhole && text.shape === shape && text.state === edge.state) continue;
      Object.assign(text, { of: all, at, isWhole, shape, state: edge.state });
      const wanted = isWhole ? all[0] : at && all[Math.min(at.text, all.length - 1)];
      say(text, wanted ?? '');
      mark(text, 'data-state', edge.state);
      if (!wanted) continue;
      const place = at ?? middle(shape.wires.get(edge.id));
      mark(text, 'x', place.x);
      mark(text, 'y', place.y + 4);
    }
  };

  const draw = () => {
    const isTall = quiet || isNarrow();
    const drawing = store.get(`drawing/${isTall ? 'tall' : 'wide'}`);
    if (!drawing) return;
    const room = `${isTall} ${svg.clientWidth} ${quiet ? '' : svg.clientHeight}`;
    const changed = told !== drawing || roomy !== room;
    if (changed) {
      [told, roomy, narrow] = [drawing, room, isTall];
      shape = wired(drawing, narrow ? SHAPES.tall : fitted(drawing, svg.clientWidth));
      // Room that is left below makes lines easier to tell apart.
      const k = Math.max(LEAST, Math.min(1, svg.clientWidth / shape.width));
      const stretch = narrow ? 1 : Math.max(SQUEEZE, Math.min(1.5, (svg.clientHeight - below() - 8) / (shape.height * k)));
      if (Math.abs(stretch - 1) > 0.02) shape = wired(drawing, fitted(drawing, svg.clientWidth), stretch);
    }
    const faults = store.all('fault/');
    edges = store.all('edge/').filter((edge) => shape.wires.has(edge.id))
      .map((edge) => ({ ...edge, faults: faults.filter((fault) => edge.calls?.includes(fault.on)) }));
    const byId = new Map(store.all('node/').map((node) => [node.id, node]));
    for (const edge of edges) edge.state = edgeState(edge, { aside: asideOf(edge, byId) });
    const ejected = new Map();
    for (const edge of edges) if (edge.ejected) ejected.set(edge.to, Math.max(edge.ejected, ejected.get(edge.to) ?? 0));
    const all = store.all('node/').filter((node) => shape.boxes.has(node.id)).map((node) => ({ ...node, ejected: ejected.get(node.id) ?? 0 }));
    nodes.show(all, (node) => node.id);
    lines.show(edges, (edge) => edge.id);
    if (!quiet) texts.show(edges, (edge) => edge.id);
    if (changed) size();
    if (!quiet) place(changed);
    light();
    reveal();
    if (quiet) follow();
  };

  // Words are placed anew where one has become longer than its place, and not for every number: each has the room that it has needed lately.
  const place = (changed) => {
    const has = edges.map((edge) => ({ id: edge.id, texts: wordsOf(edge), rank: rank(edge) })).filter((one) => one.texts.length);
    const room = (id, at) => spoken.get(id)?.[at] ?? 0;
    if (!changed && has.every(({ id, texts: all }) => all.every((text, at) => text.length <= room(id, at)))) return;
    if (changed || Date.now() - freed > ROOM_MS) [spoken, freed] = [new Map(), Date.now()];
    for (const { id, texts: all } of has) spoken.set(id, all.map((text, at) => Math.max(text.length, room(id, at))));
    const matters = [...has].sort((a, b) => (b.id === on) - (a.id === on) || b.rank - a.rank);
    said = worded(shape, matters.map(({ id }) => ({ id, texts: spoken.get(id).map((length) => ' '.repeat(length)) })));
  };

  const size = () => {
    // Where layers lie below each other the page is scrolled, and not the drawing.
    const room = svg.clientWidth || element.clientWidth;
    mark(svg, 'height', narrow ? Math.ceil(shape.height * Math.min(1, room / shape.width)) : null);
    frame.below = below();
    frame.hold(shape.width, shape.height, quiet ? 0 : LEAST);
  };

  // Where there is not room for all, what has just begun to be amiss comes into sight.
  const follow = () => {
    const now = new Set([...nodes.shown.keys(), ...lines.shown.keys()].filter((id) => (nodes.shown.get(id) ?? lines.shown.get(id)).dataset.state === 'bad' || lines.shown.get(id)?.dataset.state === 'warn'));
    const fresh = [...now].find((id) => !amiss.has(id));
    amiss = now;
    const box = fresh && (shape.boxes.get(fresh) ?? (shape.wires.has(fresh) ? round(shape, shape.wires.get(fresh)) : null));
    if (box) element.scrollTo({ top: box.y * frame.k + frame.y - Math.max(0, (element.clientHeight - box.height * frame.k) / 2), behavior: 'smooth' });
  };

  addEventListener('resize', draw, { signal });
  const turn = (id) => {
    if (on === id) return;
    [on, shown] = [id, false];
    if (!id && frame.revealed) frame.fit(LEAST);
    spoken = new Map();
    draw();
  };
  // What is chosen comes into sight once, from behind what tells of it.
  const reveal = () => {
    const box = shape.boxes.get(on) ?? (shape.wires.has(on) ? round(shape, shape.wires.get(on)) : null);
    if (!box || shown || quiet) return;
    shown = true;
    if (!narrow) frame.reveal(box, PANEL);
    else {
      const { top } = svg.getBoundingClientRect();
      const [from, to] = [top + frame.y + box.y * frame.k, top + frame.y + (box.y + box.height) * frame.k];
      if (from < 110 || to > innerHeight * 0.46) scrollBy({ top: from - 120, behavior: 'instant' });
    }
  };
  return { element, draw, turn, edges: () => edges, has: (id) => shape?.boxes.has(id) || shape?.wires.has(id) };
}

// A drawing of many layers has these nearer to each other, so that more of it is seen at a size that can be read.
function fitted(drawing, width) {
  const { wide } = SHAPES;
  const gap = (width / LEAST - drawing.layers * wide.depth) / Math.max(1, drawing.layers - 1);
  return { ...wide, gap: Math.max(GAP_LEAST, Math.min(wide.gap, gap)) };
}

const middle = (wire) => {
  const piece = wire.pieces.at(-1);
  return piece ? { x: (piece.from.x + piece.to.x) / 2, y: (piece.from.y + piece.to.y) / 2 } : { x: 0, y: 0 };
};

// The box about both ends of a wire.
function round({ boxes }, { from, to }) {
  const [a, b] = [boxes.get(from), boxes.get(to)];
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x, b.x) + a.width - x, height: Math.max(a.y, b.y) + a.height - y };
}
