// What is asked stands in the address as the API takes it, and times are told as they are.

import assert from 'node:assert/strict';
import test from 'node:test';

import { address, duration, HOUR_MS, isNarrowed, merged, nanos, query, range, read, written } from '../../assets/asked.js';
import * as times from '../../assets/times.js';

test('an address is read as it is written', () => {
  const search = '?service=shop&name=%2Fapi%2Fx&error=true&slower=300ms&attribute=a%3Db&attribute=c%7Ed+e&from=5&to=9&utc=true';
  const asked = read(search);
  assert.deepEqual(asked.attribute, ['a=b', 'c~d e']);
  assert.deepEqual(read(address(asked).replace('/traces', '')), asked);
  assert.equal(address(read('')), '/traces');
  assert.equal(isNarrowed(asked), true);
  assert.equal(isNarrowed(read('?since=5m&utc=true')), false);
});

test('the API is asked nothing that it does not know', () => {
  const asked = read('?service=shop&since=5m&utc=true&attribute=a&unknown=1');
  assert.equal(query(asked, { from: 1, to: undefined, limit: 2 }), '?service=shop&attribute=a&from=1&limit=2');
});

test('a time is the last quarter of an hour, or since, or as it is said', () => {
  assert.deepEqual(range(read(''), 10 * HOUR_MS), { from: 10 * HOUR_MS - 900000, to: 10 * HOUR_MS, open: true });
  assert.equal(range(read('?since=1h'), 10 * HOUR_MS).from, 9 * HOUR_MS);
  assert.deepEqual(range(read('?from=5&to=9'), 100), { from: 5, to: 9, open: false });
});

test('durations are read as people write them', () => {
  assert.deepEqual([nanos('300ms'), nanos('1.5s'), nanos('20'), nanos('2 m'), nanos('x'), nanos('')], [3e8, 1.5e9, 2e7, 120e9, null, null]);
  assert.deepEqual([duration('20'), duration(' 2 s'), duration('soon')], ['20ms', '2s', null]);
  for (const ns of [178000, 562000, 17800000, 1e9, 3.16e9, 100e9]) assert.equal(nanos(written(ns)), ns);
});

test('what is new is put before what was known, and what was dropped is told', () => {
  const one = (id, at, kept = 'share') => ({ trace_id: id, start_us: at * 1000, kept });
  const known = [one('c', 30, null), one('b', 20, null), one('a', 10)];
  const { traces, gone, isAnew } = merged(known, [one('d', 40, null), one('c', 30)], 15, true);
  assert.deepEqual([traces.map((each) => each.trace_id).join(''), traces[1].kept, gone, isAnew], ['dcba', 'share', ['b'], false]);
  assert.deepEqual(merged(known, [one('z', 90)], 15, false), { traces: [one('z', 90)], gone: [], isAnew: true });
  assert.equal(merged([], [one('z', 90)], 15, false).isAnew, true);
  // The newest that there are reach back to what was known: nothing of that is lost, and only what they reach back to is gone.
  const reaching = merged(known, [one('z', 90), one('y', 25)], 15, false);
  assert.deepEqual([reaching.traces.map((each) => each.trace_id).join(''), reaching.gone, reaching.isAnew], ['zcyba', ['c'], false]);
});

test('clocks are told with their zone', () => {
  const at = Date.UTC(2026, 10, 22, 4, 5, 6, 7);
  assert.deepEqual([times.clock(at, true), times.moment(at, true), times.zone(at, true)], ['04:05:06.007', '2026-11-22 04:05:06.007', 'UTC']);
  assert.equal(times.ofField(times.field(at, true), true), at - 7);
  assert.equal(times.ofField(times.field(at, false), false), at - 7);
  process.env.TZ = 'Asia/Kolkata';
  assert.deepEqual([times.clock(at, false), times.zone(at, false)], ['09:35:06.007', 'UTC+05:30']);
  process.env.TZ = 'America/St_Johns';
  assert.equal(times.zone(at, false), 'UTC−03:30');
});

test('rulers have round marks', () => {
  process.env.TZ = 'Asia/Kolkata';
  const at = Date.UTC(2026, 10, 21, 18, 0);
  assert.deepEqual(times.marks(at, at + 3600000, 4, false).map(({ text }) => text), ['23:30', '23:45', '11-22', '00:15', '00:30']);
  assert.deepEqual(times.ruler(0, 23e6, 6).map(({ text }) => text), ['0', '5 ms', '10 ms', '15 ms', '20 ms']);
  assert.ok(times.ruler(0, 1, 5).length <= 6);
  assert.equal(times.step(3600000, 60), 60000);
  assert.deepEqual([times.took(999), times.took(1500), times.took(-2.5e6), times.took(125e9)], ['999 ns', '2 µs', '−2.5 ms', '2 min 5 s']);
});

test('a time that is none is not asked for', () => {
  for (const wrong of ['now', '-15m', '1e300', '9'.repeat(20), 'NaN', '<b>']) {
    const asked = read(`?${new URLSearchParams({ from: wrong, to: wrong, service: 'cart' })}`);
    assert.deepEqual(asked, { attribute: [], service: 'cart' }, wrong);
  }
  assert.deepEqual(read('?from=5&to=7.5'), { attribute: [], from: '5', to: '7.5' });
});
