import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EmulatorError, findBinary, start } from '../index.js';

const here = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'clerksync-test-'));
const fixtures = {
  users: [
    { id: 'user_ada', email_addresses: ['ada@example.com'], password: 'correct horse battery', role: 'growth' },
    { id: 'user_eve', email_addresses: ['eve@example.com'], banned: true },
  ],
  organizations: [{ id: 'org_acme', name: 'Acme', created_by: 'user_ada', invitations: ['carol@example.com'] }],
};
let clerk;

before(async () => {
  clerk = await start({ fixtures });
});
after(async () => {
  await clerk.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => clerk.reset());

const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));

test('users of the fixtures sign in', async () => {
  const session = await clerk.users.signIn('user_ada', { organizationId: 'org_acme' });
  assert.match(session.id, /^sess_/);
  assert.equal(session.last_active_organization_id, 'org_acme');
  const jwt = await clerk.token({ userId: 'user_ada', organizationId: 'org_acme', azp: 'http://localhost:3000', expiresInSeconds: -60 });
  const { sub, iss, azp, o, exp } = claims(jwt);
  assert.deepEqual([sub, iss, azp, o.id], ['user_ada', clerk.keys.issuer, 'http://localhost:3000', 'org_acme']);
  assert.ok(exp < Date.now() / 1000);
  await assert.rejects(clerk.users.signIn('user_eve'), { name: 'EmulatorError', status: 403, message: /POST .*sign_in: 403 authorization_invalid: / });
  assert.equal((await clerk.users.signOut({ id: 'user_ada' })).length, 2);
});

test('new users are gone after a reset', async () => {
  const user = await clerk.users.create({ emailAddress: 'bob@example.com', firstName: 'Bob', publicMetadata: { someKey: 1 } });
  assert.deepEqual([user.first_name, user.email_addresses[0].email_address, user.public_metadata], ['Bob', 'bob@example.com', { someKey: 1 }]);
  await clerk.users.create({ emailAddress: ['bob2@example.com', 'bob3@example.com'], username: 'bob_2' });
  await assert.rejects(clerk.users.create({ emailAddress: 'bob@example.com' }), (error) => error instanceof EmulatorError && error.errors[0].code === 'form_identifier_exists');
  await clerk.advance('28h');
  await clerk.faults({ drop: 1 });
  await clerk.call('DELETE', '/v1/users/user_ada');
  await clerk.reset();
  assert.deepEqual((await clerk.call('GET', '/v1/users?order_by=%2Bcreated_at')).map((u) => u.id), ['user_ada', 'user_eve']);
  assert.equal((await clerk.call('GET', '/_emulator/faults')).drop, 0);
});

test('the inbox has what was sent to people', async () => {
  const [message] = await clerk.inbox({ to: 'carol@example.com' });
  assert.equal(message.kind, 'email');
  assert.match(message.link, /ticket/);
  assert.deepEqual(await clerk.inbox({ to: 'no+one@example.com' }), []);
});

test('a browser state has the cookies of a signed-in browser', async () => {
  const state = await clerk.browserState({ userId: 'user_ada', organizationId: 'org_acme', url: 'http://localhost:3000' });
  const session = state.cookies.find((c) => c.name === '__session' && c.domain === 'localhost');
  assert.deepEqual([claims(session.value).sub, claims(session.value).o.id], ['user_ada', 'org_acme']);
  assert.ok(state.cookies.some((c) => c.name === '__client' && c.httpOnly) && state.cookies.some((c) => c.name === '__client_uat'));
});

test('env has what frameworks read', () => {
  assert.equal(clerk.env.CLERK_SECRET_KEY, clerk.keys.secretKey);
  assert.equal(clerk.env.VITE_CLERK_PUBLISHABLE_KEY, clerk.keys.publishableKey);
  assert.equal(clerk.env.CLERK_API_URL, clerk.url);
  assert.match(clerk.keys.jwtKey, /^-----BEGIN PUBLIC KEY-----\n/);
  assert.match(clerk.keys.webhookSecret, /^whsec_/);
});

