// Numbers and times as people read them, of even width where they stand below each other.

export const NONE = '–';

export function count(number) {
  if (number === null || number === undefined) return NONE;
  return number.toLocaleString('en');
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NONE;
  if (perSecond === 0) return '0';
  if (perSecond < 0.1) return '<0.1';
  if (perSecond < 10) return perSecond.toFixed(1);
  return perSecond < 10000 ? Math.round(perSecond).toLocaleString('en') : `${(perSecond / 1000).toFixed(1)}k`;
}

export function share(part) {
  if (part === null || part === undefined) return NONE;
  const percent = part * 100;
  if (percent === 0) return '0 %';
  if (percent < 0.1) return '<0.1 %';
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

export function micros(us) {
  if (us === null || us === undefined) return NONE;
  if (us < 1000) return `${us} µs`;
  if (us < 10000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1000000) return `${Math.round(us / 1000)} ms`;
  return `${(us / 1000000).toFixed(us < 10000000 ? 2 : 1)} s`;
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

export const ago = (unixMs) => (unixMs ? `${span(Math.max(0, Date.now() - unixMs))} ago` : NONE);

const two = (number) => String(number).padStart(2, '0');

export function clock(unixMs) {
  const at = new Date(unixMs);
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

export function day(unixMs) {
  const at = new Date(unixMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(unixMs)}`;
}
