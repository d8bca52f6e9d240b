// Units and the marks of a value axis.

import assert from 'node:assert/strict';
import test from 'node:test';

import { folder, micros, took } from '../../assets/format.js';
import { linear, spanTicks, told, unitOf, valueTicks } from '../../assets/scale.js';

test('what is taken of a metric says its unit', () => {
  const duration = { unit: 's', kind: 'histogram' };
  assert.equal(unitOf(duration, 'p99'), 'seconds');
  assert.equal(unitOf(duration, 'rate'), 'count/s');
  assert.equal(unitOf(duration, 'increase'), 'count');
  const requests = { unit: '{request}', kind: 'counter' };
  assert.equal(unitOf(requests, 'rate'), 'count/s');
  assert.equal(unitOf(requests, 'rate', 'colony.call.requests'), 'share');
  assert.equal(unitOf({ unit: 's', kind: 'counter' }, 'rate'), 'share', 'seconds of work in a second');
  assert.equal(unitOf({ unit: 's', kind: 'counter' }, 'increase'), 'seconds');
  assert.equal(unitOf({ unit: 's', kind: 'gauge' }, 'value'), 'seconds');
  assert.equal(unitOf({ unit: 'By', kind: 'gauge' }, 'value'), 'bytes');
  assert.equal(unitOf({ unit: '1', kind: 'gauge' }, 'value'), 'share');
  assert.equal(unitOf({ unit: '{message}', kind: 'gauge' }, 'value'), 'count');
});

test('values have three digits and the unit that fits', () => {
  const cases = [
    ['seconds', 0.000012, '12 µs'], ['seconds', 0.01234, '12.3 ms'], ['seconds', 1.5, '1.5 s'], ['seconds', 90, '90 s'], ['seconds', 600, '10 min'],
    ['seconds', 0, '0 ms'], ['bytes', 512, '512 B'], ['bytes', 157286400, '150 MiB'], ['bytes/s', 2048, '2 KiB/s'],
    ['share', 0.0123, '1.23 %'], ['share', 1, '100 %'], ['share', -0.5, '−50 %'], ['share', 0.00004, '0.004 %'],
    ['count', 3, '3'], ['count', 9999, '9,999'], ['count', 12345, '12.3k'], ['count/s', 0.08333, '0.083/s'], ['count/s', 40.04, '40/s'], ['count/s', 0, '0/s'], ['count', null, '–'],
  ];
  for (const [unit, value, text] of cases) assert.equal(told(unit, value), text, `${value} ${unit}`);
});

const texts = (...of) => valueTicks(...of).ticks.map((tick) => tick.text);

test('marks are round and in one unit', () => {
  assert.deepEqual(texts(0, 0.043, 4, 'seconds'), ['0 ms', '20 ms', '40 ms', '60 ms']);
  assert.deepEqual(texts(0, 1.3, 4, 'seconds'), ['0 s', '0.5 s', '1.0 s', '1.5 s']);
  assert.deepEqual(texts(0, 41, 4, 'count/s'), ['0/s', '20/s', '40/s', '60/s']);
  assert.deepEqual(texts(0, 150 * 1024 ** 2, 3, 'bytes'), ['0 MiB', '50 MiB', '100 MiB', '150 MiB']);
  assert.deepEqual(texts(0, 0.004, 4, 'share'), ['0 %', '0.1 %', '0.2 %', '0.3 %', '0.4 %']);
  assert.deepEqual(texts(0, 1, 4, 'count'), ['0', '1'], 'what is counted has no halves');
  assert.deepEqual(texts(-0.5, 1, 3, 'share'), ['−50 %', '0 %', '50 %', '100 %']);
  assert.deepEqual(texts(-17, 1, 4, 'share'), ['−2000 %', '−1500 %', '−1000 %', '−500 %', '0 %']);
  assert.equal(valueTicks(-17, 1, 4, 'share').high, 1, 'no room for five times more than there is');
});

test('whatever the values, the marks hold them between and are few', () => {
  for (const unit of ['seconds', 'bytes', 'share', 'count', 'count/s', 'bytes/s']) {
    for (let high = 1e-7; high < 1e13; high *= 1.37) {
      for (const low of [0, -high / 3]) {
        const { ticks, low: bottom, high: top } = valueTicks(low, high, 4, unit);
        assert.ok(bottom <= low + 1e-12 && top >= high * (1 - 1e-9), `${low} to ${high} ${unit}: ${bottom} to ${top}`);
        assert.ok(ticks.length >= 2 && ticks.length <= 8, `${low} to ${high} ${unit}: ${ticks.length}`);
        assert.equal(new Set(ticks.map((tick) => tick.text)).size, ticks.length, `${high} ${unit}: ${ticks.map((tick) => tick.text)}`);
      }
    }
    const nothing = valueTicks(0, 0, 4, unit);
    assert.ok(nothing.high > 0 && nothing.low === 0 && Number.isFinite(nothing.high), unit);
  }
});

test('places are in proportion', () => {
  const y = linear(0, 10, 100, 0);
  assert.deepEqual([0, 5, 10].map(y), [100, 50, 0]);
  assert.equal(linear(3, 3, 0, 50)(3), 0, 'a range of nothing is no division by it');
});

test('rulers of durations have round marks', () => {
  assert.deepEqual(spanTicks(0, 23e6, 6).map(({ text }) => text), ['0', '5 ms', '10 ms', '15 ms', '20 ms']);
  assert.deepEqual(spanTicks(7e6, 12e6, 3).map(({ text }) => text), ['8 ms', '10 ms', '12 ms']);
  assert.ok(spanTicks(0, 1, 5).length <= 6);
});

test('stretches of time are told in what fits', () => {
  assert.deepEqual([took(999), took(1500), took(-2.5e6), took(125e9)], ['999 ns', '2 µs', '−2.5 ms', '2 min 5 s']);
  assert.deepEqual([micros(null), micros(0), micros(3400), micros(12345678)], ['–', '0 µs', '3.4 ms', '12.35 s']);
});

test('a folder is told without what leads nowhere', () => {
  assert.deepEqual(['/shop/.', '/shop/./front', '/shop/./.', '/shop/.hidden', '/.', '.', 'shop'].map(folder), ['/shop', '/shop/front', '/shop', '/shop/.hidden', '/', '.', 'shop']);
});
