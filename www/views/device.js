// The header: the device, why it was chosen, and the list that overrules the choice.
import { formatBytes } from '../figures/format.js';
import { readDevice } from '../state/settings.js';
import { byId, showText } from '../ui/dom.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */

const RUNS = { webgpu: 'Running on WebGPU.', cpu: 'Running on the CPU.' };

/** @param {App} app */
export function deviceView(app) {
  const kind = byId('device-kind', HTMLElement);
  const reason = byId('device-reason', HTMLSpanElement);
  const error = byId('device-error', HTMLParagraphElement);
  const wanted = byId('device-wanted', HTMLSelectElement);
  wanted.addEventListener('change', () => app.useDevice(wanted.value ? readDevice(wanted.value) : null));

  return (/** @type {State} */ { choice, device, model, wanted: chosen, errors }) => {
    showText(kind, choice ? RUNS[choice.kind] : 'Looking for WebGPU…');
    kind.dataset.kind = choice?.kind ?? '';
    showText(reason, [choice?.reason, device && opened(device, model.card !== null)].filter(Boolean).join(' '));
    wanted.value = chosen ?? '';
    showText(error, errors.device);
  };
}

/**
 * @param {NonNullable<State['device']>} device
 * @param {boolean} tested whether its kernels have been compared with the CPU's, which happens before a model is loaded
 */
function opened({ kind, max_buffer_bytes }, tested) {
  if (kind === 'cpu') return ''; // the CPU is what a device is compared with
  return [
    tested ? 'Its kernels compute what the CPU does.' : '',
    max_buffer_bytes ? `Buffers up to ${formatBytes(max_buffer_bytes)}.` : '',
  ]
    .filter(Boolean)
    .join(' ');
}
