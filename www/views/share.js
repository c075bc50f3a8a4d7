// Sharing: copies the link, and shows it in a field for browsers without a clipboard.
import { byId, showText } from '../ui/dom.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */

/** @param {App} app */
export function shareView(app) {
  const copy = byId('share-copy', HTMLButtonElement);
  const status = byId('share-status', HTMLSpanElement);
  const link = byId('share-link', HTMLInputElement);
  const error = byId('share-error', HTMLParagraphElement);
  copy.addEventListener('click', async () => {
    await app.sharing.share(location.origin + location.pathname, async (url) => navigator.clipboard.writeText(url));
  });
  link.addEventListener('focus', () => link.select());

  return (/** @type {State} */ { sharing, errors }) => {
    showText(status, sharing?.note ?? '');
    link.value = sharing?.url ?? '';
    link.hidden = sharing === null;
    showText(error, errors.share);
  };
}
