// Ranges of time, clocks, and the marks of a time axis.

import assert from 'node:assert/strict';
import test from 'node:test';

import { aligned, clock, dated, duration, field, HOUR, MINUTE, misread, moment, ofField, range, round, SECOND, stamp, step, ticks, zone } from '../../assets/time.js';

const NOW = Date.UTC(2026, 10, 22, 12, 34, 56);
process.env.TZ = 'UTC';

test('moments are as the API takes them', () => {
  assert.equal(duration('1h 30m'), 90 * MINUTE);
  assert.deepEqual(['250ms', '1.5s', '2 m', '40us', '.5s'].map(duration), [250, 1500, 2 * MINUTE, 0.04, 500]);
  for (const odd of ['', 'x', '1', '1h?', 'h', '1..5s', null, undefined]) assert.equal(duration(odd), null, odd);
  assert.equal(moment('1700000000000', NOW), 1700000000000);
  assert.equal(moment('-15m', NOW), NOW - 15 * MINUTE);
  assert.equal(moment('7.4', NOW), 7);
  for (const odd of ['yesterday', '-', '-x', '', undefined, '1e300', '9'.repeat(20), 'NaN', '<b>']) assert.equal(moment(odd, NOW), null, odd);
});

test('a range without an end is live', () => {
  assert.deepEqual(range({ from: '-1h' }, NOW), { from: NOW - HOUR, to: NOW, live: true });
  assert.deepEqual(range({}, NOW), { from: NOW - 15 * MINUTE, to: NOW, live: true });
  const [from, to] = [NOW - 2 * HOUR, NOW - HOUR];
  assert.deepEqual(range({ from: String(from), to: String(to) }, NOW), { from, to, live: false });
  assert.deepEqual(range({ to: String(to) }, NOW), { from: to - 15 * MINUTE, to, live: false });
});

test('a range that makes no sense is the usual one', () => {
  const usual = range({}, NOW);
  assert.deepEqual(range({ from: String(NOW), to: String(NOW - 1) }, NOW), usual);
  assert.deepEqual(range({ from: 'x', to: 'y' }, NOW), usual);
  assert.deepEqual(range({ from: String(NOW + HOUR) }, NOW), usual);
});

test('what of an address is no time is told', () => {
  assert.match(misread({ from: 'xyz' }, NOW), /^from=xyz is no time/);
  assert.match(misread({ from: '-5m', to: 'soon' }, NOW), /^to=soon is no time/);
  assert.match(misread({ since: 'xyz' }, NOW), /^since=xyz is no stretch/);
  assert.match(misread({ from: String(NOW), to: String(NOW - 1) }, NOW), /before it ends/);
  for (const fine of [{}, { from: '-5m' }, { since: '5m' }, { from: '-5m', since: 'xyz' }, { to: String(NOW) }, { from: String(NOW - HOUR), to: String(NOW) }]) assert.equal(misread(fine, NOW), null);
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
  const texts = (from, to, most, utc) => ticks(from, to, most, utc).map((tick) => tick.text);
  assert.deepEqual(texts(NOW - 15 * MINUTE, NOW, 4), ['12:20', '12:25', '12:30']);
  assert.deepEqual(texts(NOW - 30 * SECOND, NOW, 4), ['12:34:30', '12:34:40', '12:34:50']);
  assert.deepEqual(texts(NOW, NOW + 250, 3), ['12:34:56.000', '12:34:56.100', '12:34:56.200']);
  const midnight = Date.UTC(2026, 10, 22);
  assert.deepEqual(texts(midnight - 6 * HOUR, midnight + 6 * HOUR, 3), ['18:00', '22 Nov', '06:00']);
  for (let span = 7 * SECOND; span < 60 * 24 * HOUR; span *= 1.3) {
    const count = ticks(NOW, NOW + span, 6).length;
    assert.ok(count >= 1 && count <= 7, `${span}: ${count}`);
  }
  assert.equal(round(HOUR, 60), MINUTE);
  assert.equal(round(HOUR, 60, 5 * MINUTE), 5 * MINUTE);
  // Where clocks are five hours and a half ahead, hours begin at half past.
  process.env.TZ = 'Asia/Kolkata';
  const [tick] = ticks(NOW, NOW + 6 * HOUR, 6);
  assert.deepEqual(tick, { at: Date.UTC(2026, 10, 22, 13, 30), text: '19:00' });
  assert.deepEqual(texts(NOW, NOW + 6 * HOUR, 6, true).slice(0, 2), ['13:00', '14:00']);
  const late = Date.UTC(2026, 10, 21, 18, 0);
  assert.deepEqual(texts(late, late + HOUR, 4), ['23:30', '23:45', '22 Nov', '00:15', '00:30']);
  process.env.TZ = 'UTC';
});

test('clocks are told with their zone', () => {
  const at = Date.UTC(2026, 10, 22, 4, 5, 6, 7);
  assert.deepEqual([clock(at, true), dated(at, true), zone(at, true)], ['04:05:06.007', '2026-11-22 04:05:06.007', 'UTC']);
  process.env.TZ = 'Asia/Kolkata';
  assert.deepEqual([clock(at), dated(at).slice(0, 16), zone(at)], ['09:35:06.007', '2026-11-22 09:35', 'UTC+05:30']);
  assert.equal(ofField(field(at, true), true), at - 7);
  assert.equal(ofField(field(at)), at - 7);
  assert.equal(ofField('soon'), null);
  process.env.TZ = 'America/St_Johns';
  assert.equal(zone(at), 'UTC−03:30');
  assert.deepEqual([clock(NaN), dated(9e15)], ['–', '– –'], 'no time is no clock');
  process.env.TZ = 'UTC';
});

test('a moment of another day says which', () => {
  assert.equal(stamp(NOW, false, NOW), '12:34:56');
  assert.equal(stamp(NOW - 24 * HOUR, false, NOW), '21 Nov 12:34:56');
  process.env.TZ = 'Pacific/Auckland';
  assert.equal(stamp(NOW, false, NOW), '01:34:56');
  assert.equal(stamp(NOW - 2 * HOUR, false, NOW), '22 Nov 23:34:56');
  process.env.TZ = 'UTC';
});
