// Traces: found by what they have, seen at a glance as a map of heat, and one of them drawn, alone or beside another.

import * as asking from './asked.js';
import { compare } from './compare.js';
import { chip, h, isNarrow, link, mark, replace, say } from './dom.js';
import * as show from './format.js';
import { heat, SETTLES_MS } from './heat.js';
import { get } from './net.js';
import { clockControl, rangeControl } from './range.js';
import { go, page } from './router.js';
import { rows } from './rows.js';
import * as store from './store.js';
import { clock, DAY, HOUR, range, stamp } from './time.js';
import { waterfall } from './waterfall.js';

const EVERY_MS = 2000;
const PAGE = 100;
// Most that are held: who looks further back asks for less.
const LIST_MAX = 5000;
const STATUS = 'http.response.status_code';

page('traces', (root, at, signal) => {
  let [shown, ended, update] = ['', null, null];
  const build = (to) => {
    const [id] = to.rest;
    const which = id ? (to.query.with ? 'compare' : 'one') + id + (to.query.with ?? '') : 'list';
    if (which === shown && update) return update(to);
    ended?.abort();
    ended = new AbortController();
    shown = which;
    root.replaceChildren();
    if (!id) update = list(root, ended.signal);
    else if (to.query.with) update = compare(root, id, to, ended.signal);
    else update = waterfall(root, id, to, ended.signal);
    return undefined;
  };
  signal.addEventListener('abort', () => ended?.abort());
  build(at);
  return build;
});

// The list as it was left: who comes back from a trace is where they were.
let left = null;
let goesBack = false;
addEventListener('popstate', () => { goesBack = true; setTimeout(() => { goesBack = false; }, 0); });

