// A turn of the event loop in the middle of long work.

/** Lets the event loop turn, so that a waiting `cancel` is seen. setTimeout would take at least 4 ms. */
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
