// The map in pixels: boxes, the lines between them, and where their words stand. Nothing here knows a document or a clock; the node
// has said in which layer everything stands and which lanes lines take past boxes (`layout` in the console's sources).

// `depth` is a box across its layer, `breadth` along it; `gap` is between layers, `beside` between boxes of one. `depths`, where there are any,
// are the depths of boxes layer by layer.
export const SHAPES = {
  wide: { depth: 146, breadth: 38, gap: 96, beside: 20, port: 10, flat: false },
  tall: { depth: 38, breadth: 146, gap: 46, beside: 12, port: 22, flat: true },
};
const EDGE = 4;
// How deep a layer of a wide drawing may be, and what is between two, from where there is least room to where there is enough: what is between
// gives way first. And between what a box of a tall one may be broad.
const DEPTH = [104, 128, 190];
const GAP = [46, 46, 110];
const BREADTH = { least: 96, most: 170 };
// What is beside boxes at least.
const BESIDE = 7;
// Rather than leave room, boxes stand so much further apart, and no further.
const STRETCH = 1.6;
const TIP = 7;
// Height of words, and what is between them and other words, and boxes.
const LINE = 13;
const AIR = 3;
const BY = 3;

const key = (point) => `${point.u},${point.v}`;

// The name of an edge, as its document has it.
export const named = (from, to) => `${from} -> ${to}`;

// The shape of a wide drawing that is to be so wide: `wants` is, by layer, what its longest name has to have. Where there is not room for
// all, what is between layers gives way, and names do, down to what can still be read.
export function wideShape(wants, width) {
  const between = ([least, middle, most], part) => Math.floor(part < 0.5 ? least + 2 * part * (middle - least) : middle + (2 * part - 1) * (most - middle));
  const shaped = (part) => ({ ...SHAPES.wide, depths: wants.map((want) => Math.min(want, between(DEPTH, part))), gap: between(GAP, part) });
  const fits = ({ depths, gap }) => depths.reduce((sum, depth) => sum + depth + gap, 2 * EDGE - gap) <= width;
  if (fits(shaped(1))) return shaped(1);
  let [fitting, over] = [0, 1];
  while (over - fitting > 0.01) {
    const middle = (fitting + over) / 2;
    if (fits(shaped(middle))) fitting = middle;
    else over = middle;
  }
  return shaped(fitting);
}

// The shape of a tall drawing, of so many boxes beside each other, that is to be so wide.
export function tallShape(span, width) {
  const unit = (width - 2 * EDGE) / Math.max(1, span);
  const breadth = Math.floor(Math.max(BREADTH.least, Math.min(BREADTH.most, unit - SHAPES.tall.beside)));
  return { ...SHAPES.tall, breadth, beside: Math.max(BESIDE, Math.min(SHAPES.tall.beside, unit - breadth)) };
}

// By how much boxes of a layer move apart, or together, so that all is so high if it can be.
export function stretched({ breadth, beside }, span, height) {
  const wanted = (height - 2 * EDGE) / (Math.max(1, span) * (breadth + beside));
  return Math.max((breadth + BESIDE) / (breadth + beside), Math.min(STRETCH, wanted));
}

// Boxes by name, wires by the name of the edge, and how large it all is; `stretch` is
// by which more room than there must be is beside boxes.
export function wired(drawing, shape, stretch = 1) {
  const depthOf = (layer) => shape.depths?.[layer] ?? shape.depth;
  const near = [0];
  for (let layer = 0; layer < drawing.layers; layer += 1) near.push(near[layer] + depthOf(layer) + shape.gap);
  const across = Math.max(depthOf(0), near.at(-1) - shape.gap) + 2 * EDGE;
  const unit = (shape.breadth + shape.beside) * stretch;
  const at = (u, v) => (shape.flat ? { x: v + EDGE, y: u + EDGE } : { x: u + EDGE, y: v + EDGE });
  const boxes = new Map();
  for (const [name, [layer, along]] of Object.entries(drawing.nodes)) {
    const [width, height] = shape.flat ? [shape.breadth, depthOf(layer)] : [depthOf(layer), shape.breadth];
    boxes.set(name, { ...at(near[layer], along * unit - shape.breadth / 2), width, height, layer, middle: along * unit });
  }
  const ways = drawing.ways.map(([from, to, passed]) => ({ id: named(from, to), from, to, passed: passed.map(([layer, along]) => ({ layer, v: along * unit })) }));
  const ports = portsOf(ways, boxes, shape);
  const wires = new Map();
  for (const way of ways) {
    const forth = boxes.get(way.from).layer < boxes.get(way.to).layer;
    const ends = [(layer) => near[layer], (layer) => near[layer] + depthOf(layer)];
    const [into, outOf] = forth ? ends : ends.toReversed();
    const points = [{ u: outOf(boxes.get(way.from).layer), v: ports.get(`${way.id} from`) }];
    for (const { layer, v } of way.passed) points.push({ u: into(layer), v }, { u: outOf(layer), v });
    points.push({ u: into(boxes.get(way.to).layer), v: ports.get(`${way.id} to`) });
    wires.set(way.id, { from: way.from, to: way.to, forth, points });
  }
  const shared = new Map();
  for (const { points } of wires.values()) {
    for (let i = 1; i < points.length; i += 1) {
      const piece = `${key(points[i - 1])} ${key(points[i])}`;
      shared.set(piece, (shared.get(piece) ?? 0) + 1);
    }
  }
  for (const wire of wires.values()) trace(wire, at, (a, b) => shared.get(`${key(a)} ${key(b)}`) > 1);
  const along = Math.max(1, drawing.span) * unit + 2 * EDGE;
  return { boxes, wires, width: shape.flat ? along : across, height: shape.flat ? across : along };
}

