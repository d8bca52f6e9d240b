// Contrast of the colours by WCAG 2.2: 4.5 for text on every ground that it stands on, 3 for what shows a control or a state.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const css = readFileSync(new URL('../../assets/app.css', import.meta.url), 'utf8');
const colours = (block) => Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{3,6})\b/gi)].map(([, name, value]) => [name, value]));
const roots = [...css.matchAll(/:root\s*{([^}]*)}/g)].map(([, block]) => block);

function luminance(hex) {
  const digits = hex.slice(1);
  const whole = digits.length === 3 ? [...digits].map((digit) => digit + digit).join('') : digits;
  const [r, g, b] = [0, 2, 4].map((at) => parseInt(whole.slice(at, at + 2), 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function ratio(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((one, other) => other - one);
  return (light + 0.05) / (dark + 0.05);
}

const TEXT = [
  ...['ground', 'raised', 'sunk', 'accent-soft'].flatMap((ground) => ['text', 'dim', 'accent'].map((ink) => [ink, ground])),
  ...['ground', 'raised', 'sunk'].flatMap((ground) => ['good', 'warn', 'bad'].map((ink) => [ink, ground])),
  ['bad', 'bad-soft'], ['text', 'bad-soft'], ['on-accent', 'accent'], ['ground', 'text'], ['ground', 'bad'],
];
const SHAPE = ['ground', 'raised', 'sunk'].flatMap((ground) => ['line-strong', 'accent', 'good', 'warn', 'bad'].map((ink) => [ink, ground]));

test('the measure is that of the standard', () => {
  assert.equal(ratio('#000', '#fff'), 21);
  assert.equal(ratio('#777', '#fff').toFixed(2), '4.48');
});

test('there are two themes with the same colours', () => {
  assert.equal(roots.length, 2);
  const names = roots.map((root) => Object.keys(colours(root)).sort());
  assert.ok(names[0].length > 12);
  assert.deepEqual(names[1], names[0]);
});

for (const [at, theme] of ['light', 'dark'].entries()) {
  test(`what is written can be read: ${theme}`, () => {
    const of = colours(roots[at]);
    const low = (pairs, least) => pairs.map(([ink, ground]) => [ink, ground, ratio(of[ink], of[ground])]).filter(([, , found]) => !(found >= least))
      .map(([ink, ground, found]) => `${ink} on ${ground}: ${found.toFixed(2)}`);
    assert.deepEqual(low(TEXT, 4.5), []);
    assert.deepEqual(low(SHAPE, 3), []);
  });
}
