// Services: their instances, what they are started with, what they write; started, stopped, scaled.

import { ofNode, ofShare, wellness } from './amiss.js';
import { ask } from './ask.js';
import { spark } from './chart.js';
import { h, heads, Keyed, link, mark, renew, replace, say } from './dom.js';
import * as show from './format.js';
import { get, part, post, query } from './net.js';
import { missing } from './nowhere.js';
import { records } from './records.js';
import { address, page } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';
import { keyOf } from './tail.js';

// How far back the output of a service is shown, of what is kept.
const OUTPUT = '-24h';

page('services', (root, at, signal) => (at.rest[0] ? one(root, at.rest[0], signal) : every(root, signal)));

// How a service stands, in its own words and with what is the matter with it.
function stand(element, node) {
  const remarks = ofNode(node).map(({ text }) => text);
  say(element, [node.state, ...remarks].filter((text, at) => at === 0 ? !remarks.some((one) => one.startsWith(text)) : true).join(', '));
  mark(element, 'data-state', wellness(node));
}

const PAST_MS = 15 * 60000;
const STEP_MS = 10000;

// How many requests a second each service got, as metrics have it.
async function past() {
  const to = Math.floor(Date.now() / STEP_MS) * STEP_MS;
  const told = await get(`/api/metrics${query({ name: 'colony.call.requests', take: 'rate', by: 'upstream', from: to - PAST_MS, to, step: STEP_MS })}`);
  return new Map(told.series.map(({ labels, points }) => [labels.upstream, points.map(([, value]) => value)]));
}

function every(root, signal) {
  let pasts = new Map();
  const body = h('tbody', {});
  const none = h('p', { class: 'empty', hidden: true }, 'The manifest declares no service. One that is written into it is started as soon as it is saved. ', link('/manifest', {}, 'The manifest'));
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Services')), none,
    h('div', { class: 'wide' }, h('table', {}, heads('Service', 'State', ' Ready', ' Requests/s', ' Errors', ' p99', 'Last 15 min', ' Restarts', ' Memory', ' CPU', ' In flight'), body)));
  const rows = new Keyed(body, (node) => {
    const line = spark(`requests to ${node.name}`);
    return h('tr', {}, h('td', {}, link(address('services', [node.name]), {}, node.name)), h('td', {}, h('span', { class: 'state' })),
      [0, 1, 2, 3].map(() => h('td', { class: 'n' })), h('td', {}, line), [0, 1, 2, 3].map(() => h('td', { class: 'n' })));
  }, (row, node) => {
    const [, state, ready, rate, errors, p99, requests, restarts, memory, cpu, flight] = row.children;
    const sum = (field) => node.instances.reduce((all, one) => all + (one[field] ?? 0), 0);
    stand(state.firstChild, node);
    const traffic = store.get(`traffic/${node.name}`);
    say(rate, show.rate(traffic?.rate));
    say(errors, show.share(traffic?.errors));
    mark(errors, 'class', `n ${ofShare(traffic?.errors)}`);
    say(p99, show.micros(traffic?.p99_us));
    say(ready, `${node.ready}/${node.wanted}`);
    say(restarts, node.is_ours ? sum('restarts') : show.NONE);
    mark(restarts, 'class', sum('restarts') ? 'n warn' : 'n');
    say(memory, node.is_ours ? show.kib(sum('rss_kib')) : show.NONE);
    say(cpu, node.is_ours ? show.share(sum('cpu')) : show.NONE);
    say(flight, show.count(node.in_flight));
    const known = pasts.get(node.name) ?? [];
    // Of what has just begun metrics know less than the page has seen.
    requests.firstChild.show(known.filter((value) => value !== null).length > 2 ? [...known, traffic?.rate ?? null] : store.past(`traffic/${node.name}`, 'rate'));
  });
  const draw = () => {
    const all = store.all('node/').filter((node) => node.kind === 'service');
    rows.show(all, (node) => node.id);
    none.hidden = all.length > 0 || !store.get('drawing/wide');
    body.parentElement.hidden = !none.hidden;
  };
  store.watch(draw, signal);
  const look = () => { if (!document.hidden) past().then((found) => { pasts = found; draw(); }, () => {}); };
  const timer = setInterval(look, STEP_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  look();
}

