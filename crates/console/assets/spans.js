// The spans of a trace, in order: each below what caused it, with what was logged and what happened in between at its time. And two traces
// beside each other. No element of the page is known here.
//
// Where the time went, the critical path, is computed by the node (as in CRISP, Zhang et al., USENIX ATC 2022) and comes with the trace.

// Clocks of two machines agree no better than so.
const SKEW_US = 1000;
export const startNs = (span, trace) => (span.start_us - trace.start_us) * 1000;

// Who caused whom. Spans whose cause is not there are first, as those are that nobody caused; what causes itself in a circle is taken as it
// comes.
export function tree(spans) {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const caused = new Map();
  const first = [];
  for (const span of spans) {
    if (span.parent_id && span.parent_id !== span.span_id && byId.has(span.parent_id)) {
      const all = caused.get(span.parent_id) ?? [];
      all.push(span);
      caused.set(span.parent_id, all);
    } else first.push(span);
  }
  const reached = new Set();
  const reach = (from) => {
    const left = [from];
    while (left.length) {
      const span = left.pop();
      if (reached.has(span.span_id)) continue;
      reached.add(span.span_id);
      left.push(...(caused.get(span.span_id) ?? []));
    }
  };
  first.forEach(reach);
  for (const span of spans) {
    if (reached.has(span.span_id)) continue;
    first.push(span);
    reach(span);
  }
  return { byId, caused, first };
}

// Whether a span is nothing but waiting: it says for what (docs/telemetry/spans.md).
export const isWait = (span) => typeof span.attributes['colony.wait'] === 'string';

// The links of the spans with which a trace begins that lead to other traces, each of these once: whatever caused it without being a part of it.
export function elsewhere(trace) {
  const found = new Map();
  for (const { links = [] } of tree(trace.spans).first) {
    for (const linked of links ?? []) if (linked.trace_id !== trace.trace_id && !found.has(linked.trace_id)) found.set(linked.trace_id, linked);
  }
  return [...found.values()];
}

// How long something lay between whoever handed it over and whoever took it, in nanoseconds.
export function waited(span, cause) {
  if (span.kind !== 'consumer') return 0;
  const told = span.attributes['colony.queue.wait_ms'];
  if (typeof told === 'number') return told * 1e6;
  if (cause?.kind !== 'producer') return 0;
  return Math.max(0, span.start_us * 1000 - (cause.start_us * 1000 + cause.duration_ns));
}

// The rows of a drawing: spans, what was logged (`log`), what happened in a span (`event`), and causes that are not there (`missing`).
// `folded` has the ids of spans below which nothing is shown.
export function rows(trace, { folded = new Set(), logs = true } = {}) {
  const { byId, caused, first } = tree(trace.spans);
  const path = new Map();
  for (const stretch of trace.critical_path) {
    const all = path.get(stretch.span_id) ?? [];
    all.push(stretch);
    path.set(stretch.span_id, all);
  }
  const said = new Map();
  const others = [];
  for (const log of logs ? trace.logs : []) {
    if (!byId.has(log.span_id)) { others.push(log); continue; }
    const all = said.get(log.span_id) ?? [];
    all.push(log);
    said.set(log.span_id, all);
  }
  const below = (span) => {
    const events = (span.events ?? []).filter((event) => logs || event.name === 'retry');
    const all = [...(caused.get(span.span_id) ?? []).map((one) => ({ at: one.start_us, span: one })),
      ...events.map((event, at) => ({ at: event.at_us, event, key: `${span.span_id}/${at}` })),
      ...(said.get(span.span_id) ?? []).map((log) => ({ at: log.at_us, log }))];
    return all.sort((a, b) => a.at - b.at);
  };
  const top = [...first.map((span) => ({ at: span.start_us, span })), ...others.map((log) => ({ at: log.at_us, log }))].sort((a, b) => a.at - b.at);
  const found = [];
  const seen = new Set();
  const left = top.map((one) => ({ ...one, depth: 0 })).reverse();
  while (left.length) {
    const { span, event, log, depth, key } = left.pop();
    if (log) { found.push({ kind: 'log', key: `log/${log.seq}`, log, depth }); continue; }
    if (event) { found.push({ kind: 'event', key: `event/${key}`, event, depth }); continue; }
    if (seen.has(span.span_id)) continue;
    seen.add(span.span_id);
    const cause = byId.get(span.parent_id);
    const isMissing = Boolean(span.parent_id) && !cause;
    if (isMissing) found.push({ kind: 'missing', key: `missing/${span.span_id}`, id: span.parent_id, depth });
    const deep = isMissing ? depth + 1 : depth;
    const inside = below(span);
    const isFolded = folded.has(span.span_id);
    found.push({
      kind: 'span', key: span.span_id, span, depth: deep, below: inside.length, isFolded, path: path.get(span.span_id) ?? [], waited: waited(span, cause),
      isEarly: Boolean(cause) && span.start_us + SKEW_US < cause.start_us, isLate: Boolean(cause) && span.start_us * 1000 > cause.start_us * 1000 + cause.duration_ns,
    });
    if (isFolded) continue;
    for (let at = inside.length - 1; at >= 0; at -= 1) left.push({ ...inside[at], depth: deep + 1 });
  }
  return found;
}

