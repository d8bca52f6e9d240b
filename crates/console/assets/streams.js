// Streams: the stores of event streams, the streams of one, and a stream as a line of what has happened.

import { h, heads, link, replace } from './dom.js';
import * as show from './format.js';
import { comparison, value } from './json.js';
import { listing } from './listing.js';
import { get, part, query } from './net.js';
import { missing } from './nowhere.js';
import { address, page, turn } from './router.js';
import { dated } from './time.js';

page('streams', (root, at, signal) => {
  const [name, ...stream] = at.rest;
  if (stream.length) return one(root, name, stream.join('/'), at, signal);
  return name ? store(root, name, at, signal) : every(root);
});

function projections(all) {
  return all.map((each) => h('div', {}, h('span', { class: 'mono' }, each.projection), ' ',
    h('span', { class: each.behind ? 'warn' : 'dim' }, each.behind ? `${show.count(each.behind)} behind, moved ${show.ago(each.moved_unix_ms)}` : 'up to date')));
}

function keeps({ events, age_ms: age }) {
  return [events ? `the last ${events === 1 ? '' : `${show.count(events)} `}of a stream` : null, age ? `for ${show.span(age)}` : null].filter(Boolean).join(', ') || 'all';
}

export const storeRow = (told) => h('tr', {}, h('td', {}, link(address('streams', [told.store]), {}, told.store)), h('td', { class: 'n' }, show.count(told.events)), h('td', {}, projections(told.projections)), h('td', {}, keeps(told.keeps)));

function every(root) {
  const body = h('tbody', {});
  const note = h('p', { class: 'empty' }, 'Looking …');
  const wide = h('div', { class: 'wide', hidden: true }, h('table', {}, heads('Store', ' Events', 'Projections', 'Keeps'), body));
  root.append(h('div', { class: 'head' }, h('h1', {}, link('/state', {}, 'State'), ' / streams')), note, wide);
  get('/api/streams').then((told) => {
    wide.hidden = !told.stores.length;
    note.hidden = told.stores.length > 0;
    replace(note, 'No store of event streams is defined.');
    replace(body, told.stores.map(storeRow));
  }, (error) => replace(note, error.message));
}

function store(root, name, at, signal) {
  let { query: how } = at;
  const prefix = h('input', { type: 'search', 'aria-label': 'Streams that begin with', placeholder: 'Streams that begin with …', value: how.prefix ?? '' });
  const about = h('dl', {});
  let wait;
  prefix.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => turn({ prefix: prefix.value }, { replace: true }), 150);
  });
  const list = listing({
    label: `Streams of ${name}`,
    heads: ['Stream', '', 'Events', 'Version'].map((head, i) => h('span', { class: ['key', 'glimpse', 'size', 'size'][i] }, head)),
    key: (told) => told.stream,
    cells: (told) => [h('span', { class: 'key' }, told.stream), h('span', { class: 'glimpse' }, told.life === 'live' ? '' : told.life), h('span', { class: 'size' }, show.count(told.events)), h('span', { class: 'size' }, told.version)],
    to: (told) => address('streams', [name, told.stream]),
    empty: 'There are no such streams.',
    more: async (after) => {
      const told = await get(`/api/streams/${part(name)}${query({ prefix: how.prefix, after, limit: 200 })}`).catch((error) => {
        if (error.status === 404 && !signal.aborted) missing(root, 'store of event streams', name, '/streams', 'All stores of event streams');
        throw error;
      });
      replace(about, [['Events', show.count(told.events)], ['Keeps', keeps(told.keeps)], ['Projections', told.projections.length ? projections(told.projections) : null]].filter(([, text]) => text)
        .map(([field, text]) => [h('dt', {}, field), h('dd', {}, text)]));
      return { items: told.streams, next: told.next };
    },
  }, signal);
  root.append(h('div', { class: 'head' }, h('h1', {}, link('/state', {}, 'State'), ' / ', link('/streams', {}, 'streams'), ` / ${name}`)), about, h('p', {}), h('div', { class: 'row browse-by' }, prefix), list);
  return (to) => {
    const before = how;
    how = to.query;
    if ((before.prefix ?? '') !== (how.prefix ?? '')) list.anew();
    if (document.activeElement !== prefix) prefix.value = how.prefix ?? '';
  };
}

