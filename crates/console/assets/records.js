// Lines that services have written, as records: what is kept of them on the disk, what is earlier as one scrolls up, and what comes. Only those
// in sight are in the page, so that ten thousand scroll like ten; and what one reads stays where it is, whatever comes or goes.

import { h, isNarrow, link, mark, replace, say } from './dom.js';
import { count } from './format.js';
import { get } from './net.js';
import { go } from './router.js';
import { keyOf, levelWord, merged, ofKey, order, placeBefore, placeOf, query } from './tail.js';
import { clock, range, stamp } from './time.js';

const EVERY_MS = 1000;
const PAGE = 500;
// Most that are asked for at once, and how often in a row: who is further behind begins anew.
const PAGE_MAX = 1000;
const BEHIND_MAX = 10;
// Most that are held: while one follows, the earliest go; who reads further back asks for another time.
const FOLLOWED_MAX = 10000;
const HELD_MAX = 20000;
// What is in the page beyond what is in sight, and how near to the beginning earlier ones are asked for.
const BESIDE = 12;
const NEAR = 40;

// `to(record)` is the address at which one is opened. The box has `show(asked)`, `open(record)`, and `find(key)`; it tells what it holds by
// an event `told`.
export function records({ label, to = () => null }, signal) {
  const said = h('span', {});
  const further = h('button', { class: 'plain', hidden: true, onclick: () => { isHalted = false; earlier(); } }, 'Look further back');
  const edge = h('div', { class: 'edge' }, said, further);
  const pad = h('div', { class: 'pad' });
  const scroll = h('div', { class: 'lines', tabindex: 0, role: 'list', 'aria-label': label }, edge, pad);
  const end = h('button', { class: 'end', hidden: true });
  const box = h('div', { class: 'records' }, scroll, end);
  // `held`: in order. `after`: up to which number all is known. `older`: where the page before them begins, null: there is none. `isFull`: what
  // comes is not taken any more. `isHalted`: much was looked at, and nothing found. `isLost`: the node did not answer.
  let [asked, held, after, older, from, turn, follows, isFull, fresh, opened, current] = [null, [], 0, null, 0, 0, true, false, 0, null, null];
  let [busy, polls, due, isHalted, isLost, reading, failed, looks] = [false, false, false, false, false, null, null, 0];
  const shown = new Map();
  const height = () => (isNarrow() ? 46 : 22);
  const isLive = () => asked !== null && range(asked).live;

  const draw = () => {
    due = false;
    if (signal?.aborted) return;
    const high = height();
    pad.style.height = `${held.length * high}px`;
    if (follows) scroll.scrollTop = scroll.scrollHeight;
    const top = scroll.scrollTop - pad.offsetTop;
    const first = Math.max(0, Math.floor(top / high) - BESIDE);
    const last = Math.min(held.length, Math.ceil((top + scroll.clientHeight) / high) + BESIDE);
    const wanted = new Set();
    for (let place = first; place < last; place += 1) wanted.add(keyOf(held[place]));
    for (const [key, element] of shown) {
      if (wanted.has(key)) continue;
      if (element.contains(document.activeElement)) scroll.focus({ preventScroll: true });
      element.remove();
      shown.delete(key);
    }
    let before = null;
    for (let place = first; place < last; place += 1) {
      const key = keyOf(held[place]);
      let element = shown.get(key);
      if (!element) {
        element = line(held[place], to);
        shown.set(key, element);
      }
      const next = before ? before.nextElementSibling : pad.firstElementChild;
      if (next !== element) pad.insertBefore(element, next);
      before = element;
      element.style.transform = `translateY(${place * high}px)`;
      element.show(key === opened, looks, asked.utc === 'true', to);
    }
    tell();
    if (top < NEAR * high) earlier();
  };
  const soon = () => { if (!due) { due = true; requestAnimationFrame(draw); } };

  // What is in sight stays where it is.
  const hold = (next) => {
    const high = height();
    const top = scroll.scrollTop - pad.offsetTop;
    const place = Math.max(0, Math.floor(top / high));
    const reads = !follows && held[place];
    held = next;
    if (reads) {
      pad.style.height = `${held.length * high}px`;
      const moved = placeOf(held, reads) - place;
      if (moved) scroll.scrollTop += moved * high;
    }
    soon();
  };

  const tell = () => {
    const isEmpty = held.length === 0;
    mark(box, 'data-empty', isEmpty);
    const what = failed?.message ?? (busy && isEmpty ? 'Looking …' : isFull && !follows ? `The last ${count(held.length)} are held` : isHalted ? 'Not everything was looked at'
      : older !== null ? 'Earlier lines are read as you go' : isEmpty ? '' : asked?.trace && !asked.from ? 'The first of it' : 'None is earlier in this time');
    say(said, what);
    further.hidden = !isHalted;
    end.hidden = follows || isEmpty || !isLive();
    say(end, isFull ? 'To the end ↓' : fresh ? `${count(fresh)} new ↓` : 'To the end ↓');
    box.dispatchEvent(new CustomEvent('told', { detail: { count: held.length, more: older !== null, live: isLive(), follows, failed: failed?.message, busy } }));
  };

  // Asks; what is answered after something else was asked for is let go of.
  const ask = async (more) => {
    const own = turn;
    const told = await get(`/api/logs${query(asked, more)}`);
    return own === turn && !signal?.aborted ? told : null;
  };
  // Of a trace that says no time, all.
  const within = () => {
    if (asked.trace && !asked.from && !asked.to) return {};
    const { to: until, live } = range(asked);
    return live ? { from } : { from, to: until };
  };
  const load = async () => {
    turn += 1;
    const own = turn;
    [from, busy, polls, isHalted, isLost, reading, isFull, fresh, older] = [range(asked).from, !failed, false, false, false, null, false, 0, null];
    try {
      const told = await ask({ ...within(), limit: PAGE });
      if (!told) return;
      [held, older, after, isHalted, failed] = [told.logs.reverse(), told.next, told.newest, told.cut && !told.logs.length, null];
      follows = isLive() && !asked.trace;
    } catch (error) {
      if (own !== turn) return;
      [held, older, failed] = [[], null, error];
    }
    busy = false;
    pad.style.height = `${held.length * height()}px`;
    // A trace is read from its beginning, any other stretch of time from its end.
    scroll.scrollTop = asked.trace && older === null ? 0 : scroll.scrollHeight;
    soon();
    if (asked.line) box.find(asked.line);
  };
  const earlier = (limit = PAGE) => {
    if (older === null || busy || failed || isHalted) return reading;
    if (held.length >= HELD_MAX) { [isFull, older] = [true, null]; soon(); return null; }
    reading ??= earliest(limit);
    return reading;
  };
  const earliest = async (limit) => {
    const own = turn;
    try {
      const told = await ask({ ...within(), limit, before: older });
      if (!told) return;
      [older, isHalted] = [told.next, told.cut && !told.logs.length];
      reading = null;
      hold(merged(told.logs.reverse(), held));
    } catch {
      // Asked again when one scrolls.
    } finally {
      if (own === turn) reading = null;
    }
  };
  const poll = async () => {
    if (document.hidden || polls || busy || isFull || !asked || (!isLive() && !failed)) return;
    // What makes no sense does not make more the next time.
    if (failed) {
      if (failed.status === 400) return;
      const again = load();
      polls = true;
      again.then(() => { polls = false; });
      return;
    }
    const own = turn;
    polls = true;
    try {
      const [news, begun] = [[], after];
      let [next, newest] = ['', begun];
      for (let pages = 0; next !== null; pages += 1) {
        const told = await ask({ ...(asked.trace ? {} : { from }), after: begun, limit: PAGE_MAX, before: next });
        if (!told) return;
        // A node that has ended may have lost its last records, and given their numbers to others.
        if (isLost || told.newest < begun || pages >= BEHIND_MAX) { isLost = false; if (follows) load(); else { isFull = true; soon(); } return; }
        if (next === '') newest = told.newest;
        news.push(...told.logs);
        next = told.next;
      }
      after = newest;
      if (news.length) take(news.sort(order));
    } catch {
      // Asked again in a while.
      if (own === turn) isLost = true;
    } finally {
      if (own === turn) polls = false;
    }
  };
  const take = (news) => {
    let all = merged(held, news);
    if (!follows) fresh += all.length - held.length;
    if (follows && all.length > FOLLOWED_MAX) {
      all = all.slice(-FOLLOWED_MAX);
      older = placeBefore(all[0]);
    }
    // Nothing that is read goes: what comes waits until one goes to the end.
    if (!follows && all.length > HELD_MAX) { isFull = true; soon(); return; }
    hold(all);
  };
  const toEnd = () => {
    follows = true;
    fresh = 0;
    if (isFull) load();
    else soon();
  };
  end.addEventListener('click', () => { toEnd(); scroll.focus({ preventScroll: true }); });

  scroll.addEventListener('scroll', () => {
    const isAtEnd = scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - height() / 2;
    if (isAtEnd !== follows && (isAtEnd ? isLive() && !isFull : true)) { follows = isAtEnd; if (follows) fresh = 0; }
    soon();
  }, { passive: true });
  const sized = new ResizeObserver(() => soon());
  sized.observe(scroll);
  signal?.addEventListener('abort', () => sized.disconnect());

  // By keys from line to line; Enter opens the one that has the focus.
  const step = (by) => {
    if (!held.length) return;
    const high = height();
    const seen = Math.max(0, Math.floor((scroll.scrollTop - pad.offsetTop + scroll.clientHeight) / high) - 1);
    const place = current ? placeOf(held, current) + by : by > 0 ? seen : seen + (by < -1 ? by : 0);
    const wanted = Math.max(0, Math.min(held.length - 1, place));
    current = held[wanted];
    const [top, bottom] = [wanted * high + pad.offsetTop, (wanted + 1) * high + pad.offsetTop];
    if (top < scroll.scrollTop) scroll.scrollTop = wanted === 0 ? 0 : top;
    else if (bottom > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = bottom - scroll.clientHeight;
    follows = isLive() && !isFull && wanted === held.length - 1;
    draw();
    (shown.get(keyOf(current))?.opens ?? scroll).focus({ preventScroll: true });
  };
  scroll.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const page = Math.max(1, Math.floor(scroll.clientHeight / height()) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    if (event.key === 'End') { current = held.at(-1); toEnd(); }
    step(by);
  });
  scroll.addEventListener('focusin', ({ target }) => {
    const record = target.closest?.('.line')?.record;
    if (record) current = record;
  });
  // All of a line opens it, but for what leads elsewhere, and what somebody selects.
  scroll.addEventListener('click', (event) => {
    const found = event.target.closest('.line');
    if (!found?.opens || event.target.closest('a') || !getSelection().isCollapsed) return;
    go(found.opens.getAttribute('href'));
  });

  box.show = (next) => {
    const before = JSON.stringify({ ...asked, line: null, utc: null });
    const isSame = asked !== null && before === JSON.stringify({ ...next, line: null, utc: null });
    const wasOpened = opened;
    asked = next;
    opened = next.line ?? null;
    looks += 1;
    current = ofKey(opened) ?? current;
    // What is opened is read.
    if (opened && opened !== wasOpened && isSame) follows = false;
    if (!isSame) { failed = null; load(); }
    else if (opened && opened !== wasOpened && !shown.has(opened)) box.find(opened);
    soon();
  };
  // Goes to a record and tells of it by an event `found`; it is looked for among the earlier ones, and if need be alone.
  box.find = async (key) => {
    const wanted = ofKey(key);
    if (!wanted) return;
    const own = turn;
    const among = () => { const one = held[placeOf(held, wanted)]; return one && order(one, wanted) === 0 ? one : null; };
    const found = (record) => { if (own === turn && asked.line === key) box.dispatchEvent(new CustomEvent('found', { detail: record })); };
    for (let pages = 0; pages < BEHIND_MAX && !among() && older !== null && held[0] && order(wanted, held[0]) < 0; pages += 1) {
      await earlier(PAGE_MAX);
      if (own !== turn) return;
    }
    const one = among();
    if (one) {
      const [high, place] = [height(), placeOf(held, wanted)];
      const top = place * high + pad.offsetTop;
      if (top < scroll.scrollTop || top + high > scroll.scrollTop + scroll.clientHeight) {
        follows = false;
        pad.style.height = `${held.length * high}px`;
        scroll.scrollTop = top - scroll.clientHeight / 2;
      }
      soon();
      found(one);
      return;
    }
    const ms = Math.floor(wanted.at_us / 1000);
    const told = await get(`/api/logs?from=${ms}&to=${ms + 1}&limit=${PAGE_MAX}`).catch(() => null);
    found(told?.logs.find((log) => order(log, wanted) === 0) ?? null);
  };
  // The record that a key is of, if it is here.
  box.get = (key) => { const wanted = ofKey(key); const one = wanted && held[placeOf(held, wanted)]; return one && order(one, wanted) === 0 ? one : null; };
  // The element of a record, if it is near to what is in sight.
  box.lineOf = (key) => shown.get(key) ?? null;
  box.focusOn = (key) => (shown.get(key)?.opens ?? scroll).focus({ preventScroll: true });

  const timer = setInterval(poll, EVERY_MS);
  signal?.addEventListener('abort', () => clearInterval(timer));
  document.addEventListener('visibilitychange', () => { if (!document.hidden) requestAnimationFrame(poll); }, { signal });
  return box;
}

