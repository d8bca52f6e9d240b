// Lines that run free of boxes, and words that have room. `large.json` is a drawing as the node lays it out: 41 services, 4 topics
// and 108 ways.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { SHAPES, paths, stretched, tallShape, wideShape, wired, worded } from '../../assets/wires.js';

// About as wide as words come out.
const wordsWidth = (text) => text.length * 6.1;

const large = JSON.parse(readFileSync(new URL('large.json', import.meta.url)));

// Points along a path of M, L and C with absolute coordinates.
function points(path) {
  const found = [];
  let pen = [0, 0];
  for (const [, command, rest] of path.matchAll(/([MLC])([^MLCz]*)/g)) {
    const n = rest.trim().split(/[ ,]+/).map(Number);
    if (command === 'C') {
      for (let t = 0; t <= 1; t += 0.05) {
        found.push([0, 1].map((axis) => (1 - t) ** 3 * pen[axis] + 3 * (1 - t) ** 2 * t * n[axis] + 3 * (1 - t) * t * t * n[2 + axis] + t ** 3 * n[4 + axis]));
      }
    } else if (command === 'L') {
      for (let t = 0; t <= 1; t += 0.05) found.push([0, 1].map((axis) => pen[axis] + t * (n[axis] - pen[axis])));
    }
    pen = n.slice(-2);
  }
  return found;
}

const within = ([x, y], box, by = 0) => x > box.x + by && x < box.x + box.width - by && y > box.y + by && y < box.y + box.height - by;

for (const name of ['wide', 'tall']) {
  const drawing = large[name];
  const shape = wired(drawing, SHAPES[name], name === 'wide' ? 1.3 : 1);

  test(`no box meets another, and all is within the drawing: ${name}`, () => {
    const boxes = [...shape.boxes.values()];
    assert.equal(boxes.length, Object.keys(drawing.nodes).length);
    for (const [at, a] of boxes.entries()) {
      assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= shape.width && a.y + a.height <= shape.height, JSON.stringify(a));
      for (const b of boxes.slice(at + 1)) assert.ok(a.x + a.width < b.x || b.x + b.width < a.x || a.y + a.height < b.y || b.y + b.height < a.y, JSON.stringify([a, b]));
    }
  });

  test(`no line goes behind a box: ${name}`, () => {
    assert.equal(shape.wires.size, drawing.ways.length);
    for (const [id, wire] of shape.wires) {
      for (const point of points(wire.path)) {
        for (const box of shape.boxes.values()) assert.ok(!within(point, box, 0.5), `${id} at ${point} in ${JSON.stringify(box)}`);
      }
    }
  });

  test(`a line begins and ends at its boxes: ${name}`, () => {
    const near = ([x, y], box) => within([x, y], { x: box.x - 1, y: box.y - 1, width: box.width + 2, height: box.height + 2 });
    for (const wire of shape.wires.values()) {
      const start = wire.path.match(/^M(\S+) (-?[\d.]+)/).slice(1).map(Number);
      const tip = wire.tip.match(/^M(\S+) (-?[\d.]+)/).slice(1).map(Number);
      assert.ok(near(start, shape.boxes.get(wire.from)), wire.path);
      assert.ok(near(tip, shape.boxes.get(wire.to)), wire.tip);
    }
  });

  test(`words meet neither boxes nor each other: ${name}`, () => {
    const texts = ['1,200/s · 340 ms · 12 % err · open', '1,200/s · 340 ms', '340/s'];
    const wanted = [...shape.wires.keys()].map((id) => ({ id, widths: texts.map(wordsWidth) }));
    const found = worded(shape, wanted);
    const rects = [...found.values()].map(({ x, y, text }) => ({ x: x - wordsWidth(texts[text]) / 2, y: y - 6, width: wordsWidth(texts[text]), height: 12 }));
    const meet = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
    for (const [at, a] of rects.entries()) {
      assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= shape.width && a.y + a.height <= shape.height, `${JSON.stringify(a)} is out of sight`);
      for (const b of rects.slice(at + 1)) assert.ok(!meet(a, b), JSON.stringify([a, b]));
      for (const box of shape.boxes.values()) assert.ok(!meet(a, box), JSON.stringify([a, box]));
    }
    assert.ok(found.size > wanted.length * (name === 'wide' ? 0.8 : 0.5), `${found.size} of ${wanted.length} have words`);
    assert.ok([...found.values()].some(({ text }) => text > 0), 'some are told in short');
  });
}

test('what matters most has its words first and whole', () => {
  const drawing = { layers: 2, span: 1, lane: 0.3, nodes: { a: [0, 0.5], b: [1, 0.5] }, ways: [['a', 'b', []], ['b', 'a', []]] };
  const shape = wired(drawing, SHAPES.wide);
  const widths = ['12/s · 3 ms', '12/s'].map(wordsWidth);
  for (const order of [['a -> b', 'b -> a'], ['b -> a', 'a -> b']]) {
    const found = worded(shape, order.map((id) => ({ id, widths })));
    assert.equal(found.get(order[0]).text, 0);
  }
  assert.equal(worded(shape, [{ id: 'gone', widths }]).size, 0);
});

test('trunks are shared, and what is an edge of its own is not', () => {
  const drawing = { layers: 3, span: 2, lane: 0.3, nodes: { a: [0, 0.5], b: [1, 1.5], c: [2, 0.5], d: [2, 1.5] }, ways: [['a', 'c', [[1, 0.2]]], ['a', 'd', [[1, 0.2]]], ['a', 'b', []]] };
  const { wires } = wired(drawing, SHAPES.wide);
  const [c, d, b] = ['c', 'd', 'b'].map((to) => wires.get(`a -> ${to}`));
  const trunk = c.path.split(/(?=[CL])/).slice(0, 3).join('');
  assert.ok(d.path.startsWith(trunk), `${d.path} begins with ${trunk}`);
  assert.ok(!c.own.includes(trunk) && c.own.length > 0 && c.own !== d.own);
  assert.equal(b.own, b.path);
});

