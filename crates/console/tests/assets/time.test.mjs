// Ranges of time and the marks of a time axis.

import assert from 'node:assert/strict';
import test from 'node:test';

import { aligned, duration, HOUR, local, MINUTE, moment, range, SECOND, stamp, step, timeTicks } from '../../assets/time.js';

const NOW = Date.UTC(2026, 10, 22, 12, 34, 56);

test('moments are as the API takes them', () => {
  assert.equal(duration('1h 30m'), 90 * MINUTE);
  assert.equal(duration('250ms'), 250);
  for (const odd of ['', 'x', '1', '1h?', 'h', null, undefined]) assert.equal(duration(odd), null, odd);
  assert.equal(moment('1700000000000', NOW), 1700000000000);
  assert.equal(moment('-15m', NOW), NOW - 15 * MINUTE);
  for (const odd of ['yesterday', '-', '-x', '', undefined]) assert.equal(moment(odd, NOW), null, odd);
});

test('a range without an end is live', () => {
  assert.deepEqual(range({ from: '-1h' }, NOW), { from: NOW - HOUR, to: NOW, live: true, ago: HOUR });
  assert.deepEqual(range({}, NOW), { from: NOW - 15 * MINUTE, to: NOW, live: true, ago: 15 * MINUTE });
  const [from, to] = [NOW - 2 * HOUR, NOW - HOUR];
  assert.deepEqual(range({ from: String(from), to: String(to) }, NOW), { from, to, live: false, ago: null });
  assert.deepEqual(range({ to: String(to) }, NOW), { from: to - 15 * MINUTE, to, live: false, ago: null });
});

test('a range that makes no sense is the usual one', () => {
  const usual = range({}, NOW);
  assert.deepEqual(range({ from: String(NOW), to: String(NOW - 1) }, NOW), usual);
  assert.deepEqual(range({ from: 'x', to: 'y' }, NOW), usual);
  assert.deepEqual(range({ from: String(NOW + HOUR) }, NOW), usual);
});

test('steps are as fine as what is kept, and not too many', () => {
  const of = (span, ago = 0) => step({ from: NOW - ago - span, to: NOW - ago }, NOW) / SECOND;
  assert.deepEqual([5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR].map((span) => of(span)), [5, 10, 60, 180, 600]);
  assert.equal(of(MINUTE, 5 * HOUR), 60, 'what is older than an hour is kept by the minute');
  for (let span = 7 * SECOND; span < 400 * 24 * HOUR; span *= 1.7) assert.ok(span / SECOND / of(span) <= 151, String(span));
});

test('a live range ends with a whole step, and its points stay where they are', () => {
  const size = 10 * SECOND;
  const seen = (now) => aligned(range({ from: '-5m' }, now), size);
  for (let late = 0; late < 30 * SECOND; late += 777) {
    const { from, to } = seen(NOW + late);
    assert.equal(to % size, 0);
    assert.equal(to - from, 5 * MINUTE);
    assert.ok(to <= NOW + late - 6 * SECOND && to > NOW + late - 17 * SECOND);
  }
  const fixed = aligned({ from: NOW + 1, to: NOW + 25 * SECOND, live: false }, size);
  assert.ok(fixed.from <= NOW + 1 && fixed.to >= NOW + 25 * SECOND && (fixed.to - fixed.from) % size === 0);
});

test('marks of time are round on the clock of the place', () => {
  const texts = (from, to, most, offset) => timeTicks(from, to, most, offset).map((tick) => tick.text);
  assert.deepEqual(texts(NOW - 15 * MINUTE, NOW, 4, 0), ['12:20', '12:25', '12:30']);
  assert.deepEqual(texts(NOW - 30 * SECOND, NOW, 4, 0), ['12:34:30', '12:34:40', '12:34:50']);
  const midnight = Date.UTC(2026, 10, 22);
  assert.deepEqual(texts(midnight - 6 * HOUR, midnight + 6 * HOUR, 3, 0), ['18:00', '22 Nov', '06:00']);
  // Where clocks are five hours and a half ahead, hours begin at half past.
  const [tick] = timeTicks(NOW, NOW + 6 * HOUR, 6, 330);
  assert.equal(tick.text, '19:00');
  assert.equal(tick.at, Date.UTC(2026, 10, 22, 13, 30));
  for (let span = 7 * SECOND; span < 60 * 24 * HOUR; span *= 1.3) {
    const count = timeTicks(NOW, NOW + span, 6, 0).length;
    assert.ok(count >= 1 && count <= 7, `${span}: ${count}`);
  }
});

test('a moment of another day says which', () => {
  assert.equal(stamp(NOW, NOW, 0), '12:34:56');
  assert.equal(stamp(NOW - 24 * HOUR, NOW, 0), '21 Nov 12:34:56');
  assert.equal(stamp(NOW, NOW, 12 * 60), '00:34:56');
  assert.equal(local(NOW, 60), '2026-11-22T13:34:56');
});
