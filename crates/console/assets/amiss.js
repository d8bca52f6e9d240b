// What is the matter with a system: decided in one place, from the documents of the stream, for every page that shows or tells it. No
// element of a page is known here.

import { count, rate, share } from './format.js';

const OPEN = ['open', 'forced-open'];
export const NOTED = [...OPEN, 'half-open', 'forced-closed'];

// Shares of failed requests from which a way is amiss, and fails. It is well again only well below, so that one that is near
// a bound does not come and go.
const BOUNDS = [['bad', 0.05], ['warn', 0.005]];
const BELOW = 0.5;
// How such a share of failed requests stands by itself: '' where it is well, or not known.
export const ofShare = (part) => BOUNDS.find(([, bound]) => part > bound)?.[0] ?? '';
// After the last request nothing is known: for so long what was known holds. Between two tries of what fails there may be that much.
const KNOWN_MS = 60000;

// How shares of errors stand, by what they are of.
export class Errors {
  constructor() {
    this.known = new Map();
  }

  // `part` is the share that failed, null where there was no request.
  of(id, part, now) {
    const before = this.known.get(id);
    if (part === null || part === undefined) {
      if (before && now - before.at <= KNOWN_MS) return before;
      this.known.delete(id);
      return { state: '', part: null };
    }
    const state = BOUNDS.find(([word, bound]) => part > (before && rank(before.state) <= rank(word) && before.state ? bound * BELOW : bound))?.[0] ?? '';
    const found = { state, part, at: now };
    if (state) this.known.set(id, found);
    else this.known.delete(id);
    return found;
  }
}

const rank = (state) => ['bad', 'warn', ''].indexOf(state);
const worst = (states) => ['bad', 'warn'].find((one) => states.includes(one)) ?? '';
const errors = new Errors();

// What is to be said of a way: remarks, each with how bad it is; the worst first. `aside` is how many messages the consumer has set aside.
export function ofEdge(edge, { aside = 0, known = errors, now = Date.now() } = {}) {
  const all = [];
  const note = (state, text) => all.push({ state, text });
  const failing = known.of(edge.id ?? `${edge.from} -> ${edge.to}`, edge.errors, now);
  if (OPEN.includes(edge.breaker)) note('bad', `breaker ${edge.breaker}`);
  if (failing.state) note(failing.state, `${share(failing.part)} fail`);
  if (aside) note('bad', `${count(aside)} failing`);
  if (edge.declared === false) note('warn', 'not declared');
  if (edge.faults?.length) note('warn', 'a fault is in force');
  if (!OPEN.includes(edge.breaker) && NOTED.includes(edge.breaker)) note('warn', `breaker ${edge.breaker}`);
  if (edge.ejected) note('warn', `${edge.ejected} ejected`);
  if (edge.refused > 0) note('warn', `${rate(edge.refused)}/s refused`);
  return all.sort((a, b) => rank(a.state) - rank(b.state));
}

export const edgeState = (edge, more) => worst(ofEdge(edge, more).map(({ state }) => state));

const PROMISE = { exhausted: ['bad', 'spent'], burning: ['warn', 'burns'] };

// What is to be said of a service or what else stands on the map. `waiting` are topics and queues that nobody takes from while it is down.
export function ofNode(node, { waiting = [] } = {}) {
  const all = [];
  const note = (state, text) => all.push({ state, text });
  if (node.kind === 'service' && node.is_ours !== false) {
    if (['failed', 'crash-loop'].includes(node.state)) note('bad', node.why ? `${node.state}: ${node.why}` : node.state);
    else if (node.state === 'stopped') note('warn', [`stopped, ${node.ready ?? 0}/${node.wanted ?? 0}`, ...waiting.map(({ name, lag }) => `${name} waits with ${count(lag)}`)].join(', '));
    else if (node.state && node.state !== 'ready') note('warn', node.why ? `${node.state}: ${node.why}` : node.state);
  }
  if (node.trouble) note('bad', node.trouble);
  const [state, word] = PROMISE[node.slo?.state] ?? [];
  if (state) note(state, `SLO${node.slo.name ? ` ${node.slo.name}` : ''} ${word}`);
  if (node.faults?.length) note('warn', 'a fault is in force');
  if (node.rollout) note('warn', `rolls ${node.rollout.replaced}/${node.rollout.of}`);
  return all.sort((a, b) => rank(a.state) - rank(b.state));
}

// How a service or what else is on the map does, in one word.
export const wellness = (node) => worst(ofNode(node).map(({ state }) => state)) || (node.kind === 'service' && node.state === 'ready' ? 'good' : '');

// How many messages of a topic a group has set aside, since it fails at them; of queues it is those that are dead.
export const asideOf = (edge, nodes) => (edge.kind === 'subscription' ? nodes.get(edge.from)?.groups?.[edge.to]?.aside ?? 0 : 0);

// Everything that is amiss, what is worst first: `{ id, name, state, text }`, each thing once. `nodes` and `edges` are documents with their ids,
// `faults` those in force.
export function matters({ nodes, edges, faults }, { known = errors, now = Date.now() } = {}) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const lag = (name) => edges.filter((edge) => edge.to === name && edge.kind === 'subscription' && edge.lag > 0).map((edge) => ({ name: byId.get(edge.from)?.name ?? edge.from, lag: edge.lag }));
  const told = (id, name, remarks) => (remarks.length ? [{ id, name, state: remarks[0].state, text: remarks.map(({ text }) => text).join(', ') }] : []);
  const ofEdges = edges.flatMap((edge) => told(edge.id, `${byId.get(edge.from)?.name ?? edge.from} → ${byId.get(edge.to)?.name ?? edge.to}`,
    ofEdge({ ...edge, faults: edge.faults ?? faults.filter((fault) => edge.calls?.includes(fault.on)) }, { aside: asideOf(edge, byId), known, now })));
  const ofNodes = nodes.flatMap((node) => told(node.id, node.name ?? node.id, ofNode(node, { waiting: lag(node.id) })));
  return [...ofEdges, ...ofNodes].sort((a, b) => rank(a.state) - rank(b.state));
}
