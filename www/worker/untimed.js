// Lets the runtime use an adapter without `timestamp-query`, which some browsers and drivers lack.
//
// cubecl-wgpu 0.11.3 asks the adapter for that feature when it makes its first stream, to choose the clock that it
// would profile with, and panics in WebAssembly where it is missing; the program never profiles on such a device
// (`Device::has_clock`). So the adapter says that it has the feature, and its device is asked for without it: the
// device itself says what is true. docs/upstream.md has the change to the runtime that makes this needless.

const FEATURE = /** @type {const} */ ('timestamp-query');

/** From now on, each adapter that this thread asks for can be used by the runtime. @param {GPU | undefined} gpu */
export function useUntimed(gpu) {
  if (!gpu) return;
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await requestAdapter(options);
    return adapter && !adapter.features.has(FEATURE) ? timed(adapter) : adapter;
  };
}

/** @param {GPUAdapter} adapter without the feature */
function timed(adapter) {
  const requestDevice = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = (descriptor = {}) => {
    const requiredFeatures = [...(descriptor.requiredFeatures ?? [])].filter((feature) => feature !== FEATURE);
    return requestDevice({ ...descriptor, requiredFeatures });
  };
  return Object.defineProperty(adapter, 'features', { value: new Set([...adapter.features, FEATURE]) });
}
