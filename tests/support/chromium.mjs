// Debian's Chromium for the browser tests, with WebGPU on SwiftShader (no GPU needed), or without WebGPU at all.
import { chromium } from 'playwright-core';

const COMMON = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const SWIFTSHADER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
const NO_ADAPTER = ['--disable-gpu', '--disable-software-rasterizer'];

/** @param {{ webgpu: boolean }} options */
export function launch({ webgpu }) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...COMMON, ...(webgpu ? SWIFTSHADER : NO_ADAPTER)],
  });
}

/**
 * A page of a fresh profile, with the errors it logged and the requests it made.
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
