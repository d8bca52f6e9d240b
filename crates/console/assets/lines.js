// Lines as they come, of which only those in sight are in the page: ten thousand scroll like ten.

import { h, link, replace } from './dom.js';
import { follow } from './net.js';
import { clock } from './time.js';

const HEIGHT = 20;
const LINES_MAX = 10000;

// An id of a trace, alone or within a `traceparent`, leads there.
const TRACE = /(?<![0-9a-f])(?!0{32})([0-9a-f]{32})(?![0-9a-f])/i;
function traced(text) {
  const found = TRACE.exec(text);
  if (!found) return text;
  const end = found.index + found[1].length;
  return [text.slice(0, found.index), link(`/traces/${found[1].toLowerCase()}`, {}, found[1]), text.slice(end)];
}

// A view of lines, of one service or of all; `matches` says which of them are shown.
export function lines({ service, matches = () => true } = {}, signal) {
  const pad = h('div', { class: 'pad' });
  const box = h('div', { class: 'lines', tabindex: 0, role: 'log', 'aria-label': service ? `Output of ${service}` : 'Output' }, pad);
  let [all, shown, test, follows, due] = [[], [], matches, true, false];
  const draw = () => {
    due = false;
    pad.style.height = `${shown.length * HEIGHT}px`;
    if (follows) box.scrollTop = box.scrollHeight;
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 10);
    const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / HEIGHT) + 20);
    replace(pad, shown.slice(first, last).map((line, at) => {
      const element = h('div', { class: 'line', 'data-stream': line.stream }, h('time', {}, clock(line.unix_ms)), h('span', { class: 'who' }, line.instance), h('span', { class: 'text' }, traced(line.text)));
      element.style.top = `${(first + at) * HEIGHT}px`;
      return element;
    }));
    if (!shown.length) replace(pad, h('div', { class: 'line dim' }, 'Nothing was written.'));
  };
  const soon = () => { if (!due) { due = true; requestAnimationFrame(draw); } };
  box.addEventListener('scroll', () => {
    follows = box.scrollTop + box.clientHeight >= box.scrollHeight - HEIGHT;
    soon();
  });
  const take = (told) => {
    all.push(...told.lines);
    shown.push(...told.lines.filter(test));
    if (all.length > LINES_MAX) {
      all = all.slice(-LINES_MAX);
      shown = all.filter(test);
    }
    soon();
  };
  follow({ logs: 'true', service }, { logs: take }, { signal });
  box.only = (next) => { test = next; shown = all.filter(test); soon(); };
  soon();
  return box;
}