function one(root, name, stream, at, signal) {
  let { query: how } = at;
  const path = `/api/streams/${part(name)}/${part(stream)}`;
  const standing = h('p', {});
  const note = h('p', { class: 'empty' }, 'Looking …');
  const compared = h('div', {});
  const line = h('ol', { class: 'history' });
  const more = h('button', { hidden: true, onclick: () => look() }, 'More events');
  const isBack = () => how.direction !== 'forwards';
  const order = h('button', { class: 'plain', onclick: () => turn({ direction: isBack() ? 'forwards' : '' }) });
  root.append(h('div', { class: 'head' }, h('h1', {}, link('/state', {}, 'State'), ' / ', link(address('streams', [name]), {}, name), ' / ', h('span', { class: 'mono' }, stream)), standing, h('span', { class: 'grow' }), order), note, compared, line, more);
  let [events, snapshots, next] = [[], [], undefined];
  const versions = () => [...snapshots.map((shot) => [`s${shot.version}`, `snapshot at ${shot.version}`, shot.payload]), ...events.map((event) => [String(event.version), `${event.version} ${event.type}`, event.payload])];
  const compare = () => replace(compared, comparison(versions(), [how.a, how.b], ([a, b]) => turn({ a, b }, { replace: true })));
  const since = (event, before) => (before ? h('span', {}, `, ${between(event.unix_ms, before.unix_ms)} after ${before.version}`) : null);
  const entry = (event, before) => h('li', { 'data-version': event.version }, h('div', { class: 'row' }, h('b', { class: 'n' }, event.version), h('span', {}, event.type), h('time', {}, dated(event.unix_ms), since(event, before)),
    event.trace ? link(address('traces', [event.trace]), {}, 'Trace') : null, event.id ? h('span', { class: 'mono dim' }, event.id) : null),
  value(event.payload), event.metadata && Object.keys(event.metadata).length ? h('details', { class: 'meta' }, h('summary', { class: 'dim' }, 'Metadata'),
    event.metadata.bytes === undefined ? h('dl', {}, Object.entries(event.metadata).map(([field, text]) => [h('dt', {}, field), h('dd', { class: 'mono' }, typeof text === 'string' ? text : JSON.stringify(text))])) : value(event.metadata)) : null);
  const shot = (told) => h('li', { class: 'snapshot' }, h('details', {}, h('summary', {}, `Snapshot of version ${told.version}, `, h('time', {}, dated(told.unix_ms))), value(told.payload)));
  const draw = () => {
    replace(line, events.map((event, i) => {
      const own = snapshots.filter((told) => told.version === event.version).map(shot);
      const whole = entry(event, events[isBack() ? i + 1 : i - 1]);
      return isBack() ? [own, whole] : [whole, own];
    }));
    compare();
  };
  const look = async (anew) => {
    const direction = how.direction;
    more.disabled = true;
    try {
      const told = await get(`${path}${query({ direction, from: anew ? how.at : next, limit: 50 })}`);
      if (signal.aborted || direction !== how.direction) return;
      events = anew ? told.event_list : [...events, ...told.event_list];
      [snapshots, next] = [told.snapshots, told.next];
      note.hidden = events.length > 0;
      replace(note, 'None of its events is kept.');
      replace(standing, `version ${show.count(told.version)}, ${show.count(told.events)} kept${told.life === 'live' ? '' : `, ${told.life}`}`);
      replace(order, isBack() ? 'Oldest first' : 'Latest first');
      more.hidden = next === null;
      draw();
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) { missing(root, 'stream', stream, address('streams', [name]), `All streams of ${name}`); return; }
      note.hidden = false;
      replace(note, error.message);
    }
    more.disabled = false;
  };
  look(true);
  return (to) => {
    const before = how;
    how = to.query;
    if (before.direction !== how.direction || before.at !== how.at) look(true);
    else compare();
  };
}

// The time from one event to the next: short ones to the millisecond.
function between(a, b) {
  const ms = Math.abs(a - b);
  return ms < 1000 ? `${ms} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : show.span(ms);
}
