// Lines that run free of boxes, and words that have room. `large.json` is a drawing as the node lays it out: 41 services, 4 topics
// and 108 ways.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { SHAPES, paths, wired, worded, wordsWidth } from '../../assets/wires.js';

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
    const wanted = [...shape.wires.keys()].map((id) => ({ id, texts }));
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
  const texts = ['12/s · 3 ms', '12/s'];
  for (const order of [['a -> b', 'b -> a'], ['b -> a', 'a -> b']]) {
    const found = worded(shape, order.map((id) => ({ id, texts })));
    assert.equal(found.get(order[0]).text, 0);
  }
  assert.equal(worded(shape, [{ id: 'gone', texts }]).size, 0);
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