// A line that knows its record; without an address it does not open.
function line(record, to) {
  const address = to(record);
  const time = h('time', {});
  const level = h('span', { class: 'level' }, levelWord(record.level));
  const who = h('span', { class: 'who', title: record.instance || record.service }, record.instance || record.service);
  const text = h(address ? 'a' : 'span', { class: 'text', href: address, tabindex: address ? -1 : null }, record.body.split('\n', 1)[0]);
  const trace = record.trace_id ? link(`/traces/${record.trace_id}${record.span_id ? `?span=${record.span_id}` : ''}`, { class: 'of-trace', tabindex: -1, title: `Trace ${record.trace_id}` }, 'trace') : null;
  const element = h('div', { class: 'line', role: 'listitem', 'data-level': record.level || null, 'data-stream': record.attributes['log.iostream'] ?? 'colony' }, time, level, who, text, trace);
  element.record = record;
  element.opens = address ? text : null;
  let seen = -1;
  // `looks` is another number where what the address says is another.
  element.show = (isOpen, looks, utc, of) => {
    mark(element, 'data-on', isOpen);
    if (seen === looks) return;
    seen = looks;
    const at = record.at_us / 1000;
    // The day where it is another than today.
    say(time, `${stamp(at, utc).slice(0, -8)}${clock(at, utc)}`);
    if (!address) return;
    mark(text, 'href', of(record));
    mark(text, 'aria-current', isOpen ? 'true' : null);
  };
  return element;
}
