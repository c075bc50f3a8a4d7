// Loads model files that are dropped anywhere on the page. Without it the browser would leave the page and show them.

/** @import { App } from '../app/app.js' */

/** @param {App} app @param {EventTarget} page */
export function takeDrops(app, page) {
  for (const name of ['dragover', 'drop']) {
    page.addEventListener(name, (event) => {
      const { dataTransfer, target } = /** @type {DragEvent} */ (event);
      const { type, disabled } = /** @type {HTMLInputElement} */ (target);
      // it is text, or a field that takes files by itself
      if (!dataTransfer?.types.includes('Files') || (type === 'file' && !disabled)) return;
      event.preventDefault();
      if (app.state.task) dataTransfer.dropEffect = 'none';
      else if (name === 'drop') app.model.dropFiles([...dataTransfer.files]);
    });
  }
}