// Later work that a request set off makes a trace longer than who asked has waited. From so much more on it is looked at apart.
const LATER = 1.25;

// How long the request itself took, how long all of it did, and whether that is worth telling apart; in nanoseconds.
export function lengths({ is_whole: isWhole, duration_ns: all, first_duration_ns: own }) {
  const [request, whole] = [Math.max(1, own), Math.max(1, all, own)];
  return { request, whole, isApart: isWhole && whole > request * LATER };
}

// What of a trace is not there, in sentences.
export function missing(trace) {
  const ids = new Set(trace.spans.map((span) => span.span_id));
  const orphans = trace.spans.filter((span) => span.parent_id && !ids.has(span.parent_id));
  const cut = trace.spans.reduce((sum, span) => sum + (span.dropped ?? 0), 0);
  const told = [];
  if (!trace.kept) told.push('It is not decided yet whether this is kept: more may come, or all of it may go.');
  if (!trace.is_whole) told.push('Its beginning is not there: what began it sends no spans here, or they were lost.');
  if (orphans.length > 0 && trace.is_whole) {
    told.push(`${orphans.length === 1 ? 'The cause of 1 span is' : `The causes of ${orphans.length} spans are`} not there: whoever recorded them sends no spans here, or they were lost.`);
  }
  if (trace.spans.length >= SPANS_MAX) told.push(`It has more than the ${SPANS_MAX.toLocaleString('en')} spans that are kept of a trace.`);
  if (cut > 0) told.push(`${cut} attributes, events or links were more than a span may have, and were cut off.`);
  if (trace.logs.length >= LOGS_MAX) told.push(`Of what was logged the last ${LOGS_MAX.toLocaleString('en')} lines are shown.`);
  return told;
}

export const SPANS_MAX = 10000;
export const LOGS_MAX = 2000;

// What the policies did to a request, a call or a try, as the attributes of its span say: what, and how good that is.
export function outcomes({ attributes, name }) {
  const told = [];
  const say = (text, state = '') => told.push({ text, state });
  const is = (key) => attributes[key];
  const ms = (key) => `${Number(is(key).toPrecision(3))} ms`;
  if (is('http.request.resend_count')) say(`try ${is('http.request.resend_count') + 1}`);
  if (is('colony.attempt') > 1) say(`brought the ${ordinal(is('colony.attempt'))} time`, 'warn');
  if (is('colony.hedge')) say('hedge');
  if (is('colony.concurrency.wait_ms')) say(`waited ${ms('colony.concurrency.wait_ms')} for a place`, 'warn');
  if (is('colony.held_ms')) say(`held ${ms('colony.held_ms')} for an instance`, 'warn');
  if (is('colony.ejected')) say(`${is('colony.ejected')} ejected`, 'warn');
  if (is('colony.fault') !== undefined) say(`fault ${is('colony.fault')} struck`, 'bad');
  if (is('colony.timeout')) say(`time of the ${is('colony.timeout')} was over`, 'bad');
  if (is('colony.policy')) say(`refused by ${is('colony.policy')}`, 'bad');
  if (is('colony.retries.denied')) say('no retry: budget spent', 'bad');
  if (is('colony.fallback')) say('fallback asked', 'warn');
  if (is('colony.superseded')) say('let go of: another was first');
  if (is('colony.caller.gone')) say('caller went', 'warn');
  const batch = is('messaging.batch.message_count');
  if (batch) say(`${batch} messages${name.startsWith('process') ? ' at once' : ''}`);
  return told;
}

