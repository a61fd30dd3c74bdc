import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary } from './binary.js';

export { findBinary };

const startTimeout = 30_000; // milliseconds
const stopTimeout = 5_000;

/** An error of the emulator's API, in Clerk's form. */
export class EmulatorError extends Error {
  constructor(method, path, status, errors) {
    const first = errors[0];
    super(`${method} ${path}: ${status} ${first ? `${first.code}: ${first.long_message || first.message}` : 'without an explanation'}`);
    this.name = 'EmulatorError';
    this.status = status;
    this.errors = errors;
  }
}

// The options that are flags of the command.
const flags = {
  seed: '--seed',
  users: '--users',
  organizations: '--organizations',
  memberships: '--memberships',
  secretKey: '--secret-key',
  webhookUrl: '--webhook-url',
  webhookSecret: '--webhook-secret',
  state: '--state',
  rateLimit: '--rate-limit',
  nodeModules: '--node-modules',
  proxyUrl: '--proxy-url',
};

function args(options, fixtures) {
  const all = ['emulate', '--json', '--stop-with-stdin', '--listen', `127.0.0.1:${options.port ?? 0}`];
  if (fixtures) all.push('--fixtures', fixtures);
  // Limits would only make tests slow and flaky; a file of fixtures may want them.
  const limit = options.rateLimit ?? (fixtures ? undefined : 'off');
  for (const [name, flag] of Object.entries(flags)) {
    const value = name === 'rateLimit' ? limit : options[name];
    if (value !== undefined) all.push(`${flag}=${value}`);
  }
  return [...all, ...(options.args ?? [])];
}

function known(options) {
  const names = [...Object.keys(flags), 'fixtures', 'port', 'binary', 'args', 'onLog'];
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`@clerksync/emulator: there is no option ${name}; there are ${names.join(', ')}`);
  }
}

/** Starts an emulator. It ends with stop(), or with this process. */
export async function start(options = {}) {
  known(options);
  const binary = findBinary(options.binary);
  let folder;
  try {
    let fixtures = options.fixtures;
    if (fixtures instanceof URL) fixtures = (await import('node:url')).fileURLToPath(fixtures);
    if (fixtures && typeof fixtures !== 'string') {
      folder = await mkdtemp(join(tmpdir(), 'clerksync-'));
      fixtures = join(folder, 'fixtures.json');
      await writeFile(fixtures, JSON.stringify(options.fixtures, null, 2), { mode: 0o600 });
    }
    return await launch(binary, args(options, fixtures), options.onLog);
  } finally {
    if (folder) await rm(folder, { recursive: true, force: true }); // the command has read it
  }
}

async function launch(binary, args, onLog) {
  const child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
  child.stdin.on('error', () => {}); // its end ends the command, however this process ends
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-20_000);
    onLog?.(text);
  });
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, startTimeout, 'no answer');
  });
  const line = await Promise.race([firstLine(child.stdout), ended.then((how) => ({ how })), late.then((how) => ({ how }))]);
  clearTimeout(timer);
  const { printed, how } = typeof line === 'string' ? read(line) : line;
  if (how) {
    if (child.exitCode === null && child.kill('SIGKILL')) await Promise.race([ended, new Promise((resolve) => child.once('exit', resolve))]);
    throw new Error(`@clerksync/emulator: ${binary} did not start (${how})\n${said.trim()}`);
  }
  child.stdout.resume();
  for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref(); // a forgotten stop() must not keep tests from ending
  return new Emulator(printed, child, ended);
}

// What the command prints when it is ready. Another program may have its name.
function read(line) {
  try {
    const printed = JSON.parse(line);
    if (printed?.url && printed.env) return { printed };
  } catch {
    // it is no JSON
  }
  return { how: `its first line is ${line.slice(0, 200)}` };
}

// The first line of a stream. It never comes from a process that ends before.
function firstLine(stream) {
  return new Promise((resolve) => {
    let text = '';
    const read = (chunk) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) return;
      stream.off('data', read);
      resolve(text.slice(0, end));
    };
    stream.setEncoding('utf8').on('data', read);
  });
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

// The attributes as the API calls them: emailAddress: 'a@example.com' is email_address: ['a@example.com'].
function parameters(attributes) {
  const all = {};
  for (const [name, value] of Object.entries(attributes)) {
    const list = ['emailAddress', 'phoneNumber', 'web3Wallet'].includes(name) && !Array.isArray(value);
    if (value !== undefined) all[snake(name)] = list ? [value] : value;
  }
  return all;
}

const id = (userOrId) => (typeof userOrId === 'string' ? userOrId : userOrId.id);

/** A running emulator. */
export class Emulator {
  #child;
  #ended;

  constructor(printed, child, ended) {
    const { env, ...keys } = printed;
    this.url = keys.url;
    this.env = env;
    this.keys = {
      apiUrl: keys.api_url,
      issuer: keys.issuer,
      jwksUrl: keys.jwks_url,
      secretKey: keys.secret_key,
      publishableKey: keys.publishable_key,
      webhookSecret: keys.webhook_secret,
      instanceId: keys.instance_id,
      jwtKey: keys.pem,
    };
    this.#child = child;
    this.#ended = ended;
    this.users = {
      create: (attributes) => this.call('POST', '/v1/users', parameters(attributes)),
      signIn: (user, options = {}) => this.call('POST', `/_emulator/users/${encodeURIComponent(id(user))}/sign_in`, parameters(options)),
      signOut: (user, options = {}) => this.call('POST', `/_emulator/users/${encodeURIComponent(id(user))}/sign_out`, parameters(options)),
    };
  }

  /** Makes a request to the Backend API (/v1/…) or to the control API (/_emulator/…). */
  async call(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.keys.secretKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    let answer;
    try {
      answer = text === '' ? undefined : JSON.parse(text);
    } catch {
      answer = {};
    }
    if (!response.ok) throw new EmulatorError(method, path, response.status, answer?.errors ?? []);
    return answer;
  }

  /** Returns to the start: to the fixtures, without sessions, messages and faults. */
  async reset({ events = false } = {}) {
    await this.call('POST', '/_emulator/reset', events ? { events } : {});
  }

  /** Returns a session token, of a new session if none is named. */
  async token(options) {
    return (await this.call('POST', '/_emulator/tokens', parameters(options))).jwt;
  }

  /** Returns a storage state of Playwright in which a user is signed in. */
  browserState(options) {
    return this.call('POST', '/_emulator/browser_state', parameters(options));
  }

  /** Returns e-mails and text messages that Clerk would have sent, newest first. */
  inbox(options = {}) {
    const query = options.to === undefined ? '' : `?to=${encodeURIComponent(options.to)}`;
    return this.call('GET', `/_emulator/inbox${query}`);
  }

  /** Moves the clock, such as by '28h'. */
  async advance(duration) {
    await this.call('POST', '/_emulator/clock', { advance: duration });
  }

  /** Replaces all faults. An empty object ends them. */
  async faults(faults) {
    await this.call('PUT', '/_emulator/faults', faults);
  }

  /** Ends the emulator. A second call waits for the same end. */
  async stop() {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeout);
    this.#child.ref();
    this.#child.kill();
    await this.#ended;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.stop();
  }
}
