// One trace, drawn: a row for each span below what caused it, with its waits, its tries, what was logged, and where the time went.

import { h, isNarrow, link, mark, replace, say, uncover } from './dom.js';
import * as show from './format.js';
import { get, part } from './net.js';
import { address, place, turn } from './router.js';
import { rows as rowsOf } from './rows.js';
import { doing, told } from './say.js';
import { spanTicks } from './scale.js';
import { elsewhere, eventWords, isWait, lengths, missing, onPath, outcomes, rows, startNs, stretches } from './spans.js';
import { levelWord } from './tail.js';
import { clock, dated, zone } from './time.js';

const EVERY_MS = 2000;
// So long after its beginning more may come, when it is decided on already.
const GROWS_MS = 60000;
const INDENT = 14;
const DEPTH_MAX = 14;

export const KINDS = { client: '→', producer: '⇢', consumer: '⇠' };
const KIND_WORDS = { client: 'asks', producer: 'hands over', consumer: 'works on', server: 'answers', internal: '' };

export const looks = (query) => ({
  span: query.span ?? null, folded: new Set((query.fold ?? '').split(',').filter(Boolean)), logs: query.logs !== 'off', utc: query.utc === 'true', later: query.later === 'true', view: viewOf(query.view),
});

function viewOf(text) {
  const [from, to] = (text ?? '').split('-').map(Number);
  return to > from && from >= 0 ? { from: from * 1000, to: to * 1000 } : null;
}

export const failed = (error, id) => [h('div', { class: 'head' }, h('h1', {}, 'Trace')), h('p', { class: error.status === 404 ? '' : 'bad' }, error.message),
  error.status === 404 ? h('p', {}, 'Failures and what is slow are kept, and a fair share of the rest; for how long, the manifest says. ', link('/traces', {}, 'The traces that there are')) : h('p', { class: 'mono' }, id)];

