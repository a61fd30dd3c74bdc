import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyToken } from '@clerk/backend';
import { clerk, control, keys, options, someone, token } from './emulator.mjs';

const pem = { jwtKey: keys.pem };

// authenticate judges a request as a backend does.
function authenticate(jwt, more = {}, headers = { Authorization: `Bearer ${jwt}` }) {
  return clerk.authenticateRequest(new Request('https://api.example.com/me', { headers }), more);
}

// staff is a user who may approve bills in an organization with a plan.
const staff = (async () => {
  const permissions = [];
  for (const key of ['org:bills:approve', 'org:bills:read', 'org:reports:read']) {
    permissions.push(await clerk.organizationPermissions.createOrganizationPermission({ name: key, key }));
  }
  await clerk.organizationRoles.createOrganizationRole({
    name: 'Accountant', key: 'org:accountant', permissions: [permissions[0].id, permissions[2].id, ...await systemPermission()],
  });
  const [owner, user] = [await someone(), await someone()];
  const organization = await clerk.organizations.createOrganization({ name: 'Ledger', slug: 'ledger', createdBy: owner.id });
  await clerk.organizations.createOrganizationMembership({ organizationId: organization.id, userId: user.id, role: 'org:accountant' });
  await control('POST', '/subscriptions', { payer: organization.id, plan: 'pro', features: ['sso', 'bills'] });
  await control('POST', '/subscriptions', { payer: user.id, plan: 'supporter', features: ['badge'] });
  return { user, organization };
})();

async function systemPermission() {
  const { data } = await clerk.organizationPermissions.getOrganizationPermissionList({ query: 'sys_memberships:read' });
  return data.map((permission) => permission.id);
}

test('verifyToken by the PEM, without network', async () => {
  const user = await someone();
  const claims = await verifyToken(await token(user.id), { jwtKey: keys.pem, apiUrl: 'http://127.0.0.1:1' });
  assert.equal(claims.sub, user.id);
  assert.match(claims.sid, /^sess_/);
});

test('verifyToken by the secret key, with the keys of the emulator', async () => {
  const user = await someone();
  const claims = await verifyToken(await token(user.id), options);
  assert.deepEqual([claims.sub, claims.iss, claims.sts, claims.fva], [user.id, keys.issuer, 'active', [0, -1]]);
});

test('verifyToken refuses an altered token', async () => {
  const user = await someone();
  const [header, payload, signature] = (await token(user.id)).split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  claims.sub = 'user_other';
  const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
  await assert.rejects(verifyToken(forged, pem), { reason: 'token-invalid-signature' });
});

test('verifyToken refuses another instance, by PEM and by key id', async () => {
  const user = await someone();
  const jwt = await token(user.id);
  const { publicKey } = await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['sign', 'verify'],
  );
  const der = Buffer.from(await crypto.subtle.exportKey('spki', publicKey)).toString('base64');
  const other = `-----BEGIN PUBLIC KEY-----\n${der.match(/.{1,64}/g).join('\n')}\n-----END PUBLIC KEY-----\n`;
  // The PEM cache of the SDK goes by key id, so the token gets another one.
  const [header, payload, signature] = jwt.split('.');
  const renamed = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(header, 'base64url')), kid: 'ins_other' })).toString('base64url');
  const foreign = [renamed, payload, signature].join('.');
  await assert.rejects(verifyToken(foreign, { jwtKey: other }), { reason: 'token-invalid-signature' });
  await assert.rejects(verifyToken(foreign, options), { reason: 'jwk-kid-mismatch' });
});

test('verifyToken refuses an expired token', async () => {
  const user = await someone();
  const jwt = await token(user.id, { expires_in_seconds: -30 });
  await assert.rejects(verifyToken(jwt, pem), { reason: 'token-expired' });
  const claims = await verifyToken(jwt, { ...pem, clockSkewInMs: 60_000 });
  assert.equal(claims.sub, user.id);
});

test('verifyToken refuses another authorized party', async () => {
  const user = await someone();
  const jwt = await token(user.id, { azp: 'https://app.example.com' });
  const claims = await verifyToken(jwt, { ...pem, authorizedParties: ['https://app.example.com'] });
  assert.equal(claims.azp, 'https://app.example.com');
  await assert.rejects(verifyToken(jwt, { ...pem, authorizedParties: ['https://evil.example.com'] }), { reason: 'token-invalid-authorized-parties' });
});

test('authenticateRequest signs in by the Authorization header', async () => {
  const user = await someone();
  for (const how of [{}, pem]) {
    const state = await authenticate(await token(user.id), how);
    assert.deepEqual([state.status, state.isSignedIn, state.isAuthenticated, state.tokenType], ['signed-in', true, true, 'session_token']);
    const auth = state.toAuth();
    assert.equal(auth.userId, user.id);
    assert.match(auth.sessionId, /^sess_/);
    assert.equal(auth.isAuthenticated, true);
    assert.equal(auth.sessionStatus, 'active');
    assert.equal(auth.actor, undefined);
    assert.equal(auth.orgId, undefined);
    assert.deepEqual(auth.factorVerificationAge, [0, -1]);
    assert.equal(auth.has({ role: 'org:admin' }), false);
    assert.equal(auth.has({ reverification: 'strict' }), true);
  }
});

