// Series: what is asked, shares, names, gaps, colours.

import assert from 'node:assert/strict';
import test from 'node:test';

import { extent, family, last, most, names, nearest, Palette, path, ratio, runs, spec, usualSplit, usualTake, written } from '../../assets/curves.js';

const series = (labels, ...values) => ({ labels, points: values.map((value, at) => [at * 10, value]) });

test('what an address asks for is read and written', () => {
  assert.deepEqual(spec('a.b'), { name: 'a.b', of: null, take: null, by: null });
  assert.deepEqual(spec('a/b:p99:x,y'), { name: 'a', of: 'b', take: 'p99', by: ['x', 'y'] });
  assert.deepEqual(spec('a::-'), { name: 'a', of: null, take: null, by: [] });
  for (const text of ['a.b', 'a/b', 'a:p99', 'a::x,y', 'a/b:rate:-']) assert.equal(written(spec(text)), text);
});

test('what is not said is what tells most', () => {
  assert.deepEqual(usualSplit(['caller', 'upstream', 'call', 'status']), ['upstream']);
  assert.deepEqual(usualSplit(['service', 'instance']), ['instance']);
  assert.deepEqual(usualSplit(['topic', 'group']), ['topic', 'group']);
  assert.deepEqual(usualSplit(['queue', 'state']), ['queue', 'state']);
  assert.deepEqual(usualSplit(['service', 'state']), ['service', 'state']);
  assert.deepEqual(usualSplit([]), []);
  assert.deepEqual(['histogram', 'gauge', 'counter'].map(usualTake), ['p99', 'value', 'rate']);
});

test('a share of nothing is not known, and no failure is none of them', () => {
  const failures = [series({ upstream: 'cart' }, 1, null, 0, 5)];
  const requests = [series({ upstream: 'cart' }, 10, 10, 0, null), series({ upstream: 'pay' }, 4, 4, 4, 4)];
  const shares = ratio(failures, requests);
  assert.deepEqual(shares[0].points.map(([, value]) => value), [0.1, 0, null, null]);
  assert.deepEqual(shares[1].points.map(([, value]) => value), [0, 0, 0, 0]);
});

test('series are named by what tells them apart', () => {
  assert.deepEqual(names([series({ a: 'x', b: '1' }), series({ a: 'x', b: '2' })]), ['1', '2']);
  assert.deepEqual(names([series({ a: 'x', b: '1' })]), ['x 1']);
  assert.deepEqual(names([series({})]), ['all']);
});

test('those with the most in them are shown, in the order of their names', () => {
  const all = [series({ n: 'c10' }, 5), series({ n: 'c9' }, 4), series({ n: 'small' }, 1), series({ n: 'unknown' }, null)];
  assert.deepEqual(most(all, 2).map((one) => one.name), ['c9', 'c10']);
  assert.equal(most(all, 9).length, 3);
});

test('gaps are gaps, and a point between two of them is a dot', () => {
  const points = series({}, 1, 2, null, 3, null).points;
  assert.deepEqual(runs(points).map((run) => run.length), [2, 1]);
  const same = (value) => value;
  assert.equal(path(points, same, same), 'M0.0 1.0L10.0 2.0M30.0 3.0h0');
  assert.equal(path([], same, same), '');
  assert.deepEqual(extent([{ points }, series({}, -4)]), [-4, 3]);
  assert.deepEqual(last(points), [30, 3]);
  assert.equal(last(series({}, null).points), null);
});

test('the nearest point is found', () => {
  const points = series({}, 0, 1, 2, 3).points;
  for (const [at, found] of [[-100, 0], [4, 0], [6, 1], [14, 1], [16, 2], [1000, 3]]) assert.equal(nearest(points, at)[1], found, String(at));
  assert.equal(nearest(points, 1000, 50), null);
  assert.equal(nearest([], 5), null);
});

test('a service has one colour in all charts, and its instances are told apart', () => {
  assert.deepEqual(['cart-1', 'cart#2', 'cart', 'a.b:8080', 'v2'].map(family), ['cart', 'cart', 'cart', 'a.b', 'v2']);
  const palette = new Palette();
  const of = (...all) => palette.dress(all.map((name) => ({ name, labels: { instance: name } })));
  const [cart, pay] = of('cart', 'pay');
  assert.notEqual(cart.hue, pay.hue);
  const [one, two, other] = of('pay-1', 'pay-2', 'cart-1');
  assert.deepEqual([one.hue, two.hue, other.hue], [pay.hue, pay.hue, cart.hue]);
  assert.deepEqual([one.dash, two.dash, other.dash], [0, 1, 0]);
  assert.equal(palette.dress([{ name: 'all', labels: {} }])[0].hue, 0);
  const many = of(...Array.from({ length: 20 }, (_, at) => `service${String.fromCharCode(97 + at)}`));
  assert.equal(new Set(many.map((each) => `${each.hue} ${each.dash}`)).size, 20);
});