test('webhooks are sent to webhookUrl', async () => {
  const got = [];
  const server = createServer((request, response) => {
    got.push(request.headers['svix-id']);
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = await start({ seed: 7, webhookUrl: `http://127.0.0.1:${server.address().port}/`, secretKey: 'sk_test_mine' });
  try {
    assert.equal(other.keys.secretKey, 'sk_test_mine');
    await other.users.create({ emailAddress: 'ada@example.com' });
    while (got.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.match(got[0], /^msg_/);
  } finally {
    await Promise.all([other.stop(), other.stop()]);
    server.close();
  }
  await assert.rejects(other.call('GET', '/v1/users/count'), TypeError); // nothing listens
});

test('what cannot start says why', async () => {
  await assert.rejects(start({ fixtures: { users: [{ pasword: 'x' }] } }), (error) => {
    assert.match(error.message, /did not start \(exit code 1\)/);
    assert.match(error.message, /fixtures\.json:4: users\[0\]\.pasword is not known; did you mean password\?/);
    return true;
  });
  await assert.rejects(start({ fixture: 'x' }), /there is no option fixture; there are seed, /);
  await assert.rejects(start({ secretKey: 'sk_live_x' }), /production/);
  const port = Number(new URL(clerk.url).port);
  await assert.rejects(start({ port }), /did not start[^]*address already in use/);
  const silent = join(folder, 'silent');
  writeFileSync(silent, '#!/bin/sh\necho oops >&2\nexit 3\n', { mode: 0o755 });
  await assert.rejects(start({ binary: silent }), /silent did not start \(exit code 3\)\noops$/);
  const other = join(folder, 'other'); // another program with the command's name is ended
  writeFileSync(other, `#!/bin/sh\necho $$ >'${other}.pid'\necho hello\nexec sleep 60\n`, { mode: 0o755 });
  await assert.rejects(start({ binary: other }), /other did not start \(its first line is hello\)/);
  const pid = Number(readFileSync(`${other}.pid`, 'utf8'));
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('the command is found in this order', () => {
  const make = (path) => {
    writeFileSync(path, '', { mode: 0o755 });
    return path;
  };
  const [option, variable] = [make(join(folder, 'option')), make(join(folder, 'variable'))];
  mkdirSync(join(folder, 'path'));
  const path = make(join(folder, 'path', 'clerksync'));
  assert.equal(findBinary(option, { CLERKSYNC_BINARY: variable, PATH: folder }), option);
  assert.equal(findBinary(undefined, { CLERKSYNC_BINARY: variable, PATH: folder }), variable);
  assert.equal(findBinary(undefined, { PATH: `${folder}:${join(folder, 'path')}` }), path);
  assert.throws(() => findBinary(undefined, { PATH: folder }), /no clerksync for [^]*npm install --save-dev @clerksync\/emulator-[^]*go install[^]*CLERKSYNC_BINARY/);
  assert.throws(() => findBinary(join(folder, 'none')), /the option binary is .*none, which cannot be run/);
  assert.throws(() => findBinary(undefined, { CLERKSYNC_BINARY: folder }), /CLERKSYNC_BINARY is /);
  chmodSync(path, 0o644);
  assert.throws(() => findBinary(undefined, { PATH: join(folder, 'path') }), /no clerksync/);
});

// The packages of a release, installed as npm would, find the command of their platform and need nothing else.
test('the built packages start the command', async () => {
  const binaries = join(folder, 'binaries');
  const target = `${process.platform === 'win32' ? 'windows' : process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;
  mkdirSync(join(binaries, target), { recursive: true });
  symlinkSync(process.env.CLERKSYNC_BINARY, join(binaries, target, 'clerksync'));
  const out = join(folder, 'app', 'node_modules', '@clerksync');
  const build = (...args) => spawnSync(process.execPath, [join(here, 'build.mjs'), ...args], { encoding: 'utf8' });
  const built = build('1.2.3', binaries, out);
  assert.equal(built.status, 0, built.stderr);
  const manifest = JSON.parse(readFileSync(join(out, 'emulator', 'package.json'), 'utf8'));
  assert.deepEqual(manifest.optionalDependencies, { [`@clerksync/emulator-${process.platform}-${process.arch}`]: '1.2.3' });
  assert.equal(manifest.dependencies, undefined);
  for (const file of ['LICENSE', 'README.md', ...manifest.files]) assert.ok(existsSync(join(out, 'emulator', file)), file);

  const program = "import { start } from '@clerksync/emulator'; const e = await start(); console.log((await e.users.create({ username: 'ada_l' })).id);";
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: join(folder, 'app'),
    encoding: 'utf8',
    env: { PATH: '', CLERKSYNC_BINARY: '' },
    timeout: 60_000,
  });
  assert.match(ran.stdout, /^user_\w+\n$/, ran.stderr); // and it ends although nothing stopped the emulator
  assert.equal(build('1.2', binaries, out).status, 2);
  assert.equal(build('1.2.3', folder, out).status, 1);
});

test('an emulator ends with its process', async () => {
  const program = `import { start } from ${JSON.stringify(join(here, 'index.js'))}; console.log((await start()).url); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise((resolve) => child.stdout.once('data', (line) => resolve(String(line).trim())));
  assert.ok((await fetch(`${url}/.well-known/jwks.json`)).ok);
  child.kill('SIGKILL');
  for (const end = Date.now() + 10_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const alive = await fetch(`${url}/.well-known/jwks.json`).then(() => true, () => false);
    if (!alive) break;
    assert.ok(Date.now() < end, 'the emulator outlives the process that started it');
  }
});

test('the schema is that of the command, and the types know its parts', () => {
  const printed = spawnSync(process.env.CLERKSYNC_BINARY, ['emulate', '--fixtures-schema'], { encoding: 'utf8' });
  const own = readFileSync(join(here, 'fixtures.schema.json'), 'utf8');
  assert.equal(own, printed.stdout);
  const types = readFileSync(join(here, 'index.d.ts'), 'utf8').split('export interface Fixtures {')[1];
  for (const name of Object.keys(JSON.parse(own).properties)) {
    if (name !== '$schema') assert.ok(types.includes(`\n  ${name}?:`), `index.d.ts lacks ${name}`);
  }
});
