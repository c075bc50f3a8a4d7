// Chooses the device, with a sentence that says why. It is decided from a probe, before the wasm or a model is
// fetched.

/** @import { DeviceKind } from '../types/wasm' */
/** @import { Probe } from '../types/worker' */

/** @typedef {{ kind: DeviceKind, adapter: string, reason: string }} Choice */

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

/**
 * What the browser offers, before anything is fetched.
 * @param {{ secure: boolean, gpu: GPU | undefined }} browser gpu: `navigator.gpu`
 * @returns {Promise<Probe>}
 */
export async function probeOf({ secure, gpu }) {
  const found = await gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!found) return { secure, webgpu: gpu !== undefined, adapter: null };
  const { vendor, architecture, device, description, isFallbackAdapter } = found.info;
  const adapter = { vendor, architecture, device, description, fallback: isFallbackAdapter };
  return { secure, webgpu: true, adapter };
}

/**
 * With a real adapter WebGPU runs; without one, or with one in software, which is slower than the CPU backend, the CPU.
 * `wanted` overrules.
 * @param {Probe} probe
 * @param {DeviceKind | null} wanted the device that `?device=`, the link or the list on the page asks for
 * @returns {Choice}
 */
export function chooseDevice(probe, wanted) {
  const { adapter } = probe;
  if (!adapter) {
    const what = wanted === 'webgpu' ? "WebGPU was asked for and can't be used, so the CPU runs" : 'No WebGPU here';
    return { kind: 'cpu', adapter: '', reason: `${what}: ${whyNoAdapter(probe)}.` };
  }
  const name = adapterName(adapter);
  if (wanted) return { kind: wanted, adapter: name, reason: `As asked for. The WebGPU adapter is ${name}.` };
  if (adapter.fallback || SOFTWARE.test(Object.values(adapter).join(' '))) {
    return {
      kind: 'cpu',
      adapter: name,
      reason: `The only WebGPU adapter is ${name}, in software: the CPU backend is faster.`,
    };
  }
  return { kind: 'webgpu', adapter: name, reason: `The WebGPU adapter is ${name}.` };
}

/** @param {Probe} probe */
function whyNoAdapter({ secure, webgpu }) {
  if (webgpu) return 'the browser found no usable graphics adapter';
  return secure ? 'this browser does not offer it' : 'browsers offer it on https pages only';
}

/** @param {NonNullable<Probe['adapter']>} adapter */
function adapterName({ vendor, architecture, device, description }) {
  const name = description || [vendor, architecture || device].filter(Boolean).join(' ');
  return name || 'unnamed';
}
