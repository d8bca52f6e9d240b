// The live map as a drawing, for the page of the map and beside what is broken on purpose. Laid out by the node (`drawing/*`);
// what has not changed is not touched.

import { asideOf, edgeState, NOTED, wellness } from './amiss.js';
import { h, isNarrow, Keyed, mark, plain, s, say } from './dom.js';
import * as show from './format.js';
import { Frame } from './frame.js';
import * as store from './store.js';
import { paths, stretched, tallShape, wideShape, wired, worded } from './wires.js';

// A map that is too large to be read as a whole begins where requests come in: its smallest words are of 11 px.
const LEAST = 0.92;
// The least that a box needs across its layer, for what stands below its name.
const BOX_LEAST = 96;
// What is beside the words of a box, by its kind.
const INSET = { topic: 12 };
const INSET_USUAL = 9;
const TAIL = { queue: 15 };
// Where what stands below a name begins, behind the dot that says how it does.
const DOT = 12;
// As the style sheet has them.
const FONTS = { title: '500 12px', small: '11px', flag: '600 11px', word: '11px' };
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

// Before what a service takes of memory, which is left out first.
const MEMORY = '  ';

export function standing(node) {
  if (node.kind === 'service') {
    if (!node.is_ours) return node.trouble ?? 'runs elsewhere';
    const memory = (node.instances ?? []).reduce((sum, one) => sum + (one.rss_kib ?? 0), 0);
    return `${node.state === 'ready' ? '' : `${node.state}, `}${node.ready}/${node.wanted}${memory ? `${MEMORY}${show.kib(memory)}` : ''}`;
  }
  // Its name is what it is.
  if (node.kind === 'gateway') return 'ingress';
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

// As much of a text as there is room for, by what measures it: `parts(kept)` leaves so many characters of it.
function fitting(text, room, measure, parts) {
  if (measure(text) <= room) return text;
  let [kept, most] = [0, text.length - 1];
  while (kept < most) {
    const middle = Math.ceil((kept + most) / 2);
    if (measure(parts(middle)) <= room) kept = middle;
    else most = middle - 1;
  }
  return parts(kept);
}

// A name that is too long, without its middle: names that begin alike differ at their end.
export const shortened = (text, room, measure) => fitting(text, room, measure, (kept) => `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`);
// What is said of it without its end; nothing rather than a few characters.
export const cut = (text, room, measure) => {
  const found = fitting(text, room, measure, (kept) => `${text.slice(0, kept).trimEnd()}…`);
  return found.length < Math.min(4, text.length) ? '' : found;
};

// A name on two lines where one is too short for it: broken where a word of it ends, and of the second line its end, in whole words if it can be.
export function parted(text, room, measure, measureBelow = measure) {
  const breaks = breaksOf(text).filter((at) => measure(text.slice(0, at)) <= room);
  if (measure(text) <= room || !breaks.length) return null;
  const [first, rest] = [text.slice(0, breaks.at(-1)), text.slice(breaks.at(-1))];
  const ends = [rest, ...breaksOf(rest).map((at) => `…${rest.slice(at)}`)];
  return [first, ends.find((end) => measureBelow(end) <= room) ?? fitting(rest, room, measureBelow, (kept) => `…${rest.slice(rest.length - kept)}`)];
}

const breaksOf = (text) => [...text.matchAll(/[-_./:]/g)].map(({ index }) => index + 1).filter((at) => at < text.length);

// The least room in which nothing of it has to go.
export const least = (text, measure, measureBelow = measure) =>
  Math.min(measure(text), ...breaksOf(text).map((at) => Math.max(measure(text.slice(0, at)), measureBelow(text.slice(at)))));

// How many widths of texts are remembered.
const KNOWN_MAX = 4000;

// How wide texts come out in a font of the page.
function ruler(element) {
  const pen = document.createElement('canvas').getContext('2d');
  const { fontFamily } = getComputedStyle(element);
  const known = new Map();
  return (which) => (text) => {
    const key = `${which} ${text}`;
    if (!known.has(key)) {
      // Most of what changes is numbers.
      if (known.size >= KNOWN_MAX) known.clear();
      pen.font = `${FONTS[which]} ${fontFamily}`;
      known.set(key, pen.measureText(text).width);
    }
    return known.get(key);
  };
}

// What tells kinds apart beside their words: a queue has its end, a store its lid.
const KIND = {
  queue: (width, height) => `M${width - 6} 0v${height}M${width - 11} 0v${height}`,
  store: (width) => `M0 4h${width}`,
};
// Longer than this a name has two lines rather than a wide box.
const LINE_MOST = 104;
// What stands below the name of these is not worth more than the rest of the name.
const PARTED = ['topic', 'store'];
const insetOf = (kind) => INSET[kind] ?? INSET_USUAL;
// What one calls it: of a topic, without its component.
const called = ({ kind, name, id }) => plain(kind === 'topic' ? name.slice(name.indexOf('/') + 1) : name ?? id);

// `choose` is called with what is clicked, or null; `quiet` leaves out words and buttons.
export function drawn({ choose, signal, quiet = false }) {
  const svg = s('svg', { class: 'all', role: 'group', tabindex: quiet ? null : 0, 'aria-label': 'Who calls whom. Arrows move it, plus and minus zoom, 0 fits it in' });
  const [world, linesAt, wordsAt, nodesAt] = ['world', 'lines', 'words', 'nodes'].map((name) => s('g', { class: name }));
  world.append(linesAt, wordsAt, nodesAt);
  svg.append(world);
  const button = (text, title, does) => h('button', { type: 'button', title, 'aria-label': title, onclick: does }, text);
  const fit = button('Fit', 'Fit the map in', () => frame.fit());
  const buttons = h('div', { class: 'zoom' }, fit, button('+', 'Larger', () => frame.zoom(1.25)), button('−', 'Smaller', () => frame.zoom(0.8)));
  const frame = new Frame(svg, world, signal, (isWhole) => { fit.hidden = isWhole; });
  const element = h('div', { class: 'drawing', 'data-quiet': quiet }, svg);
  let wide = null;

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
    s('title', {}), s('rect', {}), s('path', { class: 'kind' }), s('circle', { r: 3.5 }), s('text', { class: 'title' }), s('text', { class: 'small' }), s('text', { class: 'flag', 'text-anchor': 'end' })), node.id), (g, node) => {
    const box = shape.boxes.get(node.id);
    const document = store.get(`node/${node.id}`);
    if (g.of === document && g.box === box && g.ejected === node.ejected) return;
    Object.assign(g, { of: document, box, ejected: node.ejected });
    const [title, rect, kind, dot, name, line, flag] = g.children;
    const { width, height } = box;
    mark(g, 'transform', `translate(${box.x} ${box.y})`);
    mark(rect, 'width', width);
    mark(rect, 'height', height);
    mark(rect, 'rx', node.kind === 'topic' ? 15 : 5);
    mark(kind, 'd', KIND[node.kind]?.(width, height) ?? '');
    const [inset, tail] = [insetOf(node.kind), TAIL[node.kind] ?? insetOf(node.kind) - 2];
    const [first, second] = [height / 2 - 3, height / 2 + 11.5];
    const all = flags(node);
    const [room, below] = [width - inset - tail, all.length ? wide('flag')(all[0]) + 6 : 0];
    const parts = PARTED.includes(node.kind) && !below ? parted(called(node), room, wide('title'), wide('small')) : null;
    for (const [of, at] of [[dot, { cx: inset + 3.5, cy: second - 4 }], [name, { x: inset, y: first }], [line, { x: parts ? inset : inset + DOT, y: second }], [flag, { x: width - tail, y: second }]]) {
      for (const [key, value] of Object.entries(at)) mark(of, key, value);
    }
    mark(g, 'data-state', wellness(node));
    mark(g, 'data-parted', Boolean(parts));
    say(name, parts?.[0] ?? shortened(called(node), room, wide('title')));
    say(flag, all[0] ?? '');
    // Before its memory is cut it is left out.
    const stands = [standing(node).replace(MEMORY, ' '), standing(node).split(MEMORY, 1)[0]];
    const left = room - DOT - below + (TAIL[node.kind] ? 0 : 3);
    say(line, parts?.[1] ?? stands.find((text) => wide('small')(text) <= left) ?? cut(stands[1], left, wide('small')));
    const told = [`${node.kind} ${node.name ?? node.id}`, standing(node) === node.kind ? null : standing(node).replace(`${node.kind}, `, '').replace(MEMORY, ', '), ...all].filter(Boolean).join(', ');
    say(title, told);
    mark(g, 'aria-label', told);
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
    const [across, down] = [svg.clientWidth, svg.clientHeight];
    const room = `${isTall} ${across} ${isTall ? '' : down}`;
    const changed = told !== drawing || roomy !== room;
    if (changed) {
      [told, roomy, narrow] = [drawing, room, isTall];
      wide ??= ruler(svg);
      const shaped = narrow ? tallShape(drawing.span, across) : wideShape(wants(drawing), across);
      // Room that is left below makes lines easier to tell apart.
      shape = wired(drawing, shaped, narrow ? 1 : stretched(shaped, drawing.span, down));
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

  // What the longest name of each layer needs. A name that is known only later moves nothing.
  const wants = (drawing) => {
    const all = Array.from({ length: Math.max(1, drawing.layers) }, () => BOX_LEAST);
    for (const [id, [layer]] of Object.entries(drawing.nodes)) {
      const node = store.get(`node/${id}`) ?? { id };
      const inset = insetOf(node.kind);
      const name = called({ ...node, id });
      const whole = wide('title')(name);
      const needs = PARTED.includes(node.kind) && whole > LINE_MOST ? least(name, wide('title'), wide('small')) : whole;
      all[layer] = Math.max(all[layer], Math.ceil(needs) + inset + (TAIL[node.kind] ?? inset - 2) + 1);
    }
    return all;
  };

  // Words are placed anew where one has become longer than its place, and not for every number: each has the room that it has needed lately.
  const place = (changed) => {
    const has = edges.map((edge) => ({ id: edge.id, widths: wordsOf(edge).map((text) => Math.ceil(wide('word')(text))), rank: rank(edge) })).filter((one) => one.widths.length);
    const room = (id, at) => spoken.get(id)?.[at] ?? 0;
    if (!changed && has.every(({ id, widths }) => widths.every((width, at) => width <= room(id, at)))) return;
    if (changed || Date.now() - freed > ROOM_MS) [spoken, freed] = [new Map(), Date.now()];
    for (const { id, widths } of has) spoken.set(id, widths.map((width, at) => Math.max(width, room(id, at))));
    const matters = [...has].sort((a, b) => (b.id === on) - (a.id === on) || b.rank - a.rank);
    said = worded(shape, matters.map(({ id }) => ({ id, widths: spoken.get(id) })));
  };

  const size = () => {
    // Where layers lie below each other the page is scrolled, and not the drawing.
    const room = svg.clientWidth || element.clientWidth;
    mark(svg, 'height', narrow ? Math.ceil(shape.height * Math.min(1, room / shape.width)) : null);
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
  return { element, buttons, draw, turn, edges: () => edges, has: (id) => shape?.boxes.has(id) || shape?.wires.has(id) };
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
