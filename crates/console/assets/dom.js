// Elements, made of what they are given as text: nothing here or elsewhere in the console reads HTML, so that what a service calls
// itself or writes can be nothing but text. (The page's policy has the browser refuse anything else.)

const SVG = 'http://www.w3.org/2000/svg';

// Characters that are not seen but change what is: those that turn the direction of what follows, and controls. They stand there by
// their numbers, so that a line is what it looks like.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const number = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
export const plain = (text) => text.replace(HIDDEN, number);

// Properties: `on*` listens, `class`, `data-*` and all else are attributes; null, undefined and false leave one out.
function dress(element, properties) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.startsWith('on') && typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  return element;
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(plain(String(child))));
  }
  return element;
}

export const h = (tag, properties, ...children) => fill(dress(document.createElement(tag), properties), children);

// Whether there is no more room than a phone has: so the style sheet has it, too.
export const isNarrow = () => innerWidth <= 720;

export const s = (tag, properties, ...children) =>
  fill(dress(document.createElementNS(SVG, tag), properties), children);

export function replace(element, ...children) {
  element.replaceChildren();
  return fill(element, children);
}

// A text that changes often: nothing is touched where it is the same.
export function say(element, text) {
  const next = text === null || text === undefined ? '' : plain(String(text));
  const only = element.firstChild;
  // A text that is there is written anew, which costs less than another one.
  if (only?.nodeType === Node.TEXT_NODE && !only.nextSibling) { if (only.data !== next) only.data = next; }
  else if (element.textContent !== next) element.textContent = next;
}

export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

// Filled anew where what it shows (as JSON) is different, so that what is selected or has the focus stays.
export function renew(element, what, build) {
  const key = JSON.stringify(what);
  if (element.dataset.shows === key) return;
  element.dataset.shows = key;
  replace(element, build());
}

// The head of a table: names of columns, with a space before those of numbers.
export const heads = (...names) => h('thead', {}, h('tr', {}, names.map((name) => h('th', { scope: 'col', class: name.startsWith(' ') ? 'n' : null }, name.trim()))));

// What narrows a list, until one clicks on it.
export const chip = (text, without) => h('button', { class: 'chip', title: 'Take this away', onclick: without }, text, h('span', { 'aria-hidden': 'true' }, ' ×'));

// A link within the console.
export const link = (to, properties, ...children) => h('a', { href: to, ...properties }, ...children);

// Brings into sight what a panel that tells of it lies over, where panels lie over the page: the style sheet leaves them room to scroll by.
// `of()` finds it once it is drawn.
export function uncover(panel, of) {
  requestAnimationFrame(() => { if (getComputedStyle(panel).position === 'fixed') of()?.scrollIntoView({ block: 'nearest' }); });
}

// A path, which may be broken behind its slashes.
export const broken = (path) => path.split(/(?<=\/)/).map((part, at) => [at ? h('wbr') : null, part]);

// Keeps the element that stands for a key, so that focus and selection outlive a change. `home(item)` is in what it stands where that is not
// always `parent`; their order does not matter then.
export class Keyed {
  constructor(parent, make, update, home = null) {
    Object.assign(this, { parent, make, update, home, shown: new Map() });
  }

  show(items, keyOf) {
    const seen = new Set();
    let at = this.parent.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      seen.add(key);
      let element = this.shown.get(key);
      if (!element) {
        element = this.make(item);
        this.shown.set(key, element);
      }
      this.update(element, item);
      const home = this.home?.(item);
      if (home) {
        if (element.parentNode !== home) home.append(element);
      } else if (element === at) at = at.nextElementSibling;
      else this.parent.insertBefore(element, at);
    }
    for (const [key, element] of this.shown) {
      if (!seen.has(key)) {
        element.remove();
        this.shown.delete(key);
      }
    }
  }
}