test('an edge back leaves where others come in', () => {
  const drawing = { layers: 2, span: 1, lane: 0.3, nodes: { a: [0, 0.5], b: [1, 0.5] }, ways: [['b', 'a', []]] };
  const { boxes, wires } = wired(drawing, SHAPES.wide);
  const wire = wires.get('b -> a');
  assert.equal(Number(wire.path.match(/^M(\S+)/)[1]), boxes.get('b').x);
  assert.equal(Number(wire.tip.match(/^M(\S+)/)[1]), boxes.get('a').x + boxes.get('a').width);
});

test('all that leads to something and all that it leads to is lit, and nothing beside', () => {
  const edges = [['a', 'b'], ['b', 'c'], ['c', 'd'], ['a', 'x'], ['x', 'd'], ['d', 'b']].map(([from, to]) => ({ id: `${from} -> ${to}`, from, to }));
  const straight = edges.slice(0, 5);
  assert.deepEqual([...paths(straight, 'c')].sort(), ['a', 'a -> b', 'b', 'b -> c', 'c', 'c -> d', 'd']);
  assert.deepEqual([...paths(straight, 'a -> x')].sort(), ['a', 'a -> x', 'd', 'x', 'x -> d']);
  assert.ok(paths(edges, 'c').has('d -> b'), 'circles have an end');
});

test('a wide drawing takes what room there is: what is between layers gives way, and names do', () => {
  const wants = [100, 180, 104, 300];
  const extent = ({ depths, gap }) => depths.reduce((sum, depth) => sum + depth, gap * (depths.length - 1));
  const roomy = wideShape(wants, 4000);
  assert.deepEqual(roomy.depths, [100, 180, 104, 190], 'whole, but for what is too long for any');
  for (const width of [600, 700, 800]) {
    const shape = wideShape(wants, width);
    assert.ok(extent(shape) <= width - 8 && extent(shape) > width - 24, `${width}: ${JSON.stringify(shape)}`);
    assert.ok(shape.gap < roomy.gap && shape.depths[1] < 180 && shape.depths[0] === 100, JSON.stringify(shape));
    assert.ok(shape.gap === 46 || shape.depths[1] >= 128, 'names give way last');
  }
  const least = wideShape(wants, 10);
  assert.deepEqual([least.depths, least.gap], [[100, 104, 104, 104], 46], 'no nearer than can be read');
  assert.equal(wideShape([], 100).depths.length, 0);
});

test('layers are as deep as their names need, and lines end at them', () => {
  const drawing = { layers: 3, span: 1, lane: 0.3, nodes: { a: [0, 0.5], b: [1, 0.5], c: [2, 0.5] }, ways: [['a', 'b', []], ['b', 'c', []]] };
  const { boxes, wires, width } = wired(drawing, { ...SHAPES.wide, depths: [100, 120, 140], gap: 50 });
  assert.deepEqual(['a', 'b', 'c'].map((name) => [boxes.get(name).x, boxes.get(name).width]), [[4, 100], [154, 120], [324, 140]]);
  assert.equal(width, 468);
  assert.match(wires.get('b -> c').path, /^M274 /);
  assert.match(wires.get('b -> c').tip, /^M324 /);
});

test('a tall drawing is as wide as its screen', () => {
  for (const width of [320, 362, 420]) {
    const shape = tallShape(2.4, width);
    const { width: wide } = wired({ layers: 1, span: 2.4, lane: 0.09, nodes: { a: [0, 0.5] }, ways: [] }, shape);
    assert.ok(wide <= width && wide > width - 12, `${wide} of ${width}`);
  }
  assert.equal(tallShape(1, 2000).breadth, 170, 'no wider than a name needs');
  assert.equal(tallShape(30, 362).breadth, 96, 'no narrower than can be read');
});

test('boxes move apart where there is room, and together down to a bound', () => {
  const shape = { breadth: 38, beside: 20 };
  assert.equal(stretched(shape, 10, 588), 1);
  assert.equal(stretched(shape, 10, 5000), 1.6);
  assert.ok(Math.abs(stretched(shape, 10, 100) * 58 - 45) < 1e-9, 'seven pixels are left between two');
});

test('a shop of eight services, a queue, topics and stores is whole on a small laptop, in its full size', () => {
  // `shop.json` is the drawing of examples/marketplace, 1066 by 690 what a window of 1280 by 900 has for it.
  const { wide, tall } = JSON.parse(readFileSync(new URL('shop.json', import.meta.url)));
  const wants = Array.from({ length: wide.layers }, () => 96);
  for (const [name, [layer]] of Object.entries(wide.nodes)) wants[layer] = Math.max(wants[layer], name.length * 7);
  const shaped = wideShape(wants, 1066);
  const shape = wired(wide, shaped, stretched(shaped, wide.span, 690));
  assert.ok(shape.boxes.size > 20 && shape.width <= 1066 && Math.floor(shape.height) <= 690, `${shape.boxes.size} boxes on ${shape.width} by ${shape.height}`);
  const found = worded(shape, [...shape.wires.keys()].map((id) => ({ id, widths: ['0.8/s · 12 ms', '0.8/s'].map(wordsWidth) })));
  assert.ok(found.size > shape.wires.size * 0.8, `${found.size} of ${shape.wires.size} have words`);
  const { width } = wired(tall, tallShape(tall.span, 362));
  assert.ok(width <= 362, `${width} on a phone`);
});
