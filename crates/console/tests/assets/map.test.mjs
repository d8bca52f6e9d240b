// What the map says of an edge, where it leads to, and what is to be written so that it is declared.

import assert from 'node:assert/strict';
import test from 'node:test';

import { edgeState, ofShare, wellness } from '../../assets/amiss.js';
import { cut, flags, least, parted, shortened, words } from '../../assets/drawn.js';
import { declaration, tracesOf } from '../../assets/map.js';

const call = { kind: 'call', from: 'cart', to: 'catalog', declared: true, used: true, rate: 12, errors: 0.2, p99_us: 3400, breaker: 'open' };

test('an edge is told whole, and shorter, with what is amiss to the last', () => {
  assert.deepEqual(words(call), ['open · 12/s · 3.4 ms · 20 % err', 'open · 20 % err · 12/s', 'open']);
  assert.deepEqual(words({ ...call, breaker: 'closed', errors: 0 }), ['12/s · 3.4 ms', '12/s']);
  assert.deepEqual(words({ ...call, used: false, rate: 0, errors: null, p99_us: null, breaker: 'closed' }), []);
  assert.deepEqual(words({ kind: 'call', declared: false, rate: 0, errors: null }), ['undeclared']);
  assert.deepEqual(words({ ...call, breaker: 'none', errors: 0, share: 0.1 }), ['10 % of requests · 12/s · 3.4 ms', '12/s']);
});

test('an edge is bad when it fails, and amiss when it is not declared', () => {
  assert.equal(edgeState(call), 'bad');
  assert.equal(edgeState({ ...call, breaker: 'closed', errors: 0.01 }), 'warn');
  assert.equal(edgeState({ kind: 'call', declared: false, rate: 1, errors: 0 }), 'warn');
  assert.equal(edgeState({ kind: 'send', declared: null, rate: 1, errors: 0 }), '');
});

test('a node shows what matters most of it first', () => {
  const node = { kind: 'service', state: 'ready', is_ours: true, faults: [1], slo: { state: 'exhausted' }, rollout: { replaced: 1, of: 2, old: 1 }, ejected: 1, instances: [{ restarts: 3 }] };
  assert.deepEqual(flags(node), ['SLO SPENT', 'FAULT', 'ROLLS 1/2', '1 EJECTED', '↻3']);
  assert.equal(wellness(node), 'bad');
  assert.equal(wellness({ ...node, slo: { state: 'ok' }, faults: [] }), 'warn', 'it rolls');
  assert.equal(wellness({ ...node, slo: undefined, faults: [], rollout: null }), 'good');
});

test('an edge leads to the traces of exactly that edge', () => {
  assert.equal(tracesOf(call), '/traces?caller=cart&callee=catalog');
  assert.equal(tracesOf({ kind: 'publish', from: 'shop', to: 'topic events/orders/new' }), '/traces?service=shop&name=publish+orders%2Fnew');
  assert.equal(tracesOf({ kind: 'subscription', from: 'topic events/orders', to: 'mail' }), '/traces?service=mail&name=process+orders');
  assert.equal(tracesOf({ kind: 'work', from: 'queue to pack', to: 'mail' }), '/traces?service=mail&name=process+to+pack');
});

test('what is not declared is told how to be', () => {
  assert.equal(declaration(call), null);
  assert.equal(declaration({ kind: 'send', declared: null }), null, 'a queue is declared nowhere');
  assert.equal(declaration({ ...call, declared: false }).text, 'services:\n  cart:\n    calls: [catalog]');
  assert.match(declaration({ kind: 'publish', from: 'shop', to: 'topic my events/orders', declared: false }).text, /name: "my events"\nspec:\n {2}type: pubsub\.colony/);
  assert.match(declaration({ kind: 'state', from: 'shop', to: 'store carts', declared: false }).text, /name: carts\nspec:\n {2}type: state\.colony/);
});

test('a name that is too long loses its middle, and what stands below it its end', () => {
  const measure = (text) => text.length * 7;
  assert.equal(shortened('checkout', 60, measure), 'checkout');
  assert.equal(shortened('order-paid-trouble-of-cart', 98, measure), 'order-p…f-cart');
  assert.equal(shortened('order-paid', 0, measure), '…');
  assert.equal(cut('queue, 12 ready', 200, measure), 'queue, 12 ready');
  assert.equal(cut('queue, 12 ready', 70, measure), 'queue, 12…');
  assert.equal(cut('queue, 12 ready', 20, measure), '', 'rather nothing');
  assert.equal(cut('', 20, measure), '');
});

test('a name on two lines is broken where a word ends, and shows how it ends', () => {
  const measure = (text) => text.length * 7;
  const name = 'order-paid-trouble-of-recommendations';
  assert.deepEqual(parted(name, 140, measure), ['order-paid-trouble-', 'of-recommendations']);
  assert.deepEqual(parted(name, 112, measure), ['order-paid-', '…recommendations']);
  assert.deepEqual(parted('order-paid-trouble-of-cart', 84, measure), ['order-paid-', '…of-cart'], 'in whole words');
  assert.deepEqual(parted(name, 91, measure), ['order-paid-', '…ommendations']);
  assert.deepEqual(parted(name, 112, measure, (text) => text.length * 4), ['order-paid-', 'trouble-of-recommendations']);
  assert.equal(parted('orders', 60, measure), null, 'it fits');
  assert.equal(parted('recommendations', 60, measure), null, 'it has one word');
  assert.equal(parted('recommendations-of-today', 60, measure), null, 'its first word is too long');
  assert.equal(least(name, measure), 19 * 7);
  assert.equal(least('orders', measure), 6 * 7);
});

test('a share of failures stands by itself as an edge does', () => {
  assert.deepEqual([undefined, null, 0, 0.005, 0.02, 0.05, 0.5].map(ofShare), ['', '', '', '', 'warn', 'warn', 'bad']);
});
