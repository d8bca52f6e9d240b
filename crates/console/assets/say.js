// What came of something that was asked for, for a while at the lower edge.

import { say } from './dom.js';

const place = () => document.getElementById('said');
let timer;

export function told(text, kind = 'good') {
  const said = place();
  said.dataset.kind = kind;
  say(said, text);
  clearTimeout(timer);
  timer = setTimeout(() => { say(said, ''); }, kind === 'bad' ? 9000 : 4000);
}

// Does something that a button asks for: the button waits meanwhile, and what goes wrong is said.
export async function doing(button, done, what) {
  if (button) button.disabled = true;
  try {
    const outcome = await what();
    if (done) told(typeof done === 'function' ? done(outcome) : done);
    return outcome;
  } catch (error) {
    told(error.message, 'bad');
    return null;
  } finally {
    if (button) button.disabled = false;
  }
}
