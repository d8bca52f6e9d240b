// Numbers and stretches of time as people read them, of even width where they stand below each other.

export const NONE = '–';

// As `toLocaleString` writes numbers, which makes one of these each time.
const GROUPED = new Intl.NumberFormat('en');

export function count(number) {
  if (number === null || number === undefined) return NONE;
  return GROUPED.format(number);
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NONE;
  if (perSecond === 0) return '0';
  if (perSecond < 0.1) return '<0.1';
  if (perSecond < 10) return perSecond.toFixed(1);
  return perSecond < 10000 ? GROUPED.format(Math.round(perSecond)) : `${(perSecond / 1000).toFixed(1)}k`;
}

export function share(part) {
  if (part === null || part === undefined) return NONE;
  const percent = part * 100;
  if (percent === 0) return '0 %';
  if (percent < 0.1) return '<0.1 %';
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

// Nanoseconds.
export function took(ns) {
  const sign = ns < 0 ? '−' : '';
  const size = Math.abs(ns);
  if (size < 1e3) return `${sign}${Math.round(size)} ns`;
  if (size < 1e6) return `${sign}${Math.round(size / 1e3)} µs`;
  if (size < 1e7) return `${sign}${(size / 1e6).toFixed(1)} ms`;
  if (size < 1e9) return `${sign}${Math.round(size / 1e6)} ms`;
  if (size < 120e9) return `${sign}${(size / 1e9).toFixed(2)} s`;
  return `${sign}${Math.floor(size / 60e9)} min ${Math.round((size % 60e9) / 1e9)} s`;
}

export function micros(us) {
  if (us === null || us === undefined) return NONE;
  return us < 1000 ? `${us} µs` : took(us * 1000);
}

export function kib(size) {
  if (size === null || size === undefined) return NONE;
  return size < 1024 ? `${size} KiB` : `${(size / 1024).toFixed(size < 10240 ? 1 : 0)} MiB`;
}

export function bytes(size) {
  if (size === null || size === undefined) return NONE;
  return size < 1024 ? `${size} B` : kib(Math.round(size / 1024));
}

export function span(ms) {
  if (ms === null || ms === undefined) return NONE;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${hours} h ${Math.floor((seconds % 3600) / 60)} min` : `${Math.floor(hours / 24)} d`;
}

// A folder as one writes it: what is told of one may go by `.`.
export const folder = (path) => path.replace(/(\/\.)+(?=\/|$)/g, '') || (path.startsWith('/') ? '/' : path);

export const ago = (unixMs) => (unixMs ? `${span(Math.max(0, Date.now() - unixMs))} ago` : NONE);
