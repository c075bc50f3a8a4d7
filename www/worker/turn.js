// One turn of the event loop, for long work in the worker.

/** Let the event loop turn, so that a `cancel` that waits is seen. Not setTimeout: it is held back to 4 ms. */
export function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
