// Values as lines, and how two of them differ.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compare, glimpse, pretty, readable } from '../../assets/json.js';

const text = (value) => ({ text: value, bytes: value.length, cut: false });

test('numbers and names stay as they are written', () => {
  assert.deepEqual(pretty(text('{"a":12345678901234567890,"b\\"c":[1.0,{}],"d":null}')), ['{', '  "a": 12345678901234567890,', '  "b\\"c": [', '    1.0,', '    {}', '  ],', '  "d": null', '}']);
});

test('what is no JSON is as it is', () => {
  assert.deepEqual(pretty(text('{"a":\nno')), ['{"a":', 'no']);
  assert.deepEqual(pretty({ base64: '/w==', bytes: 1 }), ['/w==']);
  assert.equal(glimpse({ base64: '/w==', bytes: 1 }), '1 B, no text');
  assert.equal(glimpse(text('a\n  b')), 'a b');
});

test('a short tree is a line, and what is no tree keeps its lines', () => {
  assert.equal(readable(text('{"order":12345678901234567890,"size":"large"}')), '{ "order": 12345678901234567890, "size": "large" }');
  assert.equal(readable(text(JSON.stringify({ text: 'long '.repeat(20) }))).split('\n').length, 3);
  assert.equal(readable(text('a\n  b')), 'a\n  b');
  assert.equal(readable({ text: '{"a":[1,', bytes: 900, cut: true }), '{"a":[1,');
});

test('a difference keeps what is in both, in order', () => {
  const told = (was, is) => compare([...was], [...is]).map(([mark, line]) => mark + line).join('');
  assert.equal(told('abcd', 'abcd'), ' a b c d');
  assert.equal(told('abcd', 'axcd'), ' a-b+x c d');
  assert.equal(told('abc', 'bcd'), '-a b c+d');
  assert.equal(told('', 'ab'), '+a+b');
  assert.equal(told('ab', ''), '-a-b');
});

test('what is too long is not compared, unless little of it differs', () => {
  const lines = (word) => Array.from({ length: 3000 }, (_, i) => `${word} ${i}`);
  assert.equal(compare(lines('a'), lines('b')), null);
  assert.equal(compare(lines('a'), [...lines('a'), 'more']).at(-1)[0], '+');
});
