// The whole stack for the tests: an emulated Clerk, clerksync, the application, and Caddy in front.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../npm/emulator/index.js'; // yours: '@clerksync/emulator'

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
export const secret = randomBytes(32).toString('hex');
const token = randomBytes(32).toString('hex');
const ends = []; // what end() does, the last one first

async function freeAddress() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}

// Runs a program until end(), and waits until it listens.
async function run(address, command, args, env) {
  const child = spawn(command, args, { cwd: here, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let ended = false;
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (log += chunk));
  const exit = once(child, 'exit').finally(() => (ended = true));
  ends.push(async () => {
    child.kill();
    await exit;
  });
  const [host, port] = address.split(':');
  const listens = async () => {
    if (ended) throw new Error(`${command} has ended:\n${log}`);
    const socket = connect(port, host);
    return once(socket, 'connect').then(() => true, () => false).finally(() => socket.destroy());
  };
  await eventually(listens, 30_000, () => log);
}

// Waits until a condition holds. Events take milliseconds, on a busy machine longer.
export async function eventually(condition, milliseconds = 30_000, why = () => '') {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms ${why()}`);
    await sleep(20);
  }
}

// The recipe of examples/caddy with other addresses, and with /api/auth/me for the scripts of pages.
async function caddyfile(site, sync, application) {
  const recipe = await readFile(new URL('../caddy/Caddyfile', import.meta.url), 'utf8');
  return recipe
    .replaceAll('127.0.0.1:8080', sync)
    .replaceAll('127.0.0.1:9000', application)
    .replaceAll(':8000', `:${site.split(':')[1]}`)
    .replace('\troute {', `\thandle /api/auth/me {\n\t\treverse_proxy ${sync}\n\t}\n\n\troute {`);
}

export async function startStack(database) {
  const folder = await mkdtemp(join(tmpdir(), 'express-'));
  ends.push(() => rm(folder, { recursive: true }));
  const [sync, operatorAddress, application, site] = await Promise.all([1, 2, 3, 4].map(freeAddress));
  const clerk = await start({ fixtures: join(here, 'clerk.yaml'), webhookUrl: `http://${sync}/api/webhooks/clerk` });
  ends.push(() => clerk.stop());
  await run(sync, 'clerksync', ['serve'], {
    ...clerk.env,
    DATABASE_URL: database,
    CLERKSYNC_LISTEN: sync,
    CLERKSYNC_LOG_LEVEL: 'warn',
    CLERKSYNC_OPERATOR_LISTEN: operatorAddress,
    CLERKSYNC_OPERATOR_TOKEN: token,
    CLERK_AUTHORIZED_PARTIES: `http://${site}`,
    CLERKSYNC_POLICY_FILE: 'policy.yaml',
    CLERKSYNC_PROXY: 'caddy',
    CLERKSYNC_TRUSTED_PROXIES: '127.0.0.1',
    CLERKSYNC_IDENTITY_SECRET: secret,
    CLERKSYNC_WEBHOOKS_ALLOW: '127.0.0.1', // the application, by plain http
  });
  const operator = { url: `http://${operatorAddress}`, token };
  const endpoint = await call(operator, 'POST', '/api/webhook-endpoints', { url: `http://${application}/hooks/clerksync`, types: ['user.erased'] });
  await run(application, process.execPath, ['server.js'], {
    PORT: application.split(':')[1],
    DATABASE_URL: database,
    APP_HOST: site,
    CLERKSYNC_IDENTITY_SECRET: secret,
    OPERATOR_URL: operator.url,
    OPERATOR_TOKEN: token,
    WEBHOOK_SECRET: endpoint.secret,
  });
  await writeFile(join(folder, 'Caddyfile'), await caddyfile(site, sync, application));
  await run(site, 'caddy', ['run', '--config', join(folder, 'Caddyfile')], { HOME: folder });
  await eventually(async () => (await call(operator, 'GET', '/api/sync')).ready); // the mirror was filled, so that stored roles count
  return { clerk, site, sync: `http://${sync}`, application: `http://${application}`, operator };
}

export async function end() {
  for (const step of ends.reverse()) await step();
}

// Makes a request to clerksync's API for operators.
export async function call(operator, method, path, body) {
  const response = await fetch(operator.url + path, {
    method,
    headers: { Authorization: `Bearer ${operator.token}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}
