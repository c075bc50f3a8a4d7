// Debian's Chromium for the browser tests, with WebGPU on SwiftShader (no GPU needed), or without WebGPU at all.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const COMMON = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
export const SWIFTSHADER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
const NO_ADAPTER = ['--disable-gpu', '--disable-software-rasterizer'];

export function executable() {
  return process.env.CHROMIUM ?? '/usr/bin/chromium';
}

/** @param {{ webgpu: boolean, args?: string[] }} options */
export function launch({ webgpu, args = [] }) {
  return chromium.launch({
    executablePath: executable(),
    args: [...COMMON, ...(webgpu ? SWIFTSHADER : NO_ADAPTER), ...args],
  });
}

/**
 * Starts a browser on its own profile, which outlives it. `kill` ends it as a crash does.
 * @param {string} profile a folder
 */
export async function launchProfile(profile) {
  const child = spawn(
    executable(),
    [...COMMON, ...NO_ADAPTER, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'],
    { detached: true, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const file = join(profile, 'DevToolsActivePort');
  for (let tries = 0; !existsSync(file) && tries < 300; tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const [port] = readFileSync(file, 'utf8').split('\n');
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
  const page = await browser.contexts()[0].newPage();
  page.setDefaultTimeout(120_000);
  return {
    page,
    async kill() {
      process.kill(-(child.pid ?? NaN), 'SIGKILL'); // and the processes that it started
      await ended;
      rmSync(file);
    },
  };
}

/**
 * Opens a page with WebGPU on a profile on disk. Workers made from text are allowed.
 * @param {string} profile a folder
 */
export async function launchStored(profile) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable(),
    args: [...COMMON, ...SWIFTSHADER],
    bypassCSP: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  return { page, close: () => context.close() };
}

/**
 * Opens a page of a fresh profile; returns it with the errors that it logs and the requests that it makes.
 * @param {import('playwright-core').Browser} browser
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function freshPage(browser, options) {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  /** @type {string[]} */
  const errors = [];
  /** @type {string[]} */
  const requests = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  context.on('request', (request) => requests.push(request.url()));
  return { page, errors, requests, close: () => context.close() };
}

/**
 * Waits until the text of an element, or the value of a field, is what it should be.
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 * @param {RegExp | string} expected a part of the text; the whole value
 */
export async function see(page, selector, expected) {
  const element = page.locator(selector);
  const read = () => (typeof expected === 'string' ? element.inputValue() : element.textContent());
  const fits = (/** @type {string | null} */ found) =>
    typeof expected === 'string' ? found === expected : expected.test(found ?? '');
  for (let tries = 0; tries < 300 && !fits(await read()); tries++) await page.waitForTimeout(100);
  const found = await read();
  if (!fits(found)) throw new Error(`${selector}: expected ${expected}, found ${JSON.stringify(found)}`);
}
