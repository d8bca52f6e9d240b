// A drawing in a frame: moved by dragging or arrows, zoomed by `ctrl` and the wheel, two fingers or + and -, until it is fitted in again.

import { mark } from './dom.js';

const ZOOM = { least: 0.2, most: 2.5, step: 1.25 };
const STEP = 60;
// Smaller than this words on lines are not read any more.
const FAR = 0.55;
// How far a pointer may go and still click.
const STILL = 5;

export class Frame {
  // `world` is moved within `svg`; `told(isWhole)` hears whether all of it is in sight.
  constructor(svg, world, signal, told = () => {}) {
    Object.assign(this, { svg, world, told, width: 1, height: 1, k: 1, x: 0, y: 0, moved: false, revealed: false, pointers: new Map(), dragged: false });
    const listen = (name, does, options) => svg.addEventListener(name, (event) => does.call(this, event), { signal, ...options });
    listen('wheel', this.wheel, { passive: false });
    listen('pointerdown', this.down);
    listen('pointermove', this.move);
    for (const name of ['pointerup', 'pointercancel']) listen(name, this.up);
    // What was dragged was not clicked.
    listen('click', (event) => { if (this.dragged) event.stopImmediatePropagation(); this.dragged = false; }, { capture: true });
    listen('keydown', this.keyed);
  }

  // What is drawn is this large; it is fitted in unless somebody has moved it.
  hold(width, height, least) {
    Object.assign(this, { width, height });
    if (!this.moved) this.fit(least);
  }

  room() {
    return { width: this.svg.clientWidth || 1, height: this.svg.clientHeight || 1 };
  }

  // `least`: rather than smaller than that, what comes first is shown.
  fit(least = 0) {
    const room = this.room();
    const k = Math.max(least, Math.min(1, room.width / this.width, room.height / this.height));
    const middle = (all, own) => Math.max(0, (all - own * k) / 2);
    this.put(k, middle(room.width, this.width), this.width > this.height ? (room.height - this.height * k) / 2 : middle(room.height, this.height), false);
  }

  put(k, x, y, moved = true) {
    Object.assign(this, { k, x, y, moved, revealed: false });
    mark(this.world, 'transform', `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${k.toFixed(3)})`);
    mark(this.svg, 'data-far', k < FAR);
    mark(this.svg, 'data-moved', moved);
    this.told(this.isWhole());
  }

  isWhole() {
    const room = this.room();
    const within = (from, size, all) => from > -1 && from + size * this.k < all + 1;
    return within(this.x, this.width, room.width) && within(this.y, this.height, room.height);
  }

  // About a point of the frame, its middle if none is named.
  zoom(by, at) {
    const { width, height } = this.room();
    const about = at ?? { x: width / 2, y: height / 2 };
    const k = Math.max(ZOOM.least, Math.min(ZOOM.most, this.k * by));
    this.put(k, about.x - (about.x - this.x) * (k / this.k), about.y - (about.y - this.y) * (k / this.k));
  }

  pan(dx, dy) {
    this.put(this.k, this.x + dx, this.y + dy);
  }

  // Has a box seen, no nearer to the right edge than what lies over that.
  reveal({ x, y, width, height }, covered) {
    const room = this.room();
    const [left, right] = [x * this.k + this.x, (x + width) * this.k + this.x];
    const [top, bottom] = [y * this.k + this.y, (y + height) * this.k + this.y];
    const dx = right > room.width - covered - 12 ? room.width - covered - 12 - right : left < 0 ? 12 - left : 0;
    const dy = bottom > room.height ? room.height - 12 - bottom : top < 0 ? 12 - top : 0;
    if (!dx && !dy) return;
    // Nobody has moved it but this.
    const revealed = !this.moved || this.revealed;
    this.pan(dx, dy);
    this.revealed = revealed;
  }

  place(event) {
    const frame = this.svg.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 120), this.place(event));
    } else if (this.k * this.width > this.room().width + 1 && Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.pan(-event.deltaX, 0);
    }
  }

  down(event) {
    if (event.pointerType === 'mouse' && event.button !== 0) return;
    this.pointers.set(event.pointerId, this.place(event));
    this.begun = this.place(event);
    this.dragged = false;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.place(event);
    if (!this.dragged && this.pointers.size < 2 && Math.hypot(now.x - this.begun.x, now.y - this.begun.y) < STILL) return;
    if (!this.dragged) this.svg.setPointerCapture(event.pointerId);
    this.dragged = true;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (!other) this.pan(now.x - before.x, now.y - before.y);
    else {
      const apart = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
      this.zoom(apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }

  keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      '+': () => this.zoom(ZOOM.step), '=': () => this.zoom(ZOOM.step), '-': () => this.zoom(1 / ZOOM.step), 0: () => this.fit(),
      ArrowLeft: () => this.pan(STEP, 0), ArrowRight: () => this.pan(-STEP, 0), ArrowUp: () => this.pan(0, STEP), ArrowDown: () => this.pan(0, -STEP),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  }
}
