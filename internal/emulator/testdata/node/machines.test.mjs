import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClerkClient } from '@clerk/backend';
import { advance, clerk, control, keys, options, refused, someone } from './emulator.mjs';

// authenticate judges a request as a back end does that accepts tokens of machines.
function authenticate(token, acceptsToken, more = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  return clerk.authenticateRequest(new Request('https://api.example.com/deals', { headers }), { acceptsToken, ...more });
}

async function signedIn(token, acceptsToken, more) {
  const state = await authenticate(token, acceptsToken, more);
  assert.equal(state.isAuthenticated, true, `${state.reason} ${state.message}`);
  return state.toAuth();
}

async function signedOut(token, acceptsToken, reason, more) {
  const state = await authenticate(token, acceptsToken, more);
  assert.deepEqual([state.isAuthenticated, state.reason], [false, reason], state.message);
}

const application = clerk.oauthApplications.create({ name: 'A client', redirectUris: ['http://localhost:9999/callback'], scopes: 'profile email' });

// access is an OAuth access token of a user.
async function access(userId, more = {}) {
  const { clientId } = await application;
  return (await control('POST', '/oauth/tokens', { client_id: clientId, user_id: userId, ...more })).access_token;
}

test('API keys authenticate requests', async () => {
  const user = await someone();
  const key = await clerk.apiKeys.create({ name: 'Reports', subject: user.id, scopes: ['reports:read'], claims: { tier: 'gold' }, createdBy: user.id });
  assert.match(key.id, /^ak_[0-9a-f]{32}$/);
  const auth = await signedIn(key.secret, 'api_key');
  assert.deepEqual(
    [auth.tokenType, auth.id, auth.subject, auth.userId, auth.scopes, auth.name, auth.claims],
    ['api_key', key.id, user.id, user.id, ['reports:read'], 'Reports', { tier: 'gold' }],
  );
  await signedIn(key.secret, 'any');
  await signedIn(key.secret, ['session_token', 'api_key']);
  await signedOut(key.secret, 'oauth_token', 'token-type-mismatch');
  await signedOut(key.secret, 'session_token', 'token-invalid');
  await signedOut('ak_unknown', 'api_key', 'token-invalid');
  await clerk.apiKeys.revoke({ apiKeyId: key.id, revocationReason: 'lost' });
  await signedOut(key.secret, 'api_key', 'token-invalid');
});

test('API keys of an organization, which expire', async () => {
  const user = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'Keys', createdBy: user.id });
  const key = await clerk.apiKeys.create({ name: 'Nightly', subject: organization.id, secondsUntilExpiration: 3600 });
  assert.equal((await signedIn(key.secret, 'api_key')).orgId, organization.id);
  await advance('2h');
  await signedOut(key.secret, 'api_key', 'token-invalid');
});

test('API keys are managed', async () => {
  const user = await someone();
  const key = await clerk.apiKeys.create({ name: 'First key', subject: user.id });
  await refused(clerk.apiKeys.create({ name: 'First key', subject: user.id }), 409, 'duplicate_record');
  await refused(clerk.apiKeys.create({ name: 'x', subject: user.id }), 400, 'bad_request');
  assert.equal((await clerk.apiKeys.getSecret(key.id)).secret, key.secret);
  assert.deepEqual((await clerk.apiKeys.update({ apiKeyId: key.id, scopes: ['a'], description: 'mine' })).scopes, ['a']);
  const { data, totalCount } = await clerk.apiKeys.list({ subject: user.id });
  assert.deepEqual([data[0].id, data[0].description, data[0].secret, totalCount], [key.id, 'mine', undefined, 1]);
  await clerk.apiKeys.delete(key.id);
  await refused(clerk.apiKeys.get(key.id), 404, 'resource_not_found');
});

test('machines and their scopes', async () => {
  const to = await clerk.machines.create({ name: 'to' });
  const from = await clerk.machines.create({ name: 'from', scopedMachines: [to.id], defaultTokenTtl: 600 });
  assert.deepEqual([from.scopedMachines.map((m) => m.id), from.defaultTokenTtl], [[to.id], 600]);
  assert.equal((await clerk.machines.getSecretKey(from.id)).secret, from.secretKey);
  await clerk.machines.deleteScope(from.id, to.id);
  assert.equal((await clerk.machines.createScope(from.id, to.id)).toMachineId, to.id);
  const rotated = await clerk.machines.rotateSecretKey({ machineId: from.id, previousTokenTtl: 60 });
  assert.notEqual(rotated.secret, from.secretKey);
  assert.equal((await clerk.machines.update({ machineId: from.id, name: 'sender' })).name, 'sender');
  assert.equal((await clerk.machines.list({ query: 'sender' })).totalCount, 1);
  assert.equal((await clerk.machines.delete(to.id)).deleted, true);
});

