// The page of dist/ and a Chromium to open it in, for the tests of a file: both start before the first test and end
// after the last.
import { after, before } from 'node:test';
import { serve } from '../../serve.mjs';
import { launch } from './chromium.mjs';

/** @import { Browser } from 'playwright-core' */

/**
 * @param {{ webgpu: boolean }} options
 * @returns {{ url: string, browser: Browser }} filled before the first test: the page's address, and the browser
 */
export function startDist({ webgpu }) {
  const dist = /** @type {{ url: string, browser: Browser }} */ ({});
  /** @type {Awaited<ReturnType<typeof serve>> | undefined} */
  let site;
  before(async () => {
    site = await serve({ root: 'dist' });
    dist.url = site.url;
    dist.browser = await launch({ webgpu });
  });
  after(async () => {
    await dist.browser?.close();
    site?.close();
  });
  return dist;
}
