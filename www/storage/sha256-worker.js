// The worker of hasher.js: it hashes what it is given and gives the bytes back.
addEventListener('message', async ({ data: { id, bytes } }) => {
  try {
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    postMessage({ id, digest, bytes }, /** @type {any} */ ([bytes.buffer]));
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
});
postMessage('started');
