// What a drawing of a trace shows, in which order, and how two traces stand beside each other.

import assert from 'node:assert/strict';
import test from 'node:test';

import { aligned, elsewhere, eventWords, isWait, lengths, missing, onPath, outcomes, rows, stretches, waited } from '../../assets/spans.js';

const span = (id, parent, service, name, from, us, more = {}) => ({
  span_id: id, parent_id: parent, service, name, kind: 'internal', start_us: 1000000 + from, duration_ns: us * 1000, status: 'unset', attributes: {}, ...more,
});
const trace = (spans, more = {}) => ({
  trace_id: 't', start_us: 1000000, duration_ns: 200000000, is_whole: true, kept: 'share', spans, logs: [], critical_path: [], ...more,
});
const told = (all) => all.map((row) => `${' '.repeat(row.depth)}${row.span?.name ?? row.log?.body ?? row.event?.name ?? row.kind}`);

const purchase = () => trace([
  span('a', null, 'gateway', 'POST', 0, 200000, { kind: 'server', events: [{ at_us: 1060000, name: 'retry', attributes: { 'colony.retry.wait_ms': 20 } }] }),
  span('b', 'a', 'gateway', 'try 1', 1000, 59000, { status: 'error' }),
  span('c', 'a', 'gateway', 'try 2', 80000, 110000),
  span('d', 'c', 'checkout', 'POST', 81000, 100000),
  span('p', 'd', 'checkout', 'publish', 90000, 5000, { kind: 'producer' }),
  span('k', 'p', 'mail', 'process', 130000, 5000, { kind: 'consumer' }),
], { logs: [{ seq: 1, at_us: 1085000, span_id: 'd', body: 'charged' }, { seq: 2, at_us: 1199000, span_id: null, body: 'of no span' }],
  critical_path: [{ span_id: 'a', offset_ns: 0, duration_ns: 10 }, { span_id: 'd', offset_ns: 10, duration_ns: 30 }, { span_id: 'a', offset_ns: 40, duration_ns: 5 }] });

test('spans, retries and logs stand at their time, below what they belong to', () => {
  assert.deepEqual(told(rows(purchase())), ['POST', ' try 1', ' retry', ' try 2', '  POST', '   charged', '   publish', '    process', 'of no span']);
});

test('without logs a retry stays, and what is folded has nothing below', () => {
  const shown = rows(purchase(), { logs: false, folded: new Set(['c']) });
  assert.deepEqual(told(shown), ['POST', ' try 1', ' retry', ' try 2']);
  assert.deepEqual([shown[3].isFolded, shown[3].below], [true, 1]);
});

test('a wait is what is told, or the time from the handing over', () => {
  const shown = rows(purchase());
  assert.equal(shown.find((row) => row.span?.span_id === 'k').waited, 35000000);
  assert.equal(waited({ kind: 'consumer', attributes: { 'colony.queue.wait_ms': 1.5 } }, undefined), 1500000);
  assert.equal(waited({ kind: 'server', attributes: {} }, { kind: 'producer' }), 0);
});

test('a cause that is not there has a row, and is told of', () => {
  const odd = trace([span('a', null, 's', 'one', 0, 10), span('b', 'gone', 's', 'two', 5, 10, { dropped: 3 })], { kept: null });
  assert.deepEqual(told(rows(odd)), ['one', 'missing', ' two']);
  const said = missing(odd);
  assert.equal(said.length, 3);
  assert.match(said[0], /not decided/);
  assert.match(said[1], /cause of 1 span/);
  assert.match(said[2], /^3 attributes/);
  assert.deepEqual(missing(purchase()), []);
});

test('what causes itself in a circle, or lies very deep, is drawn once', () => {
  assert.deepEqual(told(rows(trace([span('a', 'b', 's', 'one', 0, 1), span('b', 'a', 's', 'two', 1, 1), span('c', 'c', 's', 'three', 2, 1)]))), ['one', ' two', 'three']);
  const deep = Array.from({ length: 10000 }, (_, n) => span(`s${n}`, n ? `s${n - 1}` : null, 's', `n${n}`, n, 1));
  assert.equal(rows(trace(deep)).at(-1).depth, 9999);
});

test('clocks that differ are seen', () => {
  const [, row] = rows(trace([span('a', null, 's', 'one', 5000, 100), span('b', 'a', 's', 'two', 0, 100)])).sort((a, b) => a.depth - b.depth);
  assert.equal(row.isEarly, true);
});

test('what the policies did is said', () => {
  const said = (attributes, name = 'try x') => outcomes({ attributes, name }).map(({ text }) => text);
  assert.deepEqual(said({ 'http.request.resend_count': 1, 'colony.hedge': true, 'colony.held_ms': 1.2345 }), ['try 2', 'hedge', 'held 1.23 ms for an instance']);
  assert.deepEqual(said({ 'colony.policy': 'breaker' }), ['refused by breaker']);
  assert.deepEqual(said({ 'colony.fault': 1, 'colony.timeout': 'try' }), ['fault 1 struck', 'time of the try was over']);
  assert.deepEqual(said({ 'colony.attempt': 2 }), ['brought the 2nd time']);
  assert.deepEqual(said({ 'colony.attempt': 12 }), ['brought the 12th time']);
  assert.deepEqual(said({ 'colony.attempt': 1 }), []);
  assert.equal(eventWords({ name: 'retry', attributes: { 'error.type': '503', 'colony.retry.wait_ms': 25 } }), 'retry after 503, 25 ms later');
});