export function waterfall(root, id, at, signal) {
  let [trace, look, shownRows, path, view, uncovered] = [null, looks(at.query), [], new Map(), null, null];
  const head = h('div', {});
  const notes = h('ul', { class: 'notes' });
  const axis = h('div', { class: 'axis' }, h('span', { class: 'label' }), h('span', { class: 'n' }, 'Took'), h('span', { class: 'bars' }));
  const aside = h('aside', { 'aria-label': 'The chosen span' });
  const logs = h('button', { onclick: () => turn({ logs: look.logs ? 'off' : '' }, { replace: true }) }, 'Logs in line');
  const later = h('button', { onclick: () => turn({ later: look.later && !look.view ? '' : 'true', view: '' }, { replace: true }) });
  const whole = h('button', { onclick: () => turn({ view: '' }, { replace: true }) }, 'Out of the close-up');
  const bar = h('div', { class: 'row tools', hidden: true }, logs, later, whole, h('span', { class: 'grow' }), h('span', { class: 'legend' },
    [['on', 'on the critical path'], ['off', 'beside it'], ['wait', 'waited'], ['bad', 'failed']].map(([kind, text]) => h('span', { class: 'step' }, h('i', { class: `piece ${kind}` }), text))));
  const box = rowsOf({
    height: () => (isNarrow() ? 46 : 26), key: (row) => row.key, make, update: (element, row) => fill(element, row), role: 'tree', 'aria-label': 'Spans',
  }, signal);
  const both = h('div', { class: 'both', hidden: true }, h('div', { class: 'water' }, axis, box), aside);
  root.append(head, notes, bar, both);

  const choose = (row) => {
    if (row.kind === 'span') turn({ span: look.span === row.span.span_id ? '' : row.span.span_id }, { replace: true });
    else if (row.kind === 'log' && row.log.span_id) turn({ span: row.log.span_id }, { replace: true });
  };
  const fold = (row, isFolded) => {
    const folded = new Set(look.folded);
    if (isFolded) folded.add(row.span.span_id);
    else folded.delete(row.span.span_id);
    turn({ fold: [...folded].join(',') }, { replace: true });
  };
  function make() {
    const element = h('div', { class: 'span', role: 'treeitem' });
    element.addEventListener('click', (event) => {
      const row = element.row;
      if (event.target.closest('a')) return;
      if (event.target.closest('.fold')) fold(row, !row.isFolded);
      else choose(row);
    });
    return element;
  }
  const percent = (part) => `${(part * 100).toFixed(3)}%`;
  const piece = (kind, begin, end) => {
    if (end < 0 || begin > 1) return null;
    const element = h('i', { class: `piece ${kind}` });
    element.style.left = percent(Math.max(0, begin));
    element.style.width = `max(2px, ${percent(Math.min(1, end) - Math.max(0, begin))})`;
    return element;
  };
  const across = (ns) => (ns - view.from) / (view.to - view.from);
  function fill(element, row) {
    element.row = row;
    mark(element, 'data-on', row.kind === 'span' && look.span === row.span.span_id);
    mark(element, 'aria-selected', row.kind === 'span' ? String(look.span === row.span.span_id) : null);
    mark(element, 'aria-level', row.depth + 1);
    mark(element, 'aria-expanded', row.kind === 'span' && row.below ? String(!row.isFolded) : null);
    if (element.drawn === row && element.view === view) return;
    Object.assign(element, { drawn: row, view });
    mark(element, 'data-kind', row.kind);
    mark(element, 'data-failed', row.kind === 'span' && row.span.status === 'error');
    const [label, bars, took] = row.kind === 'span' ? ofSpan(row) : ofOther(row);
    const labelled = h('span', { class: 'label' }, label);
    labelled.style.paddingLeft = `${Math.min(row.depth, DEPTH_MAX) * (isNarrow() ? 8 : INDENT)}px`;
    replace(element, labelled, h('span', { class: 'n' }, took), h('span', { class: 'bars' }, bars));
  }
  function ofSpan(row) {
    const { span } = row;
    const [begin, end] = [across(startNs(span, trace)), across(startNs(span, trace) + span.duration_ns)];
    const status = span.attributes['http.response.status_code'];
    const why = span.error || span.attributes['error.type'] || 'failed';
    const did = outcomes(span);
    const said = span.status === 'error' && why !== String(status) && !did.some(({ state }) => state === 'bad');
    const away = begin > 1 ? `at ${show.took(startNs(span, trace))} →` : end < 0 ? `← at ${show.took(startNs(span, trace))}` : '';
    const words = [away ? h('span', { class: 'dim' }, away) : null, status >= 400 ? h('span', { class: status >= 500 ? 'bad' : 'warn' }, status) : null,
      row.waited > 0 ? h('span', { class: 'warn' }, `waited ${show.took(row.waited)}`) : null,
      did.map(({ text, state }) => h('span', { class: state || 'dim' }, text)), said ? h('span', { class: 'bad' }, why) : null,
      row.isEarly ? h('span', { class: 'warn' }, 'before its cause: clocks differ') : null, row.isFolded ? h('span', { class: 'dim' }, `${row.below} below`) : null];
    const kind = `${isWait(span) ? ' wait' : ''}${span.status === 'error' ? ' bad' : ''}`;
    const pieces = [row.waited > 0 ? piece('wait', across(startNs(span, trace) - row.waited), begin) : null, piece(`off${kind}`, begin, end),
      stretches(row.path, view.from, view.to).map((one) => piece(`on${kind}`, one.begin, one.end))];
    return [[row.below ? h('span', { class: 'fold', 'aria-hidden': 'true' }, row.isFolded ? '▸' : '▾') : h('span', { class: 'fold none' }), h('span', { class: 'who' }, span.service), ' ',
      KINDS[span.kind] ? h('span', { class: 'kind', title: KIND_WORDS[span.kind] }, `${KINDS[span.kind]} `) : null, h('span', { class: 'what', title: span.name }, span.name)], [pieces, words.flat().some(Boolean) ? remark(words, row.waited > 0 ? across(startNs(span, trace) - row.waited) : begin, end) : null], show.took(span.duration_ns)];
  }
  // Words stand behind the bar, or before it where there is more room.
  function remark(words, begin, end) {
    const element = h('span', { class: 'remark' }, words);
    const [from, to] = [Math.max(0, Math.min(1, begin)), Math.max(0, Math.min(1, end))];
    if (isNarrow()) return element;
    if (to <= 0.62 || to - from > 0.9) element.style.left = `calc(${percent(to - from > 0.9 ? from : to)} + 6px)`;
    else if (from > 0.3) element.style.right = `calc(${percent(1 - from)} + 6px)`;
    else element.style.left = `calc(${percent(from)} + 6px)`;
    if (to - from > 0.9 || (to > 0.62 && from <= 0.3)) element.dataset.over = 'yes';
    return element;
  }
  function ofOther(row) {
    if (row.kind === 'missing') return [[h('span', { class: 'fold none' }), h('span', { class: 'warn' }, 'the cause is not there')], h('span', { class: 'remark dim mono' }, `span ${row.id}`)];
    const us = row.kind === 'log' ? row.log.at_us : row.event.at_us;
    const at = across((us - trace.start_us) * 1000);
    if (row.kind === 'event') {
      const wait = row.event.attributes['colony.retry.wait_ms'] ?? 0;
      const end = at + (wait * 1e6) / (view.to - view.from);
      return [[h('span', { class: 'fold none' }), h('span', { class: row.event.name === 'exception' ? 'bad' : 'warn' }, eventWords(row.event))],
        [wait ? piece('wait', at, end) : null, at >= 0 && at <= 1 ? dot(at) : null]];
    }
    const { log } = row;
    const state = { error: 'bad', fatal: 'bad', warn: 'warn' }[log.level] ?? 'dim';
    return [[h('span', { class: 'fold none' }), h('span', { class: 'level', 'data-level': log.level || null }, levelWord(log.level) || 'log'), ' ', h('span', { class: 'what mono', title: `${clock(log.at_us / 1000, look.utc)} ${log.service}: ${log.body}` }, log.body)],
      [at >= 0 && at <= 1 ? dot(at, state) : null, isNarrow() || at > 1 || at < 0 ? remark(h('span', { class: 'dim' }, when(at, us, log)), at, at) : null]];
  }
  // What was logged out of sight, or on a phone, says when.
  function when(at, us, log) {
    const took = show.took((us - trace.start_us) * 1000);
    if (isNarrow()) return `${took} in ${log.service}`;
    return at > 1 ? `at ${took} →` : at < 0 ? `← at ${took}` : `${took} in`;
  }
  function dot(at, state = 'warn') {
    const element = h('i', { class: `dot ${state}` });
    element.style.left = percent(at);
    return element;
  }

  const drawAxis = () => {
    const [label, , bars] = axis.children;
    say(label, `${trace.service} ${clock(trace.start_us / 1000, look.utc)} ${zone(trace.start_us / 1000, look.utc)}`);
    replace(bars, ticks(bars, view.from, view.to), picked);
  };
  const picked = h('i', { class: 'window', hidden: true });
  dragged(axis.lastElementChild, picked, (begin, end) => {
    const ns = (part) => Math.round((view.from + part * (view.to - view.from)) / 1000);
    if (ns(end) - ns(begin) >= 1) turn({ view: `${ns(begin)}-${ns(end)}` }, { replace: true });
  });

  const draw = () => {
    const { request, whole: all, isApart } = lengths(trace);
    view = look.view ?? { from: 0, to: isApart && !look.later ? request : all };
    whole.hidden = !look.view;
    later.hidden = !isApart;
    say(later, `With what it set off, ${show.took(all)}`);
    mark(later, 'aria-pressed', String(look.later && !look.view));
    mark(logs, 'aria-pressed', String(look.logs));
    logs.hidden = trace.logs.length === 0;
    shownRows = rows(trace, look);
    mark(both, 'data-on', Boolean(look.span));
    drawAxis();
    box.show(shownRows);
    const row = shownRows.find((one) => one.kind === 'span' && one.span.span_id === look.span) ?? rows(trace).find((one) => one.kind === 'span' && one.span.span_id === look.span);
    replace(aside, look.span ? about(row, trace, path, look) : null);
    if (look.span && look.span !== uncovered) uncover(aside, () => box.querySelector('.span[data-on]'));
    uncovered = look.span;
  };
  const shown = () => {
    path = onPath(trace);
    both.hidden = bar.hidden = false;
    replace(head, heading(trace, look));
    replace(notes, missing(trace).map((text) => h('li', {}, text)));
    notes.hidden = !notes.firstChild;
    draw();
  };
  const load = async () => {
    try {
      const next = await get(`/api/traces/${part(id)}`);
      if (signal.aborted) return;
      const isSame = trace && next.kept === trace.kept && next.spans.length === trace.spans.length && next.logs.length === trace.logs.length;
      if (isSame) return;
      trace = next;
      shown();
    } catch (error) {
      if (signal.aborted) return;
      if (!trace) replace(head, failed(error, id));
      else if (error.status === 404) { replace(notes, h('li', {}, 'It was not kept: what is shown here is gone from the window.')); notes.hidden = false; clearInterval(timer); }
    }
  };
  const timer = setInterval(() => {
    if (document.hidden || !trace) return;
    if (trace.kept && Date.now() - trace.start_us / 1000 > GROWS_MS) clearInterval(timer);
    else load();
  }, EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  box.addEventListener('keydown', (event) => {
    const row = box.current();
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' || event.key === ' ') choose(row);
    else if (event.key === 'ArrowLeft' && row.kind === 'span' && row.below && !row.isFolded) fold(row, true);
    else if (event.key === 'ArrowRight' && row.kind === 'span' && row.isFolded) fold(row, false);
    else if (event.key === 'ArrowLeft') box.choose(shownRows.findLastIndex((one, place) => place < shownRows.indexOf(row) && one.kind === 'span' && one.depth < row.depth));
    else if (event.key === 'Escape' && look.span) turn({ span: '' }, { replace: true });
    else return;
    event.preventDefault();
  });
  addEventListener('resize', () => { if (trace) draw(); }, { signal });
  load();
  return (to) => {
    look = looks(to.query);
    if (trace) { replace(head, heading(trace, look)); draw(); }
  };
}

const TICK_WIDTH = 72;

// The marks of a ruler of durations; what would not fit at its end is a mark alone.
export function ticks(bars, from, to) {
  const width = Math.max(TICK_WIDTH, bars.clientWidth);
  return spanTicks(from, to, Math.max(2, Math.floor(width / TICK_WIDTH))).map(({ at, text }) => {
    const part = (at - from) / (to - from);
    const element = h('span', { class: 'tick' }, (1 - part) * width < TICK_WIDTH - 16 ? '' : text);
    element.style.left = `${(Math.min(part, 1 - 1 / width) * 100).toFixed(3)}%`;
    return element;
  });
}

// A drag along a ruler, from part to part of its length.
function dragged(ruler, shown, done) {
  let from = null;
  const part = (event) => { const { left, width } = ruler.getBoundingClientRect(); return Math.max(0, Math.min(1, (event.clientX - left) / width)); };
  const draw = (to) => { shown.style.left = `${Math.min(from, to) * 100}%`; shown.style.width = `${Math.abs(to - from) * 100}%`; };
  ruler.addEventListener('pointerdown', (event) => { from = part(event); shown.hidden = false; draw(from); ruler.setPointerCapture(event.pointerId); });
  ruler.addEventListener('pointermove', (event) => { if (from !== null) draw(part(event)); });
  const end = (event) => {
    if (from === null) return;
    const to = part(event);
    shown.hidden = true;
    if (event.type === 'pointerup' && Math.abs(to - from) > 0.004) done(Math.min(from, to), Math.max(from, to));
    from = null;
  };
  ruler.addEventListener('pointerup', end);
  ruler.addEventListener('pointercancel', end);
}

// Links to other traces that are named one by one; a batch may have hundreds.
const LINKED_MAX = 4;

// How the traces are linked that the first span of one leads to.
const caused = ({ spans: [span] }) => (span.kind !== 'consumer' ? 'Linked with the trace ' : span.name.startsWith('run ') ? 'Scheduled in the trace ' : 'Handed over in the trace ');

function linkedWith(trace, look) {
  const all = elsewhere(trace);
  if (!all.length) return null;
  return h('p', { class: 'facts' }, caused(trace), all.slice(0, LINKED_MAX).map((one, place) => [place ? ', ' : '', link(address('traces', [one.trace_id], { span: one.span_id, utc: look.utc ? 'true' : '' }), { class: 'mono' }, one.trace_id.slice(0, 8))]),
    all.length > LINKED_MAX ? ` and ${show.count(all.length - LINKED_MAX)} more` : '', '.');
}

const KEPT = { error: 'kept for its failure', slow: 'kept because it was slow' };

function heading(trace, look) {
  const many = (count, one) => `${show.count(count)} ${one}${count === 1 ? '' : 's'}`;
  const kept = !trace.kept ? 'not decided yet' : KEPT[trace.kept] ?? (trace.weight > 1.05 ? `stands for ${show.count(Math.round(trace.weight))} like it` : 'kept');
  const copied = () => navigator.clipboard.writeText(trace.trace_id).then(() => told('The id is copied'), () => told('The browser does not let the page copy', 'bad'));
  return [h('div', { class: 'head' }, h('h1', {}, link(`/traces${look.utc ? '?utc=true' : ''}`, {}, 'Traces'), h('span', { class: 'dim' }, ' / '), trace.service, ' ', trace.name), h('span', { class: 'grow' }),
    h('div', { class: 'row' }, h('button', { onclick: () => others(trace) }, 'Compare …'), h('button', { onclick: copied, title: trace.trace_id }, 'Copy id'), trace.logs.length ? link(address('logs', [], { trace: trace.trace_id }), {}, 'Logs') : null, h('a', { href: `/api/traces/${trace.trace_id}`, target: '_blank', rel: 'noopener' }, 'JSON'))),
  h('p', { class: 'facts' }, h('b', {}, show.took(trace.first_duration_ns)), trace.duration_ns > trace.first_duration_ns ? `, ${show.took(trace.duration_ns)} with what it set off` : null, `, ${dated(trace.start_us / 1000, look.utc)} `,
    h('button', { class: 'plain word', title: 'Times of this computer, or UTC', onclick: () => turn({ utc: look.utc ? '' : 'true' }, { replace: true }) }, zone(trace.start_us / 1000, look.utc)),
    `, ${trace.status_code ? `status ${trace.status_code}, ` : ''}${many(trace.span_count, 'span')} of ${many(trace.services.length, 'service')}, `, trace.error_count ? h('span', { class: 'bad' }, `${trace.error_count} failed, `) : '', kept), linkedWith(trace, look)];
}

// Which to compare it with: the last that began so, and those that took longest.
function others(trace) {
  const dialog = h('dialog', {}, h('h2', {}, `Compare with another ${trace.name}`), h('ul', { role: 'list' }, h('li', { class: 'empty' }, 'Reading …')), h('p', {}), h('button', { onclick: () => dialog.close() }, 'Close'));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => { if (event.target === dialog || event.target.closest('a')) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  const list = dialog.querySelector('ul');
  const asked = new URLSearchParams({ service: trace.service, name: trace.name, limit: '200' });
  doing(null, null, () => get(`/api/traces?${asked}`)).then((found) => {
    const same = (found?.traces ?? []).filter((one) => one.trace_id !== trace.trace_id && one.name === trace.name && one.service === trace.service);
    const slow = [...same].sort((a, b) => b.first_duration_ns - a.first_duration_ns).slice(0, 5);
    const offered = [['took longest', slow], ['the last', same.filter((one) => !slow.includes(one)).slice(0, 15)]];
    replace(list, same.length === 0 ? h('li', { class: 'empty' }, 'No other that began so is kept.') : offered.map(([word, some]) => some.map((one) => h('li', {},
      link(`/traces/${trace.trace_id}?with=${one.trace_id}`, {}, h('span', {}, `${show.took(one.first_duration_ns)}${one.error_count ? `, ${one.error_count} failed` : ''}`), h('span', { class: 'dim' }, `${word}, ${dated(one.start_us / 1000, place().query.utc === 'true')}`))))));
    list.querySelector('a')?.focus();
  });
}

function shownValue(value) {
  if (value !== null && typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

const attributesOf = (attributes) => h('dl', {}, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [h('dt', {}, key), h('dd', { class: 'mono' }, shownValue(value))]));

// To what was logged in a span; where its lines do not say so, to those of its service in the trace, or else in its time.
function logged(span, trace) {
  const { service, span_id: id } = span;
  const own = trace.logs.filter((log) => log.span_id === id).length;
  const beside = trace.logs.some((log) => log.service === service);
  if (own) return link(address('logs', [], { trace: trace.trace_id, span: id }), {}, 'Logs');
  if (beside) return link(address('logs', [], { trace: trace.trace_id, service }), {}, 'Logs of its service in the trace');
  const [from, to] = [Math.floor(span.start_us / 1000), Math.ceil((span.start_us + span.duration_ns / 1000) / 1000)];
  return link(address('logs', [], { service, from, to: Math.max(to, from + 1), kept: 'true' }), {}, 'Logs of its service in that time');
}

// All that is known of a span.
function about(row, trace, path, look) {
  const close = h('button', { class: 'plain', onclick: () => turn({ span: '' }, { replace: true }) }, 'Close');
  if (!row) return [h('p', {}, 'This span is not there.'), close];
  const { span } = row;
  const onIt = path.get(span.span_id) ?? 0;
  const parts = outcomes(span);
  const call = span.attributes['colony.call'];
  const pairs = [['kind', span.kind], ['began', `${clock(span.start_us / 1000, look.utc)}, ${show.took(startNs(span, trace))} in`], ['took', show.took(span.duration_ns)],
    ['critical path', onIt ? `${show.took(onIt)}, ${show.share(onIt / lengths(trace).request)} of the request` : 'not on it'], ['waited', row.waited ? show.took(row.waited) : null],
    ['instance', span.instance || null], ['recorded by', span.scope || null], ['span', h('span', { class: 'mono' }, span.span_id)], ['cut off', span.dropped ?? null]];
  const away = (linked) => (linked.trace_id === trace.trace_id ? address('traces', [trace.trace_id], { span: linked.span_id }) : address('traces', [linked.trace_id], { span: linked.span_id }));
  return [h('div', { class: 'head' }, h('h2', {}, span.service, ' ', span.name), h('span', { class: 'grow' }), close),
    span.status === 'error' ? h('p', { class: 'bad' }, span.error || span.attributes['error.type'] || 'failed') : null,
    parts.length ? h('p', {}, parts.map(({ text, state }, place) => [place ? ', ' : '', h('span', { class: state }, text)])) : null,
    h('dl', { class: 'short' }, pairs.filter(([, value]) => value !== null && value !== undefined).map(([key, value]) => [h('dt', {}, key), h('dd', {}, value)])),
    h('div', { class: 'row links' }, link(address('traces', [], { service: span.service, name: span.attributes['http.route'] ?? span.name }), {}, 'Traces like it'), call ? link(address('policies', [call]), {}, 'Its policies') : null,
      logged(span, trace), span.attributes['messaging.destination.name'] ? link('/messages', {}, 'Messages') : null),
    h('h3', {}, 'Attributes'), attributesOf(span.attributes),
    span.links?.length ? [h('h3', {}, span.kind === 'consumer' ? 'Handed over by' : 'Linked with'), span.links.map((one) => h('div', {}, link(away(one), { class: 'mono' }, `${one.trace_id.slice(0, 8)}… ${one.span_id}`), one.trace_id === trace.trace_id ? ' in this trace' : ' in another trace',
      Object.keys(one.attributes).length ? attributesOf(one.attributes) : null))] : null,
    span.events?.length ? [h('h3', {}, 'Events'), span.events.map((event) => h('div', {}, h('span', { class: 'dim' }, `${clock(event.at_us / 1000, look.utc)} `), event.name, attributesOf(event.attributes)))] : null];
}
