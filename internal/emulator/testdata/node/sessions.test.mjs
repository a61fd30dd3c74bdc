import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyToken } from '@clerk/backend';
import { advance, clerk, control, keys, options, refused, someone, soon } from './emulator.mjs';

test('createSession answers an active session', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  assert.match(session.id, /^sess_\w{27}$/);
  assert.equal(session.userId, user.id);
  assert.equal(session.status, 'active');
  assert.match(session.clientId, /^client_/);
  assert.equal(session.lastActiveOrganizationId, null);
  assert.equal(session.actor, null);
  assert.equal(session.latestActivity.browserName, 'Chrome');
  assert.ok(soon(session.createdAt) && soon(session.lastActiveAt));
  assert.ok(session.expireAt > session.createdAt && session.abandonAt > session.expireAt);
  assert.ok(soon((await clerk.users.getUser(user.id)).lastSignInAt));
  await refused(clerk.sessions.createSession({ userId: 'user_none' }), 404, 'resource_not_found');
});

test('getSessionList is newest first, and by user, client and status', async () => {
  const user = await someone();
  const first = await clerk.sessions.createSession({ userId: user.id });
  const second = await clerk.sessions.createSession({ userId: user.id });
  await clerk.sessions.revokeSession(first.id);
  const list = async (filter) => {
    const page = await clerk.sessions.getSessionList(filter);
    assert.equal(page.totalCount, page.data.length);
    return page.data.map((session) => session.id);
  };
  assert.deepEqual(await list({ userId: user.id }), [second.id, first.id]);
  assert.deepEqual(await list({ userId: user.id, status: 'active' }), [second.id]);
  assert.deepEqual(await list({ clientId: first.clientId }), [first.id]);
  const page = await clerk.sessions.getSessionList({ userId: user.id, limit: 1, offset: 1 });
  assert.deepEqual([page.data[0].id, page.data.length, page.totalCount], [first.id, 1, 2]);
  await refused(clerk.sessions.getSessionList(), 422, 'form_param_missing');
});

test('getSession', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  assert.deepEqual(await clerk.sessions.getSession(session.id), session);
  await refused(clerk.sessions.getSession('sess_none'), 404, 'resource_not_found');
});

test('getToken answers a session token', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  const { jwt } = await clerk.sessions.getToken(session.id);
  const claims = await verifyToken(jwt, options);
  assert.deepEqual([claims.sub, claims.sid, claims.iss, claims.v], [user.id, session.id, keys.issuer, 2]);
  assert.equal(claims.exp - claims.iat, 60);
  assert.ok(claims.nbf < claims.iat);
});

test('getToken lives as long as it is asked to', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  const claims = await verifyToken((await clerk.sessions.getToken(session.id, undefined, 600)).jwt, options);
  assert.equal(claims.exp - claims.iat, 600);
});

test('getToken by a template', async () => {
  const user = await someone({ publicMetadata: { tier: 3 } });
  const session = await clerk.sessions.createSession({ userId: user.id });
  await clerk.jwtTemplates.create({
    name: 'supabase', lifetime: 300, allowedClockSkew: 0,
    claims: { role: 'authenticated', mail: '{{user.primary_email_address}}', tier: '{{user.public_metadata.tier}}', hello: 'Dear {{user.first_name}}' },
  });
  const claims = await verifyToken((await clerk.sessions.getToken(session.id, 'supabase')).jwt, options);
  assert.equal(claims.sub, user.id);
  assert.equal(claims.sid, undefined);
  assert.equal(claims.exp - claims.iat, 300);
  assert.deepEqual([claims.role, claims.mail, claims.tier, claims.hello], ['authenticated', user.primaryEmailAddress.emailAddress, 3, 'Dear Some']);
  await refused(clerk.sessions.getToken(session.id, 'no-such-template'), 404, 'resource_not_found');
});

test('revokeSession ends a session and its tokens', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  const revoked = await clerk.sessions.revokeSession(session.id);
  assert.deepEqual([revoked.id, revoked.status], [session.id, 'revoked']);
  assert.ok(revoked.updatedAt > session.updatedAt);
  await assert.rejects(clerk.sessions.getToken(session.id), { status: 422 });
});

test('a session of an organization', async () => {
  const user = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'Active', createdBy: user.id });
  const session = await clerk.sessions.createSession({ userId: user.id, activeOrganizationId: organization.id });
  assert.equal(session.lastActiveOrganizationId, organization.id);
  const claims = await verifyToken((await clerk.sessions.getToken(session.id)).jwt, options);
  assert.equal(claims.o.id, organization.id);
  await clerk.organizations.deleteOrganization(organization.id);
  assert.equal((await clerk.sessions.getSession(session.id)).lastActiveOrganizationId, null);
});

test('sessions expire by the clock', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  await advance('169h');
  assert.equal((await clerk.sessions.getSession(session.id)).status, 'expired');
});

// The cookies of a browser state authenticate a request to a back end, as those of a browser do.
test('a browser state is signed in', async () => {
  const user = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'State', createdBy: user.id });
  const url = 'http://localhost:3000';
  const state = await control('POST', '/browser_state', { user_id: user.id, organization_id: organization.id, url });
  assert.deepEqual(state.origins, []);
  for (const cookie of state.cookies) {
    assert.equal(typeof cookie.value, 'string');
    assert.ok(['localhost', '127.0.0.1'].includes(cookie.domain) && cookie.path === '/' && cookie.sameSite === 'Lax' && !cookie.secure, JSON.stringify(cookie));
    assert.ok(cookie.expires > Date.now() / 1000 && cookie.httpOnly === (cookie.name === '__client'), JSON.stringify(cookie));
  }
  const header = state.cookies.filter((c) => c.domain === 'localhost').map((c) => `${c.name}=${c.value}`).join('; ');
  const request = new Request(`${url}/deals`, { headers: { cookie: header, accept: 'text/html', 'sec-fetch-dest': 'document' } });
  const result = await clerk.authenticateRequest(request, { authorizedParties: [url] });
  assert.equal(result.status, 'signed-in', `${result.reason} ${result.message}`);
  const auth = result.toAuth();
  assert.deepEqual([auth.userId, auth.orgId], [user.id, organization.id]);
  for (const [status, code, body] of [
    [404, 'resource_not_found', { user_id: 'user_none', url }],
    [422, 'form_param_missing', { url }],
    [422, 'form_param_value_invalid', { user_id: user.id, url: 'localhost:3000' }],
    [422, 'form_param_value_invalid', { user_id: user.id }],
  ]) {
    const response = await fetch(`${keys.url}/_emulator/browser_state`, { method: 'POST', body: JSON.stringify(body) });
    assert.deepEqual([response.status, (await response.json()).errors[0].code], [status, code]);
  }
});