function list(root, signal) {
  let asked = asking.read(location.search);
  const turn = (changes) => go(asking.address({ ...asked, ...changes }));
  const map = heat(turn, signal);
  const time = rangeControl();
  const form = filters(turn, () => asked, signal);
  const chips = h('div', { class: 'row chips' });
  const fresh = h('button', { class: 'fresh', hidden: true, onclick: () => apply() });
  const state = h('p', { 'aria-live': 'off' });
  const clocks = clockControl();
  const empty = h('div', { class: 'empty', hidden: true });
  const foot = h('p', { class: 'empty' });
  // What is shown, and what waits to be: traces, and where what is older goes on.
  let [shown, held, cut, busy, over, refused, polled, from, turnOf] = [{ traces: [], next: null }, null, false, false, false, false, 0, 0, 0];
  const gone = new Set();
  const box = rows({
    height: () => (isNarrow() ? 52 : 30), key: (one) => one.trace_id, make: line, update: (row, one) => fill(row, one, asked, gone.has(one.trace_id)), focus: (row) => row.firstElementChild,
    more: () => further(), role: 'list', 'aria-label': 'Traces, the newest first',
  }, signal);
  box.addEventListener('pointerenter', (event) => { over = event.pointerType === 'mouse'; });
  box.addEventListener('pointerleave', () => { over = false; apply(); });
  const heads = h('div', { class: 'trace heads', 'aria-hidden': 'true' }, ['Began', 'What', 'Took', 'Status', 'Spans', 'Services', 'Kept for'].map((name, place) => h('span', { class: `c${place}` }, name)));
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Traces'), state, h('span', { class: 'grow' }), clocks), time, form, chips, map, fresh, heads, box, empty, foot);

  const apply = () => {
    shown = held ?? shown;
    held = null;
    fresh.hidden = true;
    box.show(shown.traces);
    tell();
  };
  const tell = () => {
    const [{ live }, count] = [range(asked), shown.traces.length];
    say(state, `${count ? `${show.count(count)}${shown.next ? ' and more' : ''}, the newest first` : ''}${live ? `${count ? '; ' : ''}follows what comes` : ''}`);
    heads.hidden = count === 0;
    empty.hidden = count > 0 || busy;
    if (!empty.hidden) replace(empty, nothing(asked, turn));
    say(foot, cut ? 'Not everything was looked at: ask for less time, or for a service.' : count >= LIST_MAX ? `The newest ${show.count(LIST_MAX)} are shown: ask for less.` : shown.next ? 'More are read as you go.' : '');
  };
  // Asks, one question at a time; what is answered after something else was asked for is let go of.
  const ask = async (time, more, took, failed) => {
    const own = turnOf;
    const isStale = () => own !== turnOf || signal.aborted;
    busy = true;
    try {
      const told = await get(`/api/traces${asking.query(asked, { ...time, ...more })}`);
      busy = isStale() && busy;
      if (!isStale()) took(told);
    } catch (error) {
      busy = isStale() && busy;
      if (!isStale()) failed?.(error);
    }
  };
  const until = () => { const { to, live } = range(asked); return live ? undefined : to; };
  const load = () => {
    turnOf += 1;
    refused = false;
    from = range(asked).from;
    return ask({ from, to: until() }, { limit: PAGE }, (told) => {
      [shown, held, cut, polled] = [{ traces: told.traces, next: told.next }, null, told.cut, Date.now()];
      gone.clear();
      apply();
    }, (error) => {
      [shown, held] = [{ traces: [], next: null }, null];
      // What makes no sense does not make more the next time.
      refused = error.status === 400;
      apply();
      say(foot, '');
      replace(empty, h('p', { class: 'bad' }, error.message));
    });
  };
  // Where it fails it is asked again when the end of the list comes in sight again.
  const further = () => {
    if (!shown.next || busy || shown.traces.length >= LIST_MAX) return;
    ask({ from, to: until() }, { limit: 2 * PAGE, before: shown.next }, (told) => {
      const older = (list) => {
        const ids = new Set(list.traces.map((one) => one.trace_id));
        return { traces: [...list.traces, ...told.traces.filter((one) => !ids.has(one.trace_id))].slice(0, LIST_MAX), next: told.next };
      };
      if (held?.next === shown.next) held = older(held);
      shown = older(shown);
      cut = told.cut;
      box.show(shown.traces);
      tell();
    });
  };
  const poll = () => {
    if (document.hidden || busy || refused || !range(asked).live) return;
    const now = Date.now();
    const isStale = now - polled > SETTLES_MS / 2;
    const since = isStale ? from : Math.max(from, now - SETTLES_MS);
    ask({ from: since }, { limit: PAGE }, (told) => {
      polled = now;
      const before = held ?? shown;
      const { traces, gone: went, isAnew } = asking.merged(before.traces, told.traces, since, !told.next);
      for (const id of went) gone.add(id);
      take({ traces: traces.slice(0, LIST_MAX), next: isAnew ? told.next : before.next }, isAnew);
    });
  };
  // Under the pointer, or with the focus in it, nothing moves: what is known there is brought up to date, and what is new waits. So it does
  // where there is a gap before it, and one looks at what is older.
  const take = (next, isAnew) => {
    held = next;
    const isHeld = over || box.contains(document.activeElement) || (isAnew && box.isScrolled());
    if (!isHeld || shown.traces.length === 0) { apply(); return; }
    const news = new Map(next.traces.map((one) => [one.trace_id, one]));
    const came = next.traces.length - shown.traces.filter((one) => news.has(one.trace_id)).length;
    shown = { ...shown, traces: shown.traces.map((one) => news.get(one.trace_id) ?? one) };
    box.show(shown.traces);
    fresh.hidden = came <= 0;
    say(fresh, `${show.count(came)} new`);
  };
  const timer = setInterval(poll, EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  signal.addEventListener('abort', () => { left = { at: asking.address(asked), shown, polled, from, y: scrollY }; });
  const begin = () => {
    asked = asking.read(location.search);
    if (new URLSearchParams(location.search).has('since') && asked.from) history.replaceState(null, '', asking.address(asked));
    clocks.show();
    time.show();
    form.show(asked);
    replace(chips, chosen(asked, turn));
    chips.hidden = !chips.firstChild;
    map.ask(asked);
    if (goesBack && left?.at === asking.address(asked)) {
      [{ shown, polled, from }, cut] = [left, false];
      apply();
      scrollTo({ top: left.y, behavior: 'instant' });
    } else load();
    left = null;
  };
  begin();
  return begin;
}

// What narrows the list and has no field of its own.
function chosen(asked, turn) {
  const shown = (text, without) => chip(text, () => turn(without));
  return [
    asked.caller || asked.callee ? shown(`${asked.caller ?? '?'} → ${asked.callee ?? '?'}`, { caller: undefined, callee: undefined }) : null,
    asked.attribute.map((one) => shown(one.startsWith(`${STATUS}=`) ? `status ${one.slice(STATUS.length + 1)}` : one, { attribute: asked.attribute.filter((other) => other !== one) })),
    asking.isNarrowed(asked) ? h('button', { class: 'plain', onclick: () => turn(cleared()) }, 'Clear all') : null,
  ];
}

const cleared = () => ({ service: undefined, name: undefined, error: undefined, slower: undefined, faster: undefined, text: undefined, caller: undefined, callee: undefined, attribute: [] });

function nothing(asked, turn) {
  const { from, to, live } = range(asked);
  const wider = to - from < DAY || !live ? h('button', { onclick: () => turn({ from: '-24h', to: undefined }) }, 'Look at the last 24 hours') : null;
  if (asking.isNarrowed(asked)) {
    return [h('p', {}, 'No trace has all of that in this time.'), h('div', { class: 'row' }, h('button', { onclick: () => turn(cleared()) }, 'Ask for anything'), wider)];
  }
  return [h('p', {}, 'No request came in this time. Every request through the gateway and every call through a sidecar leaves a trace here: send one, or have ', h('code', {}, 'colony load --rate 20 --duration 1m'), ' send some.'),
    h('div', { class: 'row' }, wider)];
}

function filters(turn, now, signal) {
  const known = h('datalist', { id: 'traced' });
  const input = (name, more = {}) => h('input', { name, size: 12, autocomplete: 'off', spellcheck: 'false', ...more, onchange: ({ target }) => turn({ [name]: target.value.trim() || undefined }) });
  const service = input('service', { list: 'traced' });
  const name = input('name', { type: 'search', placeholder: '/api/checkout' });
  const text = input('text', { type: 'search' });
  const error = h('select', { onchange: () => turn({ error: error.value || undefined }) }, [['', 'Any'], ['true', 'Failed'], ['false', 'Not failed']].map(([value, word]) => h('option', { value }, word)));
  const long = (key) => h('input', { size: 6, autocomplete: 'off', placeholder: key === 'slower' ? '300ms' : '2s', onchange: ({ target }) => {
    const given = target.value.trim();
    const value = given ? asking.duration(given) : undefined;
    mark(target, 'aria-invalid', value === null);
    target.setCustomValidity(value === null ? 'A duration such as 300ms, 1.5s or 2m' : '');
    if (value === null) target.reportValidity();
    else turn({ [key]: value });
  } });
  const [slower, faster] = [long('slower'), long('faster')];
  const added = (field, worded) => {
    const value = field.value.trim();
    field.value = '';
    if (value) turn({ attribute: [...new Set([...now().attribute, worded(value)])] });
  };
  const status = h('input', { size: 4, inputmode: 'numeric', placeholder: '503', onchange: () => added(status, (value) => `${STATUS}=${value}`) });
  const attribute = h('input', { size: 18, autocomplete: 'off', spellcheck: 'false', placeholder: 'key=value, key~part, key', onchange: () => added(attribute, (value) => value) });
  const field = (word, element) => h('label', {}, word, element);
  const box = h('details', { class: 'asks' }, h('summary', {}, 'Filter'), h('div', { class: 'row end' }, field('Service', service), field('Route or name', name),
    field('Outcome', error), field('Status', status), field('At least', slower), field('At most', faster), field('Attribute', attribute), field('Text', text), known));
  let offered = '';
  store.watch(() => {
    const names = ['gateway', ...store.all('node/').filter((node) => node.kind === 'service').map((node) => node.name)];
    if (names.join('\n') === offered) return;
    offered = names.join('\n');
    replace(known, [...new Set(names)].map((value) => h('option', { value })));
  }, signal);
  box.open = !isNarrow();
  box.show = (asked) => {
    for (const [element, value] of [[service, asked.service], [name, asked.name], [text, asked.text], [error, asked.error], [slower, asked.slower], [faster, asked.faster]]) {
      if (element.value !== (value ?? '')) element.value = value ?? '';
    }
  };
  return box;
}

function line() {
  return h('div', { role: 'listitem' }, link('', { class: 'trace' }, Array.from({ length: 7 }, (_, place) => h('span', { class: `c${place}` }))));
}

const WHY = { error: 'failure', slow: 'slow' };

function fill(row, one, asked, isGone) {
  const to = row.firstElementChild;
  const [began, what, took, status, spans, services, kept] = to.children;
  mark(to, 'href', `/traces/${one.trace_id}${asked.utc ? '?utc=true' : ''}`);
  mark(to, 'data-gone', isGone);
  const at = one.start_us / 1000;
  say(began, Date.now() - at > 20 * HOUR ? stamp(at, asked.utc) : clock(at, asked.utc));
  if (!what.firstChild) what.append(h('span', { class: 'dim' }), ' ', h('span', {}));
  say(what.firstElementChild, one.service);
  say(what.lastElementChild, one.name);
  mark(what, 'title', `${one.service} ${one.name}`);
  const ns = one.first_duration_ns;
  say(took, show.took(ns));
  mark(took, 'title', one.duration_ns > ns ? `${show.took(one.duration_ns)} with what it set off` : null);
  say(status, one.status_code ?? '');
  mark(status, 'class', one.status_code >= 500 ? 'c3 bad' : 'c3');
  say(spans, one.error_count ? `${one.span_count}, ${one.error_count} failed` : `${one.span_count}`);
  mark(spans, 'class', one.error_count ? 'c4 bad' : 'c4');
  say(services, one.services.length);
  mark(services, 'title', one.services.join(', '));
  say(kept, isGone ? 'not kept' : !one.kept ? 'not decided' : WHY[one.kept] ?? (one.weight > 1.05 ? `1 of ${show.count(Math.round(one.weight))}` : ''));
}