function one(root, name, signal) {
  const state = h('span', { class: 'state' });
  const body = h('tbody', {});
  const declared = h('div', {});
  const instances = h('input', { type: 'number', min: 1, max: 999, 'aria-label': 'Instances', size: 3 });
  const does = (text, path, done, more = {}) => h('button', { ...more, onclick: (event) =>
    doing(event.target, done, () => post(`/api/services/${part(name)}/${path}`, path === 'scale' ? { instances: Number(instances.value) } : undefined)) }, text);
  const start = does('Start', 'restart', `${name} was started`, { class: 'main' });
  const restart = does('Restart', 'restart', `${name} was restarted`);
  const stop = h('button', { class: 'danger', onclick: () => ask(`Stop ${name}?`, 'Its instances are ended. Who calls it is answered with failures, and its messages wait, until it is started again.', 'Stop',
    () => post(`/api/services/${part(name)}/stop`).then(() => `${name} was stopped`)) }, 'Stop');
  const actions = h('div', { class: 'row' }, start, restart, stop, instances, does('Scale', 'scale', `${name} was scaled`));
  const links = h('p', { class: 'links row' });
  const calls = h('div', {});
  const output = records({ label: `Output of ${name}`, to: (record) => address('logs', [], { service: name, from: OUTPUT, line: keyOf(record) }) }, signal);
  root.append(h('div', { class: 'head' }, h('h1', {}, name), state, h('span', { class: 'grow' }), actions), links,
    h('div', { class: 'wide' }, h('table', {}, heads('Instance', 'State', ' pid', 'Address', ' Restarts', ' Memory', ' CPU', 'Last exit', ''), body)), calls,
    h('div', { class: 'head' }, h('h2', {}, 'Output'), link(address('logs', [], { service: name }), {}, 'In Logs')), output, declared);
  output.show({ service: name, from: OUTPUT, attribute: [] });
  const rows = new Keyed(body, (one) => h('tr', {}, h('td', {}, one.id), h('td', {}, h('span', { class: 'state' })), h('td', { class: 'n mono' }), h('td', { class: 'mono' }),
    h('td', { class: 'n' }), h('td', { class: 'n' }), h('td', { class: 'n' }), h('td', {}), h('td', { class: 'n' }, h('button', { class: 'plain',
      onclick: () => ask(`Kill ${one.id}?`, 'Its process ends at once, as in a crash: requests in flight there are lost. It is started again.', 'Kill',
        () => post(`/api/instances/${part(one.id)}/kill`).then((done) => (done.killed ? `${one.id} was killed` : `${one.id} has no process`))) }, 'Kill'))),
  (row, one) => {
    const cells = row.children;
    say(cells[1].firstChild, one.state);
    mark(cells[1].firstChild, 'data-state', one.state === 'ready' ? 'good' : ['crash-loop', 'failed'].includes(one.state) ? 'bad' : 'warn');
    say(cells[2], one.pid ?? show.NONE);
    say(cells[3], one.address ?? show.NONE);
    say(cells[4], one.restarts);
    say(cells[5], show.kib(one.rss_kib));
    say(cells[6], show.share(one.cpu));
    say(cells[7], one.last_exit ?? '');
    cells[8].hidden = !one.pid;
  });
  store.watch(() => {
    const node = store.get(`node/${name}`);
    if (node) stand(state, node);
    else say(state, '');
    actions.hidden = !node?.is_ours;
    const isStopped = node?.state === 'stopped';
    start.hidden = !isStopped;
    restart.hidden = stop.hidden = isStopped;
    const all = store.all('call/');
    renew(links, Boolean(node?.slo), () => [link(address('traces', [], { service: name }), {}, 'Traces'), link(address('graphs', [], { service: name }), {}, 'Metrics'), link(address('logs', [], { service: name }), {}, 'Logs'),
      node?.slo ? link(address('slos', [name]), {}, 'SLO') : null, link(address('map', [], { on: name }), {}, 'On the map'), link(address('break', [], { on: name }), {}, 'Break it')]);
    const [to, from] = [all.filter((call) => call.to === name), all.filter((call) => call.from === name)].map((some) => some.map((call) => call.call));
    renew(calls, [to, from], () => [['Is called by, with the policies of', to], ['Calls, with the policies of', from]].filter(([, some]) => some.length).map(([title, some]) =>
      [h('h2', {}, title), h('div', { class: 'links row' }, some.map((call) => link(address('policies', [call]), {}, call)))]));
    if (node && document.activeElement !== instances && instances.dataset.wanted !== String(node.wanted)) {
      instances.value = Math.max(1, node.wanted);
      instances.dataset.wanted = node.wanted;
    }
    rows.show(node?.instances ?? [], (instance) => instance.id);
  }, signal);
  get(`/api/services/${part(name)}`).then((service) => started(declared, service.declared ?? {}, service.given),
    (error) => { if (error.status === 404 && !signal.aborted) missing(root, 'service', name, '/services', 'All services'); });
}

function started(root, { run, build, dir, scale, environment, url, calls, protocol, after }, given) {
  const pairs = [['command', run && h('code', {}, run)], ['build', build && h('code', {}, build)], ['folder', dir && h('code', {}, show.folder(dir))], ['is at', url?.join(', ')],
    ['speaks', protocol], ['instances', scale && `${scale.min} to ${scale.max}`], ['calls', calls?.join(', ')], ['starts after', after?.join(', ')]].filter(([, value]) => value);
  const listed = (title, variables) => (Object.keys(variables ?? {}).length ? [h('h2', {}, title), h('dl', {}, Object.entries(variables).map(([name, value]) =>
    [h('dt', {}, h('code', {}, name)), h('dd', {}, value === null ? h('span', { class: 'dim' }, 'secret') : h('code', {}, value))]))] : null);
  replace(root, h('h2', {}, 'Declared'), h('dl', {}, pairs.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
    listed('Environment, as declared', environment), listed(`Environment, as the node has set it for ${given?.instance}`, given?.environment));
}