const ordinal = (number) => `${number}${{ 1: 'st', 2: 'nd', 3: 'rd' }[number % 100 > 10 && number % 100 < 14 ? 0 : number % 10] ?? 'th'}`;

// What an event says, on a line.
export function eventWords({ name, attributes }) {
  if (name === 'retry') {
    const wait = attributes['colony.retry.wait_ms'];
    return `retry after ${attributes['error.type'] ?? 'a failure'}${wait ? `, ${Number(wait.toPrecision(3))} ms later` : ', at once'}`;
  }
  const words = attributes['exception.message'] ?? attributes.message;
  return words ? `${name}: ${words}` : name;
}

// Two traces beside each other: spans of one service and name stand on one row where their causes do, those that failed with those that
// failed, the first with the first. What only one has stands where it came. Each row has the depth, `a`, `b`, and the difference `b - a` in nanoseconds.
export function aligned(one, other) {
  const [left, right] = [tree(one.spans), tree(other.spans)];
  const found = [];
  const seen = new Set();
  const todo = paired(left.first, right.first).map((pair) => ({ ...pair, depth: 0 })).reverse();
  while (todo.length) {
    const { a, b, depth } = todo.pop();
    // A circle of causes ends.
    if (seen.has(a ?? b)) continue;
    seen.add(a ?? b);
    found.push({ key: `${a?.span_id ?? ''}/${b?.span_id ?? ''}`, depth, a, b, delta: a && b ? b.duration_ns - a.duration_ns : null });
    const inside = paired(a ? left.caused.get(a.span_id) ?? [] : [], b ? right.caused.get(b.span_id) ?? [] : []);
    for (let at = inside.length - 1; at >= 0; at -= 1) todo.push({ ...inside[at], depth: depth + 1 });
  }
  return found;
}

const named = (span) => `${span.service}\0${span.kind}\0${span.name}`;
const fared = (span) => `${named(span)}\0${span.status === 'error'}`;

function paired(some, others) {
  const found = new Map();
  // Those that fared alike first: of several tries that which succeeded is compared with that which did.
  for (const alike of [fared, named]) {
    const waiting = new Map();
    const taken = new Set(found.values());
    for (const b of others) if (!taken.has(b)) waiting.set(alike(b), [...(waiting.get(alike(b)) ?? []), b]);
    for (const a of some) {
      const b = found.has(a) ? undefined : waiting.get(alike(a))?.shift();
      if (b) found.set(a, b);
    }
  }
  const partner = new Set(found.values());
  const pairs = some.map((a) => ({ a, b: found.get(a) }));
  // What only the other has comes behind that which came before it there.
  let before = -1;
  for (const b of others) {
    if (partner.has(b)) before = pairs.findIndex((pair) => pair.b === b);
    else {
      before += 1;
      pairs.splice(before, 0, { a: undefined, b });
    }
  }
  return pairs;
}

// How long each span is on the critical path, in nanoseconds.
export function onPath(trace) {
  const found = new Map();
  for (const { span_id: id, duration_ns: ns } of trace.critical_path) found.set(id, (found.get(id) ?? 0) + ns);
  return found;
}

// Stretches as parts of a view from `from` to `to` nanoseconds, those that one could not tell apart as one.
export function stretches(path, from, to, least = 0.002) {
  const length = Math.max(1, to - from);
  const found = [];
  for (const { offset_ns: at, duration_ns: ns } of [...path].sort((a, b) => a.offset_ns - b.offset_ns)) {
    const [begin, end] = [Math.max(0, (at - from) / length), Math.min(1, (at + ns - from) / length)];
    if (end <= 0 || begin >= 1) continue;
    const last = found.at(-1);
    if (last && begin - last.end < least) last.end = Math.max(last.end, end);
    else found.push({ begin, end });
  }
  return found;
}
