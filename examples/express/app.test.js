import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { SignJWT, UnsecuredJWT } from 'jose';
import { changes } from './changes.js';
import { covers } from './identity.js';
import { call, end, eventually, secret, startStack } from './stack.js';

let stack;
before(async () => {
  assert(process.env.TEST_DATABASE_URL, 'TEST_DATABASE_URL is the postgres:// URL of an empty database');
  stack = await startStack(process.env.TEST_DATABASE_URL);
});
after(end);
beforeEach(async () => {
  await stack.clerk.reset({ events: true }); // to the people of clerk.yaml
  await eventually(async () => (await call(stack.operator, 'GET', '/api/users?active=true')).data.length === 3);
});

const deal = { title: 'Rockets', value_usd: 12000 };

async function bearer(userId, organizationId, options) {
  return { Authorization: `Bearer ${await stack.clerk.token({ userId, organizationId, azp: `http://${stack.site}`, ...options })}` };
}

async function request(url, headers = {}, body) {
  const response = await fetch(url, {
    method: body ? 'POST' : 'GET',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
}
const site = (path, headers, body) => request(`http://${stack.site}${path}`, headers, body);
const around = (path, headers) => request(stack.application + path, headers); // the proxy

// The headers that clerksync gives the proxy for a request.
async function identity(path, token) {
  const asked = { 'X-Forwarded-Method': 'GET', 'X-Forwarded-Uri': path, 'X-Forwarded-Host': stack.site, ...token };
  const { status, headers } = await request(`${stack.sync}/api/auth/verify`, asked);
  assert.equal(status, 200);
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-clerk-')));
}

test('signed out', async () => {
  for (const path of ['/api/me', '/api/deals', '/api/export', '/api/admin/users', '/api/auth/me']) {
    assert.equal((await site(path)).status, 401, path);
  }
  assert.equal((await site('/elsewhere', await bearer('user_ada'))).status, 403); // no route of the policy
});

test('who is signed in', async () => {
  const ada = await bearer('user_ada', 'org_acme');
  const mine = (await site('/api/me', ada)).body;
  const theirs = (await site('/api/auth/me', ada)).body; // from clerksync itself
  assert.deepEqual(mine, { id: theirs.id, email: 'ada@example.com', role: 'growth', organization_id: 'org_acme' });
});

test('deals belong to the active organization', async () => {
  const acme = await bearer('user_ada', 'org_acme');
  const created = await site('/api/deals', acme, deal);
  assert.equal(created.status, 201);
  const want = { id: created.body.id, ...deal, owner: 'ada@example.com' };
  assert.deepEqual((await site('/api/deals', acme)).body, [want]);
  assert.deepEqual((await site('/api/deals', await bearer('user_bob', 'org_acme'))).body, [want]);
  assert.deepEqual((await site('/api/deals', await bearer('user_ada', 'org_globex'))).body, []);
  assert.equal((await site('/api/deals', await bearer('user_eve'))).status, 403);
  for (const body of [{}, { ...deal, title: '' }, { ...deal, title: 'a\0b' }, { ...deal, value_usd: 0.5 }, { ...deal, value_usd: '1' }]) {
    assert.equal((await site('/api/deals', acme, body)).status, 422, JSON.stringify(body));
  }
});

test('roles', async () => {
  const bob = await bearer('user_bob', 'org_acme');
  assert.equal((await site('/api/deals', bob, deal)).status, 403);
  await stack.clerk.call('PATCH', '/v1/users/user_bob/metadata', { public_metadata: { role: 'growth' } });
  await eventually(async () => (await site('/api/deals', bob, deal)).status === 201); // with the same token
});

test('features', async () => {
  const locked = await site('/api/export', await bearer('user_ada', 'org_acme'));
  assert.equal(locked.status, 403);
  assert.equal(locked.headers.get('X-Feature-Locked'), 'exports');
  await stack.clerk.call('POST', '/_emulator/subscriptions', { payer: 'org_acme', plan: 'pro', features: ['exports'] });
  assert.equal((await site('/api/export', await bearer('user_ada', 'org_acme'))).status, 200);
});

test('admins', async () => {
  const [eve, ada] = [await bearer('user_eve'), await bearer('user_ada')];
  const users = (await site('/api/admin/users', eve)).body;
  assert.deepEqual(users.map((user) => user.clerk_user_id), ['user_ada', 'user_bob', 'user_eve']);
  assert.equal((await site('/api/admin/users', ada)).status, 403);
  assert.equal((await site('/api/admin/users', await bearer('user_eve', undefined, { actor: { sub: 'user_bob' } }))).status, 403);
  const revoked = await site('/api/admin/users/user_ada/revoke-sessions', eve, {});
  assert.equal(revoked.status, 200);
  assert.equal((await site('/api/me', ada)).status, 401); // at once
});

for (const path of ['/v1/users/user_bob/ban', '/_emulator/users/user_bob/sign_out']) {
  test(`refused with the same token: ${path}`, async () => {
    const bob = await bearer('user_bob');
    assert.equal((await site('/api/me', bob)).status, 200);
    await stack.clerk.call('POST', path, {});
    await eventually(async () => (await site('/api/me', bob)).status === 401);
  });
}

test('headers of clients are dropped', async () => {
  const stolen = await identity('/api/me', await bearer('user_ada'));
  const bob = await bearer('user_bob');
  for (const name of ['X-Clerk-User-Id', 'X_Clerk_User_Id', 'x.clerk.user.id']) {
    assert.equal((await site('/api/me', { [name]: 'user_eve' })).status, 401);
    assert.equal((await site('/api/me', { ...bob, ...stolen, [name]: 'user_eve' })).body.email, 'bob@example.com');
  }
});

test('requests around the proxy', async () => {
  const ada = await identity('/api/me', await bearer('user_ada'));
  assert.equal((await around('/api/me', ada)).status, 200); // what the proxy would send
  assert.equal((await around('/api/me')).status, 401);
  assert.equal((await around('/api/me', { 'x-clerk-user-id': 'user_ada' })).status, 401);
  assert.equal((await around('/api/me', { ...ada, 'x-clerk-user-id': 'user_eve' })).status, 401);
  assert.equal((await around('/api/deals', ada)).status, 401); // another route
  assert.equal((await around('/api/export', ada)).status, 401);
  assert.equal((await around('/api/m%', ada)).status, 401);
  assert.equal((await around('/hooks/clerksync')).status, 401);
  const malformed = await fetch(`${stack.application}/api/me`, { method: 'POST', headers: { ...ada, 'Content-Type': 'application/json' }, body: '{' });
  assert.equal(malformed.status, 400);
  assert.deepEqual(await malformed.json(), { error: 'Bad Request' }); // and no stack
});

test('forged identities', async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = { iss: 'clerksync', aud: `clerksync-upstream://${stack.site}/api/*`, sub: 'user_eve', role: 'admin', iat: now, exp: now + 60 };
  const status = async (changed = {}, { key = secret, alg = 'HS256', typ = 'clerksync-identity+jwt' } = {}) => {
    const claims = { ...good, ...changed };
    const token =
      alg === 'none'
        ? new UnsecuredJWT(claims).encode()
        : await new SignJWT(claims).setProtectedHeader({ alg, typ }).sign(new TextEncoder().encode(key));
    return (await around('/api/me', { 'x-clerk-user-id': 'user_eve', 'x-clerk-identity': token })).status;
  };
  assert.equal(await status(), 200);
  for (const options of [{ key: 'another secret of thirty-two bytes' }, { alg: 'none' }, { alg: 'HS512' }, { typ: 'JWT' }]) {
    assert.equal(await status({}, options), 401, JSON.stringify(options));
  }
  const audiences = ['//other.example.com/**', `//${stack.site}`, `//${stack.site}/api`, `//${stack.site}.evil/**`, `//${stack.site}/api/me/*`];
  const changes = audiences.map((place) => ({ aud: `clerksync-upstream:${place}` }));
  changes.push({ aud: [good.aud] }, { aud: undefined }, { iss: 'someone' }, { exp: now - 6 }, { exp: undefined }, { sub: '' });
  for (const changed of changes) assert.equal(await status(changed), 401, JSON.stringify(changed));
});

test('routes', () => {
  const cases = [
    ['/**', ['/', '/a/b'], []],
    ['/a/**', ['/a', '/a/', '/a/b/c'], ['/ab', '/']],
    ['/a/*', ['/a/b', '/a/b/', '/a/\n'], ['/a', '/a/', '/a/b/c']],
    ['/a/*/c', ['/a/b/c'], ['/a/b/d', '/a/c']],
    ['/a.b', ['/a.b'], ['/axb']],
    ['/a', ['/a', '/a/'], ['/A', '/a\n', '/a/b']],
  ];
  for (const [route, covered, others] of cases) {
    for (const path of covered) assert(covers(route, path), `${route} ${path}`);
    for (const path of others) assert(!covers(route, path), `${route} ${path}`);
  }
});

test('the change feed', async () => {
  const { next_cursor: now } = await call(stack.operator, 'GET', '/api/changes');
  await stack.clerk.call('PATCH', '/v1/users/user_bob', { first_name: `Bob ${Date.now()}` });
  for await (const change of changes(stack.operator.url, stack.operator.token, now)) {
    assert(change.cursor);
    if (change.type === 'user.updated' && change.id === 'user_bob') break;
  }
});

test('a webhook of clerksync when a user is erased', async () => {
  const { id } = await stack.clerk.users.create({ emailAddress: 'dan@example.com', publicMetadata: { role: 'growth' } });
  await stack.clerk.call('POST', '/v1/organizations/org_globex/memberships', { user_id: id, role: 'org:member' });
  const dan = await bearer(id, 'org_globex');
  await eventually(async () => (await site('/api/deals', dan, deal)).status === 201);
  await call(stack.operator, 'DELETE', `/api/users/${id}?confirm=${id}`);
  const ada = await bearer('user_ada', 'org_globex');
  await eventually(async () => (await site('/api/deals', ada)).body[0].title === 'erased');
  assert.equal((await site('/api/deals', ada)).body[0].owner, null);
  assert.equal((await request(`${stack.application}/hooks/clerksync`, {}, { type: 'user.erased' })).status, 400); // not signed
});
