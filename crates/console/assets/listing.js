// A list of which only the rows in sight are in the page, and which asks for more as one comes to its end.

import { h, replace } from './dom.js';

const HEIGHT = 30;

// `row(item)` makes a row of cells; `more(after)` answers with a page: { items, next }; `to(item)` is where a row leads.
export function listing({ label, heads, row, more, to, isOn = () => false, empty }, signal) {
  const pad = h('div', { class: 'pad' });
  const box = h('div', { class: 'listing', tabindex: 0, role: 'list', 'aria-label': label }, heads ? h('div', { class: 'heads', 'aria-hidden': 'true' }, heads) : null, pad);
  let [items, next, asking, due, failure, turn] = [[], null, false, false, null, 0];
  const draw = () => {
    due = false;
    pad.style.height = `${Math.max(1, items.length + (failure ? 1 : 0)) * HEIGHT}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 8);
    const last = Math.min(items.length, first + Math.ceil(box.clientHeight / HEIGHT) + 16);
    const kept = document.activeElement?.closest?.('.listing a')?.getAttribute('href');
    replace(pad, items.slice(first, last).map((item, at) => {
      const line = h('a', { class: 'line', href: to(item), role: 'listitem', 'data-on': isOn(item), 'aria-current': isOn(item) ? 'true' : null }, row(item));
      line.style.top = `${(first + at) * HEIGHT}px`;
      return line;
    }));
    if (!items.length || failure) {
      const told = h('div', { class: failure ? 'line bad' : 'line dim' }, failure ?? (asking ? 'Looking …' : empty));
      told.style.top = `${items.length * HEIGHT}px`;
      pad.append(told);
    }
    if (kept) [...pad.children].find((line) => line.getAttribute('href') === kept)?.focus({ preventScroll: true });
    if (next !== null && !asking && last >= items.length - 4) ask();
  };
  const soon = () => { if (!due) { due = true; requestAnimationFrame(draw); } };
  const ask = async () => {
    const mine = turn;
    asking = true;
    try {
      const page = await more(next);
      if (mine !== turn || signal?.aborted) return;
      items.push(...page.items);
      next = page.next ?? null;
      failure = null;
    } catch (error) {
      if (mine !== turn) return;
      [failure, next] = [error.message, null];
    }
    asking = false;
    soon();
  };
  box.addEventListener('scroll', soon);
  box.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const line = event.target.closest('a.line');
    if (!step || !line) return;
    event.preventDefault();
    (step > 0 ? line.nextElementSibling : line.previousElementSibling)?.focus();
  });
  box.anew = () => {
    turn += 1;
    [items, next, failure] = [[], '', null];
    box.scrollTop = 0;
    ask();
    soon();
  };
  box.again = soon;
  const sized = new ResizeObserver(soon);
  sized.observe(box);
  signal?.addEventListener('abort', () => sized.disconnect());
  box.anew();
  return box;
}
