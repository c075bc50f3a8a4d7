// The banner of a panic, with the button that restarts the worker.
import { byId, showText } from '../ui/dom.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */

/** @param {App} app */
export function panicView(app) {
  const banner = byId('panic', HTMLElement);
  const message = byId('panic-message', HTMLParagraphElement);
  const restart = byId('restart', HTMLButtonElement);
  restart.addEventListener('click', () => app.restart());

  return (/** @type {State} */ { panic }) => {
    const appears = panic !== '' && banner.hidden;
    showText(message, panic);
    banner.hidden = panic === '';
    if (appears) restart.focus();
  };
}