// Where on the side of a box each line begins or ends: in the order of where they go, those that go the same way at one place.
function portsOf(ways, boxes, shape) {
  const sides = new Map();
  const put = (end, way, name, other, next) => {
    const side = `${name} ${boxes.get(name).layer < boxes.get(other).layer ? 'far' : 'near'}`;
    const lines = sides.get(side) ?? [];
    lines.push({ of: `${way.id} ${end}`, name, towards: next ? next.v : boxes.get(other).middle, lane: next ? `${next.layer} ${next.v}` : `= ${way.id}` });
    sides.set(side, lines);
  };
  for (const way of ways) {
    put('from', way, way.from, way.to, way.passed[0]);
    put('to', way, way.to, way.from, way.passed.at(-1));
  }
  const ports = new Map();
  for (const lines of sides.values()) {
    lines.sort((a, b) => a.towards - b.towards || (a.of < b.of ? -1 : 1));
    const lanes = [...new Set(lines.map((line) => line.lane))];
    const step = Math.min(shape.port, (shape.breadth - 14) / Math.max(1, lanes.length - 1));
    for (const line of lines) ports.set(line.of, boxes.get(line.name).middle + (lanes.indexOf(line.lane) - (lanes.length - 1) / 2) * step);
  }
  return ports;
}

const two = (number) => Math.round(number * 10) / 10;

// The path of a wire, that part of it which is its own alone, its tip, and the pieces that words may stand at.
function trace(wire, at, isShared) {
  const { points } = wire;
  const [path, own, pieces] = [[], [], []];
  const turn = wire.forth ? 1 : -1;
  let pen = '';
  for (let i = 1; i < points.length; i += 1) {
    const [a, b] = [points[i - 1], points[i]];
    const [from, to] = [at(a.u, a.v), at(b.u, b.v)];
    const last = i === points.length - 1;
    // A straight end under the tip, so that it points where the line goes.
    const end = last ? at(b.u - turn * TIP, b.v) : to;
    const bend = (b.u - a.u) / 2;
    const [c, d] = [at(a.u + bend, a.v), at(b.u - bend, b.v)];
    const is = i % 2 === 1 && a.v !== b.v ? `C${two(c.x)} ${two(c.y)} ${two(d.x)} ${two(d.y)} ${two(end.x)} ${two(end.y)}` : `L${two(end.x)} ${two(end.y)}`;
    const start = `M${two(from.x)} ${two(from.y)}`;
    path.push(i === 1 ? start + is : is);
    if (!isShared(a, b)) {
      own.push((pen === key(a) ? '' : start) + is);
      pen = key(b);
      pieces.push(i % 2 === 1 ? { from, c, d, to } : { from, c: from, d: to, to });
    }
  }
  const { u, v } = points.at(-1);
  const [tip, one, other] = [at(u, v), at(u - turn * TIP, v - 4), at(u - turn * TIP, v + 4)];
  Object.assign(wire, { path: path.join(''), own: own.join(''), pieces,
    tip: `M${two(tip.x)} ${two(tip.y)}L${two(one.x)} ${two(one.y)}L${two(other.x)} ${two(other.y)}z` });
}

const on = ({ from, c, d, to }, t) => {
  const of = (axis) => (1 - t) ** 3 * from[axis] + 3 * (1 - t) ** 2 * t * c[axis] + 3 * (1 - t) * t * t * d[axis] + t ** 3 * to[axis];
  return { x: of('x'), y: of('y') };
};

// On a line that is level words stand above it; on others, and where they lie across it, in its middle.
const ABOVE = LINE / 2 + 2;

