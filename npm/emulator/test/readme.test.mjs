// What README.md shows runs as it stands, with the runners that it names.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const blocks = [...readFileSync(join(here, '..', 'README.md'), 'utf8').matchAll(/```js\n(?:\/\/ ([\w.]+).*\n)?([^]*?)```/g)];
const shown = Object.fromEntries(blocks.map(([, name, text]) => [name ?? 'node.test.mjs', text]));
const fixtures = `users:
  - {id: user_ada, email_addresses: [ada@example.com]}
  - {id: user_bob, email_addresses: [bob@example.com]}
`;

// inside runs a function in a folder below this one, where the packages are found.
function inside(files, run) {
  const folder = mkdtempSync(join(here, '.run-'));
  try {
    mkdirSync(join(folder, 'node_modules', '@clerksync'), { recursive: true });
    symlinkSync(join(here, '..'), join(folder, 'node_modules', '@clerksync', 'emulator'));
    for (const [name, text] of Object.entries({ 'clerk.yaml': fixtures, 'package.json': '{"type": "module"}', ...files })) {
      assert.ok(text, `README.md does not show ${name}`);
      writeFileSync(join(folder, name), text);
    }
    const { NODE_TEST_CONTEXT, ...env } = process.env; // it makes a test runner report to this one
    return run((...args) => {
      const ran = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 120_000, env: { ...env, CI: '1', NO_COLOR: '1' } });
      return { ...ran, said: `${ran.stdout}\n${ran.stderr}` };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const bin = (path) => join(here, 'node_modules', path);

test("Node's test runner", () => {
  inside({ 'node.test.mjs': shown['node.test.mjs'] }, (node) => {
    const { status, said } = node('--test', '--test-reporter=tap', 'node.test.mjs');
    assert.ok(status === 0 && said.includes('ok 1 - a token of Ada'), said);
  });
});

test('Vitest', () => {
  const config = "export default { test: { globalSetup: './emulator.js', include: ['*.test.js'] }, cacheDir: '.vite' };";
  inside({ 'emulator.js': shown['emulator.js'], 'deals.test.js': shown['deals.test.js'], 'vitest.config.js': config }, (node) => {
    const { status, said } = node(bin('vitest/vitest.mjs'), 'run');
    assert.ok(status === 0 && /1 passed/.test(said), said);
  });
});

// The app tells who is signed in by the session cookie alone; that a page with clerk-js accepts the state too is tested
// where Clerk's packages are.
const app = `import { createServer } from 'node:http';
import { createPublicKey, verify } from 'node:crypto';
export async function serve(env) {
  const server = createServer((request, response) => {
    const token = /(?:^|; )__session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
    const [header, claims, signature] = token.split('.');
    const good = signature && verify('RSA-SHA256', Buffer.from(header + '.' + claims), createPublicKey(env.CLERK_JWT_KEY), Buffer.from(signature, 'base64url'));
    response.setHeader('content-type', 'text/html').end('<p>' + (good ? JSON.parse(Buffer.from(claims, 'base64url')).sub : 'nobody'));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: 'http://localhost:' + server.address().port, close: () => server.close() };
}`;

test('Playwright', () => {
  const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  assert.ok(chromium, 'there is no Chromium; make setup installs one');
  const config = `export default { workers: 1, reporter: 'list', use: { launchOptions: { executablePath: '${chromium}', args: ['--no-sandbox'] } } };`;
  inside({ 'deals.spec.js': shown['deals.spec.js'], 'app.js': app, 'playwright.config.js': config }, (node) => {
    const { status, said } = node(bin('@playwright/test/cli.js'), 'test');
    assert.ok(status === 0 && /1 passed/.test(said), said);
  });
});