test('opaque M2M tokens authenticate requests of the machines that may receive them', async () => {
  const to = await clerk.machines.create({ name: 'receiver' });
  const other = await clerk.machines.create({ name: 'stranger' });
  const from = await clerk.machines.create({ name: 'sender', scopedMachines: [to.id] });
  const made = await clerk.m2m.createToken({ machineSecretKey: from.secretKey, claims: { job: 'sync' } });
  const auth = await signedIn(made.token, 'm2m_token');
  assert.deepEqual([auth.tokenType, auth.machineId, auth.scopes, auth.claims], ['m2m_token', from.id, [to.id], { job: 'sync' }]);
  const as = (machine) => ({ secretKey: undefined, machineSecretKey: machine.secretKey });
  await signedIn(made.token, 'm2m_token', as(to));
  await signedOut(made.token, 'm2m_token', 'token-invalid', as(other));
  const again = await clerk.m2m.createToken({ machineSecretKey: from.secretKey, claims: { job: 'sync' }, minRemainingTtlSeconds: 60 });
  assert.equal(again.token, made.token);
  assert.equal((await clerk.m2m.list({ subject: from.id })).data[0].id, made.id);
  await clerk.m2m.revokeToken({ m2mTokenId: made.id });
  await signedOut(made.token, 'm2m_token', 'token-invalid');
  await assert.rejects(clerk.m2m.createToken({ machineSecretKey: 'ak_wrong' }), { status: 401 });
});

test('M2M tokens as JWT authenticate requests without a call', async () => {
  const from = await clerk.machines.create({ name: 'signer' });
  const { token } = await clerk.m2m.createToken({ machineSecretKey: from.secretKey, tokenFormat: 'jwt', claims: { job: 'sync' } });
  const offline = createClerkClient({ ...options, apiUrl: 'http://127.0.0.1:1', jwtKey: keys.pem, telemetry: { disabled: true } });
  const request = new Request('https://api.example.com/', { headers: { Authorization: `Bearer ${token}` } });
  const state = await offline.authenticateRequest(request, { acceptsToken: 'm2m_token' });
  assert.deepEqual([state.toAuth().machineId, state.toAuth().claims], [from.id, { job: 'sync' }], state.message);
  await signedIn(token, 'm2m_token'); // by the JWKS
  await signedOut(token, 'session_token', 'token-type-mismatch');
  const old = await control('POST', '/m2m_tokens', { machine_id: from.id, token_format: 'jwt', expires_in_seconds: -60 });
  await signedOut(old.token, 'm2m_token', 'token-verification-failed');
});

test('OAuth access tokens authenticate requests in both forms', async () => {
  const user = await someone();
  for (const format of ['opaque', 'jwt']) {
    const token = await access(user.id, { token_format: format, resources: ['https://api.example.com'] });
    assert.match(token, format === 'opaque' ? /^oat_/ : /^ey/);
    const auth = await signedIn(token, 'oauth_token', { audience: 'https://api.example.com' });
    assert.deepEqual([auth.tokenType, auth.userId, auth.clientId, auth.scopes], ['oauth_token', user.id, (await application).clientId, ['profile', 'email']]);
    await signedOut(token, 'oauth_token', 'token-verification-failed', { audience: 'https://other.example.com' });
    await signedOut(await access(user.id, { token_format: format }), 'oauth_token', 'token-verification-failed', { audience: 'https://api.example.com' });
    const old = await access(user.id, { token_format: format, expires_in_seconds: -60 });
    await signedOut(old, 'oauth_token', format === 'opaque' ? 'token-invalid' : 'token-verification-failed');
  }
  const token = await access(user.id, { token_format: 'opaque' });
  await clerk.oauthApplications.revokeToken({ oauthApplicationId: (await application).id, token });
  await signedOut(token, 'oauth_token', 'token-invalid');
});

test('an outage and a rate limit are no verdict about a token', async () => {
  const user = await someone();
  const key = await clerk.apiKeys.create({ name: 'In an outage', subject: user.id });
  for (const fault of ['server_error', 'too_many_requests']) {
    await control('PUT', '/faults', { api: { [fault]: 1 } });
    const state = await authenticate(key.secret, 'api_key');
    await control('DELETE', '/faults');
    assert.deepEqual([state.isAuthenticated, state.reason], [false, 'unexpected-error']);
  }
  await signedIn(key.secret, 'api_key');
});