test('authenticateRequest signs out what is absent, expired or altered', async () => {
  const user = await someone();
  const jwt = await token(user.id);
  const none = await authenticate('', {}, { Accept: 'application/json' });
  assert.deepEqual([none.isSignedIn, none.reason, none.toAuth().userId], [false, 'dev-browser-missing', null]);
  const expired = await authenticate(await token(user.id, { expires_in_seconds: -30 }));
  assert.equal(expired.isSignedIn, false);
  assert.match(expired.reason, /^session-token-expired/);
  const altered = await authenticate(jwt.slice(0, -5) + (jwt.endsWith('AAAAA') ? 'BBBBB' : 'AAAAA'));
  assert.deepEqual([altered.isSignedIn, altered.reason], [false, 'token-invalid-signature']);
  const elsewhere = await authenticate(await token(user.id, { azp: 'https://evil.example.com' }), { authorizedParties: ['https://app.example.com'] });
  assert.deepEqual([elsewhere.isSignedIn, elsewhere.reason], [false, 'token-invalid-authorized-parties']);
});

test('a token by a template is no session', async () => {
  const user = await someone();
  await clerk.jwtTemplates.create({ name: 'plain', claims: {} });
  const state = await authenticate(await token(user.id, { template: 'plain' }));
  assert.equal(state.isSignedIn, false);
});

test('a pending session is signed out unless told otherwise', async () => {
  const user = await someone();
  const jwt = await token(user.id, { pending: true });
  const state = await authenticate(jwt);
  assert.deepEqual([state.toAuth().userId, state.toAuth().isAuthenticated], [null, false]);
  const auth = (await authenticate(jwt)).toAuth({ treatPendingAsSignedOut: false });
  assert.deepEqual([auth.userId, auth.sessionStatus], [user.id, 'pending']);
});

test('an organization token of version 2 says role, permissions, plan and features', async () => {
  const { user, organization } = await staff;
  const auth = (await authenticate(await token(user.id, { organization_id: organization.id }))).toAuth();
  assert.deepEqual([auth.orgId, auth.orgSlug, auth.orgRole], [organization.id, 'ledger', 'org:accountant']);
  assert.deepEqual(auth.orgPermissions.toSorted(), ['org:bills:approve', 'org:reports:read']); // no system permission
  for (const [asked, want] of [
    [{ role: 'org:accountant' }, true],
    [{ role: 'org:admin' }, false],
    [{ permission: 'org:bills:approve' }, true],
    [{ permission: 'org:reports:read' }, true],
    [{ permission: 'org:bills:read' }, false],
    [{ permission: 'org:reports:approve' }, false],
    [{ permission: 'org:sys_memberships:read' }, false],
    [{ feature: 'org:sso' }, true],
    [{ feature: 'bills' }, true],
    [{ feature: 'user:badge' }, true],
    [{ feature: 'org:badge' }, false],
    [{ feature: 'teleport' }, false],
    [{ plan: 'org:pro' }, true],
    [{ plan: 'user:supporter' }, true],
    [{ plan: 'user:pro' }, false],
    [{ plan: 'enterprise' }, false],
  ]) {
    assert.equal(auth.has(asked), want, JSON.stringify(asked));
  }
});

test('an organization token of version 1 says role and permissions', async () => {
  const { user, organization } = await staff;
  const jwt = await token(user.id, { organization_id: organization.id, version: 1 });
  const claims = await verifyToken(jwt, pem);
  assert.deepEqual([claims.v, claims.o, claims.org_id], [undefined, undefined, organization.id]);
  const auth = (await authenticate(jwt)).toAuth();
  assert.deepEqual([auth.orgId, auth.orgSlug, auth.orgRole], [organization.id, 'ledger', 'org:accountant']);
  assert.deepEqual(auth.orgPermissions.toSorted(), ['org:bills:approve', 'org:reports:read']);
  assert.equal(auth.has({ permission: 'org:bills:approve' }), true);
  assert.equal(auth.has({ permission: 'org:bills:read' }), false);
});

test('a member without an active organization has no role', async () => {
  const { user } = await staff;
  const auth = (await authenticate(await token(user.id))).toAuth();
  assert.equal(auth.orgId, undefined);
  assert.equal(auth.has({ role: 'org:accountant' }), false);
  assert.equal(auth.has({ plan: 'user:supporter' }), true);
  assert.equal(auth.has({ plan: 'org:pro' }), false);
});

test('impersonation shows its actor', async () => {
  const [user, support] = [await someone(), await someone()];
  const auth = (await authenticate(await token(user.id, { actor: { sub: support.id } }))).toAuth();
  assert.deepEqual([auth.userId, auth.actor], [user.id, { sub: support.id }]);
  assert.deepEqual((await clerk.sessions.getSession(auth.sessionId)).actor, { sub: support.id });
});

test('getToken of the auth object asks the emulator', async () => {
  const user = await someone();
  await clerk.jwtTemplates.create({ name: 'mine', claims: { mine: true } });
  const auth = (await authenticate(await token(user.id))).toAuth();
  const claims = await verifyToken(await auth.getToken({ template: 'mine' }), pem);
  assert.deepEqual([claims.sub, claims.mine], [user.id, true]);
});

test('after a rotation of keys new tokens verify by fetching, and old ones still do', async () => {
  const user = await someone();
  const before = await token(user.id);
  await verifyToken(before, options); // the old keys are in the SDK's cache
  const rotated = await control('POST', '/keys/rotate');
  const after = await token(user.id);
  assert.equal((await verifyToken(after, options)).sub, user.id);
  assert.equal((await verifyToken(before, options)).sub, user.id);
  assert.equal((await verifyToken(after, { jwtKey: rotated.pem })).sub, user.id);
  assert.equal((await authenticate(after)).toAuth().userId, user.id);
  assert.deepEqual((await clerk.jwks.getJwks()).keys.map((key) => key.kid), [keys.instance_id, rotated.kid]);
});