// Where on a piece words are tried first.
const PLACES = [0.5, 0.62, 0.38, 0.74, 0.26, 0.84, 0.16];

const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

// Where words stand: `wanted` is `{ id, widths: [whole, shorter, ...] }`, what matters most first. No two meet, and none meets a box;
// who has no room for any has none. Ways of others are kept free as far as may be. By edge: `{ x, y, text }`, the middle of the words and
// which of them there is room for.
export function worded({ boxes, wires, width, height }, wanted) {
  const walls = [...boxes.values()].map((box) => ({ left: box.x - BY, right: box.x + box.width + BY, top: box.y - 1, bottom: box.y + box.height + 1 }));
  // Beyond its edges there is room that nobody sees.
  walls.push({ left: -1e6, right: 0, top: -1e6, bottom: 1e6 }, { left: width, right: 1e6, top: -1e6, bottom: 1e6 }, { left: -1e6, right: 1e6, top: -1e6, bottom: 0 }, { left: -1e6, right: 1e6, top: height, bottom: 1e6 });
  const lines = sampled(wires);
  const [taken, found] = [[], new Map()];
  for (const { id, widths } of wanted) {
    const wire = wires.get(id);
    if (!wire) continue;
    const best = widths.reduce((known, wide, which) => known ?? bestPlace(wire, id, wide, which, walls, taken, lines), null);
    if (!best) continue;
    taken.push(best.rect);
    found.set(id, { x: two(best.x), y: two(best.y), text: best.which });
  }
  return found;
}

function bestPlace(wire, id, wide, which, walls, taken, lines) {
  const [half, tall] = [wide / 2, LINE / 2];
  let best = null;
  // The end of a line is nearest to where it is alone.
  const pieces = [...wire.pieces].reverse();
  for (const [nth, piece] of pieces.entries()) {
    for (const [rank, t] of PLACES.entries()) {
      const point = on(piece, t);
      const x = point.x;
      const y = piece.from.y === piece.to.y ? point.y - ABOVE : point.y;
      const rect = { left: x - half - AIR, right: x + half + AIR, top: y - tall - 1, bottom: y + tall + 1 };
      if (walls.some((wall) => meets(rect, wall)) || taken.some((other) => meets(rect, other))) continue;
      const cost = lines.crossing(rect, id) * 4 + rank + nth * 2;
      if (!best || cost < best.cost) best = { x, y, rect, which, cost };
    }
  }
  return best;
}

const CELL = 40;

// Points on all wires, by squares.
function sampled(wires) {
  const cells = new Map();
  for (const [id, { pieces }] of wires) {
    for (const piece of pieces) {
      const count = Math.max(4, Math.round((Math.abs(piece.to.x - piece.from.x) + Math.abs(piece.to.y - piece.from.y)) / 10));
      for (let i = 0; i <= count; i += 1) {
        const point = { ...on(piece, i / count), id };
        const cell = `${Math.floor(point.x / CELL)} ${Math.floor(point.y / CELL)}`;
        const points = cells.get(cell);
        if (points) points.push(point);
        else cells.set(cell, [point]);
      }
    }
  }
  // How many other wires go through.
  const crossing = (rect, id) => {
    const others = new Set();
    for (let x = Math.floor(rect.left / CELL); x <= Math.floor(rect.right / CELL); x += 1) {
      for (let y = Math.floor(rect.top / CELL); y <= Math.floor(rect.bottom / CELL); y += 1) {
        for (const point of cells.get(`${x} ${y}`) ?? []) {
          if (point.id !== id && point.x > rect.left && point.x < rect.right && point.y > rect.top && point.y < rect.bottom) others.add(point.id);
        }
      }
    }
    return others.size;
  };
  return { crossing };
}

// What lies on ways through a node or an edge: all that leads to it, and all that it leads to, as the names of nodes and edges.
export function paths(edges, id) {
  const [before, behind] = [new Map(), new Map()];
  const put = (map, name, edge) => map.set(name, [...(map.get(name) ?? []), edge]);
  for (const edge of edges) {
    put(behind, edge.from, edge);
    put(before, edge.to, edge);
  }
  const lit = new Set([id]);
  const walk = (start, near, other) => {
    const way = [start];
    const seen = new Set(way);
    while (way.length) {
      const name = way.pop();
      lit.add(name);
      for (const edge of near.get(name) ?? []) {
        lit.add(edge.id);
        if (!seen.has(edge[other])) { seen.add(edge[other]); way.push(edge[other]); }
      }
    }
  };
  const edge = edges.find((one) => one.id === id);
  walk(edge ? edge.from : id, before, 'from');
  walk(edge ? edge.to : id, behind, 'to');
  return lit;
}
