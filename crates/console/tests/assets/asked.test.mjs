// What is asked stands in the address as the API takes it, and times are told as they are.

import assert from 'node:assert/strict';
import test from 'node:test';

import { address, duration, isNarrowed, merged, query, read, written } from '../../assets/asked.js';
import { duration as millis } from '../../assets/time.js';

test('an address is read as it is written', () => {
  const search = '?service=shop&name=%2Fapi%2Fx&error=true&slower=300ms&attribute=a%3Db&attribute=c%7Ed+e&from=5&to=9&utc=true';
  const asked = read(search);
  assert.deepEqual(asked.attribute, ['a=b', 'c~d e']);
  assert.deepEqual(read(address(asked).replace('/traces', '')), asked);
  assert.equal(address(read('')), '/traces');
  assert.equal(isNarrowed(asked), true);
  assert.equal(isNarrowed(read('?from=-5m&utc=true')), false);
});

test('the API is asked nothing that it does not know', () => {
  const asked = read('?service=shop&since=5m&utc=true&attribute=a&unknown=1');
  assert.equal(query(asked, { from: 1, to: undefined, limit: 2 }), '?service=shop&attribute=a&from=1&limit=2');
});

test('`since` is a beginning, as the API has it', () => {
  assert.deepEqual(read('?since=1h'), { attribute: [], from: '-1h' });
  assert.equal(address(read('?since=1h&service=shop')), '/traces?service=shop&from=-1h');
  assert.equal(read('?since=1h&from=5').from, '5');
});

test('durations are read as people write them', () => {
  assert.deepEqual(['20', ' 2 s', '1m30s', 'soon', ''].map(duration), ['20ms', '2s', '90s', null, null]);
  for (const ns of [178000, 562000, 17800000, 1e9, 3.16e9, 100e9]) assert.equal(Math.round(millis(written(ns)) * 1e6), ns);
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

test('a time that is none is not asked for', () => {
  for (const wrong of ['now', '-15', '1e300', '9'.repeat(20), 'NaN', '<b>']) {
    const asked = read(`?${new URLSearchParams({ from: wrong, to: wrong, service: 'cart' })}`);
    assert.deepEqual(asked, { attribute: [], service: 'cart' }, wrong);
  }
  assert.deepEqual(read('?from=5&to=7.5'), { attribute: [], from: '5', to: '7.5' });
});
