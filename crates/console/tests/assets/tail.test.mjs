// Lists of records: in order, each once, and what of them is asked.

import assert from 'node:assert/strict';
import test from 'node:test';

import { keyOf, merged, ofKey, order, placeBefore, placeOf, query, read } from '../../assets/tail.js';

const log = (at, seq) => ({ at_us: at, seq });

test('an address is what the API is asked, but for what is opened and how it is looked at', () => {
  const asked = read('?service=shop&level=warn&attribute=a%3Db&attribute=c&since=1h&utc=true&line=17-2&other=1');
  assert.deepEqual(asked, { service: 'shop', level: 'warn', attribute: ['a=b', 'c'], from: '-1h', utc: 'true', line: '17-2' });
  assert.equal(query(asked, { from: 17, before: null, after: 0 }), '?service=shop&level=warn&attribute=a%3Db&attribute=c&from=17&after=0');
  assert.equal(query(read('')), '');
  // A time that is none is not asked for.
  assert.deepEqual(read('?from=-soon&to=1e9'), { attribute: [] });
});

test('two lists become one, in order and each once, whatever came late', () => {
  const all = Array.from({ length: 60 }, (_, i) => log(1000 + Math.floor(i / 3), i + 1));
  for (let cut = 0; cut <= all.length; cut += 7) {
    for (const step of [1, 2, 5]) {
      const known = all.filter((_, i) => i < cut || i % step === 0);
      const came = all.filter((_, i) => i >= cut - 3);
      assert.deepEqual(merged(known, came), all, `${cut} ${step}`);
      assert.deepEqual(merged(came, known), all, `${cut} ${step}`);
    }
  }
  assert.equal(merged(all, []), all);
});

test('a record is found where it is, and the place of one that is not is where it would be', () => {
  const all = [log(5, 1), log(5, 4), log(7, 2), log(9, 9)];
  all.forEach((one, i) => assert.equal(placeOf(all, one), i));
  assert.equal(placeOf(all, log(5, 2)), 1);
  assert.equal(placeOf(all, log(99, 1)), 4);
  assert.ok(order(all[0], all[1]) < 0 && order(all[2], all[1]) > 0);
});

test('a key is read as it is written, and nothing else is one', () => {
  assert.deepEqual(ofKey(keyOf(log(1795309323500000, 12))), log(1795309323500000, 12));
  for (const text of [undefined, '', '1', '1-', '-1', 'a-b', '1-2-3', '99999999999999999-1']) assert.equal(ofKey(text), null, text);
});

test('the page before a record begins no earlier than it', () => {
  // Nanoseconds do not fit a number of JavaScript.
  assert.equal(placeBefore(log(1795309323500000, 255)), '1795309323500000999-ff');
});
