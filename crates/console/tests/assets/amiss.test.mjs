// What is said to be the matter with a system, and that it does not come and go.

import assert from 'node:assert/strict';
import test from 'node:test';

import { edgeState, Errors, matters, ofEdge, wellness } from '../../assets/amiss.js';

const call = (more) => ({ id: 'gateway -> checkout', kind: 'call', from: 'gateway', to: 'checkout', calls: ['/api/checkout'], declared: true, errors: 0, ...more });
const service = (name, more) => ({ id: name, kind: 'service', name, state: 'ready', is_ours: true, ready: 1, wanted: 1, ...more });
const said = (system) => matters({ nodes: [], edges: [], faults: [], ...system }, { known: new Errors(), now: 0 }).map(({ name, state, text }) => [name, state, text]);

test('a call that fails is named, and so is a fault', () => {
  assert.deepEqual(said({ edges: [call({ errors: 1 })] }), [['gateway → checkout', 'bad', '100 % fail']]);
  assert.deepEqual(said({ edges: [call()], faults: [{ on: '/api/checkout' }] }), [['gateway → checkout', 'warn', 'a fault is in force']]);
  assert.deepEqual(said({ edges: [call()] }), []);
});

test('a stopped service is named with what waits for it', () => {
  const nodes = [service('evil', { state: 'stopped', ready: 0, wanted: 0 }), { id: 'topic events/nasty', kind: 'topic', name: 'events/nasty', groups: { evil: { lag: 3, aside: 0 } } }];
  const edges = [{ id: 'topic events/nasty -> evil', kind: 'subscription', from: 'topic events/nasty', to: 'evil', lag: 3, errors: null }];
  assert.deepEqual(said({ nodes, edges }), [['evil', 'warn', 'stopped, 0/0, events/nasty waits with 3']]);
  assert.deepEqual(said({ nodes: [service('far', { state: 'external', is_ours: false })] }), []);
});

test('messages that are set aside are the matter for as long as they are, whenever they are tried', () => {
  const nodes = [service('evil'), { id: 'topic events/nasty', kind: 'topic', name: 'events/nasty', groups: { evil: { lag: 3, aside: 3 } } }];
  const edge = { id: 'topic events/nasty -> evil', kind: 'subscription', from: 'topic events/nasty', to: 'evil', lag: 3 };
  for (const errors of [null, 1]) {
    assert.equal(said({ nodes, edges: [{ ...edge, errors }] })[0][1], 'bad');
    assert.match(said({ nodes, edges: [{ ...edge, errors }] })[0][2], /3 failing/);
  }
});

test('what nobody asks any more stays as it was known for a minute', () => {
  const known = new Errors();
  const at = (now, errors) => edgeState(call({ errors }), { known, now });
  assert.deepEqual([at(0, 1), at(10_000, null), at(60_000, null), at(61_000, null)], ['bad', 'bad', 'bad', '']);
  assert.deepEqual([at(70_000, 1), at(71_000, 0)], ['bad', ''], 'an answer that is well is news');
});

test('a share near its bound does not come and go', () => {
  const known = new Errors();
  const states = [0.04, 0.051, 0.049, 0.03, 0.02, 0.006, 0.004, 0.002].map((errors, now) => edgeState(call({ errors }), { known, now }));
  assert.deepEqual(states, ['warn', 'bad', 'bad', 'bad', 'warn', 'warn', 'warn', '']);
});

test('what is worst comes first', () => {
  const remarks = ofEdge(call({ declared: false, errors: 0.2, breaker: 'open', ejected: 1, refused: 2 }), { known: new Errors(), now: 0 });
  assert.deepEqual(remarks.map(({ text }) => text), ['breaker open', '20 % fail', 'not declared', '1 ejected', '2.0/s refused']);
  const nodes = [service('a', { rollout: { replaced: 1, of: 2 } }), service('b', { state: 'crash-loop', why: 'exit 1' }), service('c', { slo: { state: 'exhausted', name: 'availability' } })];
  assert.deepEqual(said({ nodes }), [['b', 'bad', 'crash-loop: exit 1'], ['c', 'bad', 'SLO availability spent'], ['a', 'warn', 'rolls 1/2']]);
  assert.deepEqual([wellness(service('x')), wellness(service('x', { state: 'stopped' })), wellness({ kind: 'topic' })], ['good', 'warn', '']);
});
