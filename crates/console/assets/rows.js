// Rows of one height, of which only those in sight are in the page: a thousand spans scroll like ten. They scroll with the page itself.

import { h, isNarrow, mark } from './dom.js';

// More than what is in sight, on each side.
const BESIDE = 8;

// `height()` is that of a row, `key(item)` tells it apart, `make(item)` makes its element and `update(element, item, place)` says what is in it;
// `focus(element)` is what of it has the focus. The box has `show(items)`, `at(place)` and `choose(place)`.
export function rows({ height, key, make, update, focus = (element) => element, more, ...properties }, signal) {
  const box = h('div', { class: 'rows', ...properties });
  const shown = new Map();
  let [items, high, due, current] = [[], height(), false, 0];
  // How much of the screen the frame covers at its top.
  const covered = () => document.getElementById('top').offsetHeight + (isNarrow() ? document.getElementById('nav').offsetHeight : 0);
  const draw = () => {
    due = false;
    if (signal?.aborted) return;
    high = height();
    box.style.height = `${items.length * high}px`;
    const top = box.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / high) - BESIDE);
    const last = Math.min(items.length, Math.ceil((innerHeight - top) / high) + BESIDE);
    const wanted = new Set();
    for (let place = first; place < last; place += 1) wanted.add(key(items[place]));
    for (const [id, element] of shown) {
      // What has the focus keeps it, also out of sight.
      if (wanted.has(id) || (element.contains(document.activeElement) && items.some((item) => key(item) === id))) continue;
      element.remove();
      shown.delete(id);
    }
    // The one row that the tabulator stops at is always in the page.
    const stop = current >= first && current < last ? current : Math.max(first, Math.min(last - 1, Math.ceil((covered() - top) / high)));
    let before = null;
    for (let place = first; place < last; place += 1) {
      const item = items[place];
      let element = shown.get(key(item));
      if (!element) {
        element = make(item);
        shown.set(key(item), element);
      }
      const follows = before ? before.nextElementSibling : box.firstElementChild;
      if (follows !== element) box.insertBefore(element, follows);
      before = element;
      element.style.transform = `translateY(${place * high}px)`;
      element.style.height = `${high}px`;
      if (properties.role === 'list') {
        mark(element, 'aria-posinset', place + 1);
        mark(element, 'aria-setsize', items.length);
      }
      focus(element).tabIndex = place === stop ? 0 : -1;
      update(element, item, place);
    }
    if (last >= items.length - BESIDE && items.length) more?.();
  };
  const soon = () => { if (!due) { due = true; requestAnimationFrame(draw); } };
  addEventListener('scroll', soon, { passive: true, signal });
  addEventListener('resize', soon, { signal });
  // Where the top of the list is out of sight, what is in sight stays where it is.
  box.show = (next) => {
    const top = box.getBoundingClientRect().top - covered();
    const held = top < 0 ? items[Math.min(items.length - 1, Math.ceil(-top / high))] : undefined;
    const was = held && items.indexOf(held);
    const focused = items[current] && key(items[current]);
    items = next;
    const now = held ? items.findIndex((item) => key(item) === key(held)) : -1;
    const again = items.findIndex((item) => key(item) === focused);
    current = again >= 0 ? again : Math.min(current, Math.max(0, items.length - 1));
    box.style.height = `${items.length * high}px`;
    if (now >= 0 && now !== was) scrollBy({ top: (now - was) * high, behavior: 'instant' });
    draw();
  };
  // Whether its top is out of sight.
  box.isScrolled = () => box.getBoundingClientRect().top < covered();
  box.current = () => items[current];
  box.redraw = soon;
  // Goes to a row: it is in sight and has the focus.
  box.choose = (place) => {
    if (!items.length) return;
    current = Math.max(0, Math.min(items.length - 1, place));
    const top = box.getBoundingClientRect().top + current * high;
    if (top < covered() + high) scrollBy({ top: top - covered() - high, behavior: 'instant' });
    else if (top + high > innerHeight - high) scrollBy({ top: top + 2 * high - innerHeight, behavior: 'instant' });
    draw();
    const element = shown.get(key(items[current]));
    if (element) focus(element).focus({ preventScroll: true });
  };
  box.addEventListener('focusin', (event) => {
    const place = items.findIndex((item) => shown.get(key(item))?.contains(event.target));
    if (place < 0 || place === current) return;
    current = place;
    soon();
  });
  box.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const page = Math.max(1, Math.floor((innerHeight - covered()) / high) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    box.choose(by === Infinity ? items.length - 1 : by === -Infinity ? 0 : current + by);
  });
  // Its place is known only when it is in the page.
  requestAnimationFrame(draw);
  return box;
}