test('two traces are aligned by service and name where their causes are', () => {
  const one = trace([span('a', null, 'g', 'POST', 0, 100), span('b', 'a', 'g', 'try', 1, 10), span('c', 'a', 'g', 'log', 20, 10), span('d', 'b', 's', 'work', 2, 5)]);
  const other = trace([span('A', null, 'g', 'POST', 0, 150), span('B', 'A', 'g', 'try', 1, 20), span('B2', 'A', 'g', 'try', 30, 40), span('D', 'B2', 's', 'work', 31, 7), span('C', 'A', 'g', 'log', 80, 10)]);
  const said = aligned(one, other).map((row) => [row.depth, row.a?.span_id ?? '', row.b?.span_id ?? '', row.delta]);
  assert.deepEqual(said, [[0, 'a', 'A', 50000], [1, 'b', 'B', 10000], [2, 'd', '', null], [1, '', 'B2', null], [2, '', 'D', null], [1, 'c', 'C', 0]]);
});

test('of several tries that which succeeded is compared with that which did', () => {
  const one = trace([span('a', null, 'g', 'POST', 0, 100), span('b', 'a', 'g', 'try', 1, 10)]);
  const other = trace([span('A', null, 'g', 'POST', 0, 100), span('B', 'A', 'g', 'try', 1, 5, { status: 'error' }), span('C', 'A', 'g', 'try', 9, 12)]);
  assert.deepEqual(aligned(one, other).map((row) => [row.a?.span_id ?? '', row.b?.span_id ?? '']), [['a', 'A'], ['', 'B'], ['b', 'C']]);
  const worse = trace([span('A', null, 'g', 'POST', 0, 100), span('B', 'A', 'g', 'try', 1, 5, { status: 'error' })]);
  assert.deepEqual(aligned(one, worse).map((row) => [row.a?.span_id ?? '', row.b?.span_id ?? '']), [['a', 'A'], ['b', 'B']]);
});

test('every span of both is in the alignment once', () => {
  const one = purchase();
  const other = trace([...purchase().spans.slice(0, 3), span('x', 'x', 's', 'circle', 1, 1)]);
  const all = aligned(one, other);
  assert.deepEqual(all.flatMap((row) => row.a?.span_id ?? []).sort(), one.spans.map((each) => each.span_id).sort());
  assert.deepEqual(all.flatMap((row) => row.b?.span_id ?? []).sort(), other.spans.map((each) => each.span_id).sort());
});

test('the time on the critical path is summed, and stretches that nobody could tell apart are one', () => {
  assert.deepEqual([...onPath(purchase())], [['a', 15], ['d', 30]]);
  const path = [{ offset_ns: 500, duration_ns: 100 }, { offset_ns: 0, duration_ns: 100 }, { offset_ns: 101, duration_ns: 99 }];
  assert.deepEqual(stretches(path, 0, 1000), [{ begin: 0, end: 0.2 }, { begin: 0.5, end: 0.6 }]);
  assert.deepEqual(stretches(path, 550, 1550), [{ begin: 0, end: 0.05 }]);
});

test('a request and what it set off are told apart where that makes a difference', () => {
  const of = (own, all, isWhole = true) => lengths({ is_whole: isWhole, duration_ns: all, first_duration_ns: own });
  assert.deepEqual(of(9.5e6, 5.02e9), { request: 9.5e6, whole: 5.02e9, isApart: true });
  assert.equal(of(9.5e6, 10e6).isApart, false);
  assert.equal(of(9.5e6, 5.02e9, false).isApart, false, 'of what has no beginning nobody knows how long it took');
  assert.deepEqual(of(0, 0), { request: 1, whole: 1, isApart: false });
});

test('a span that is nothing but waiting says for what', () => {
  assert.equal(isWait({ attributes: { 'colony.wait': 'queue' } }), true);
  assert.equal(isWait({ attributes: { 'colony.queue.wait_ms': 20 } }), false);
});

test('what begins a trace leads to those that it is linked with, each once, and to none of its own', () => {
  const to = (...ids) => ids.map((id) => ({ trace_id: id, span_id: 'x', attributes: {} }));
  const run = trace([span('a', null, 'mail', 'run report', 0, 100, { links: to('other', 't', 'other', 'third') }), span('b', 'a', 'mail', 'POST', 1, 50, { links: to('inner') })]);
  assert.deepEqual(elsewhere(run).map((one) => one.trace_id), ['other', 'third']);
  assert.deepEqual(elsewhere(purchase()), []);
});
