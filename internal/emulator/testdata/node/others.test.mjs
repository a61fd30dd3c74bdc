import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClerkClient } from '@clerk/backend';
import { advance, clerk, control, keys, options, refused, someone, soon } from './emulator.mjs';

test('invitations to the instance', async () => {
  const made = await clerk.invitations.createInvitation({ emailAddress: 'new@example.com', publicMetadata: { beta: true }, expiresInDays: 3 });
  assert.match(made.id, /^inv_\w{27}$/);
  assert.deepEqual([made.emailAddress, made.status, made.revoked, made.publicMetadata], ['new@example.com', 'pending', false, { beta: true }]);
  assert.match(made.url, /^https:/);
  assert.ok(soon(made.createdAt));
  assert.equal(made.raw.expires_at - made.createdAt, 3 * 24 * 3600 * 1000);
  const bulk = await clerk.invitations.createInvitationBulk([{ emailAddress: 'x1@example.com' }, { emailAddress: 'x2@example.com' }]);
  assert.deepEqual(bulk.map((invitation) => invitation.emailAddress), ['x1@example.com', 'x2@example.com']);
  const user = await someone();
  await refused(clerk.invitations.createInvitation({ emailAddress: user.primaryEmailAddress.emailAddress }), 422, 'form_identifier_exists');

  const revoked = await clerk.invitations.revokeInvitation(made.id);
  assert.deepEqual([revoked.status, revoked.revoked], ['revoked', true]);
  const list = async (filter) => {
    const page = await clerk.invitations.getInvitationList(filter);
    return [page.data.map((invitation) => invitation.emailAddress), page.totalCount];
  };
  assert.deepEqual(await list({ status: 'revoked' }), [['new@example.com'], 1]);
  assert.deepEqual(await list({ status: 'pending', orderBy: '+email_address' }), [['x1@example.com', 'x2@example.com'], 2]);
  assert.deepEqual(await list({ orderBy: '-email_address', limit: 1 }), [['x2@example.com'], 2]);
  await refused(clerk.invitations.revokeInvitation('inv_none'), 404, 'resource_not_found');
  await advance('721h');
  assert.deepEqual(await list({ status: 'expired', orderBy: '+email_address' }), [['x1@example.com', 'x2@example.com'], 2]);
});

test('JWT templates', async () => {
  const made = await clerk.jwtTemplates.create({ name: 'hasura', claims: { a: { b: '{{user.id}}' } }, lifetime: 120 });
  assert.match(made.id, /^jtmp_\w{27}$/);
  assert.deepEqual([made.name, made.lifetime, made.allowedClockSkew, made.customSigningKey, made.signingAlgorithm], ['hasura', 120, 5, false, 'RS256']);
  assert.deepEqual(made.claims, { a: { b: '{{user.id}}' } });
  await refused(clerk.jwtTemplates.create({ name: 'hasura', claims: {} }), 422, 'form_identifier_exists');
  const changed = await clerk.jwtTemplates.update({ templateId: made.id, name: 'hasura', claims: { c: 1 }, lifetime: 60 });
  assert.deepEqual([changed.claims, changed.lifetime], [{ c: 1 }, 60]);
  assert.deepEqual(await clerk.jwtTemplates.get(made.id), changed);
  const list = await clerk.jwtTemplates.list();
  assert.deepEqual([list.data.map((template) => template.name), list.totalCount], [['hasura'], 1]);
  assert.equal((await clerk.jwtTemplates.delete(made.id)).deleted, true);
  await refused(clerk.jwtTemplates.get(made.id), 404, 'resource_not_found');
});

test('the keys of the API and of the frontend are the same', async () => {
  const { keys: published } = await clerk.jwks.getJwks();
  assert.equal(published.length, 1);
  const { kid, kty, alg, use, n, e } = published[0];
  assert.deepEqual([kid, kty, alg, use, e], [keys.instance_id, 'RSA', 'RS256', 'sig', 'AQAB']);
  assert.ok(n.length > 300);
  assert.deepEqual(await (await fetch(keys.jwks_url)).json(), { keys: published });
});

test('testing tokens', async () => {
  const made = await clerk.testingTokens.createTestingToken();
  assert.match(made.token, /^\d{10}-c_\w+$/);
  const expires = made.expiresAt ?? made.expires_at; // the SDK passes these on as they came
  assert.ok(expires > Date.now() / 1000 && expires < Date.now() / 1000 + 7200); // seconds
});

test('actor tokens', async () => {
  const [user, support] = [await someone(), await someone()];
  const made = await clerk.actorTokens.create({ userId: user.id, actor: { sub: support.id }, expiresInSeconds: 600 });
  assert.match(made.id, /^act_\w{27}$/);
  assert.deepEqual([made.status, made.userId, made.actor], ['pending', user.id, { sub: support.id }]);
  assert.ok(made.url.includes(made.token));
  assert.equal((await clerk.actorTokens.revoke(made.id)).status, 'revoked');
  await assert.rejects(clerk.actorTokens.revoke(made.id), { status: 400 });
  await refused(clerk.actorTokens.create({ userId: user.id, actor: {} }), 422, 'form_param_missing');
});

test('subscriptions of users and organizations', async () => {
  const user = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'Payer', createdBy: user.id });
  for (const [payer, kind, read] of [
    [user.id, 'user', () => clerk.billing.getUserBillingSubscription(user.id)],
    [organization.id, 'org', () => clerk.billing.getOrganizationBillingSubscription(organization.id)],
  ]) {
    await refused(read(), 404, 'resource_not_found');
    await control('POST', '/subscriptions', { payer, plan: 'pro', features: ['sso'] });
    const subscription = await read();
    assert.equal(subscription.status, 'active');
    assert.equal(subscription.instanceId, keys.instance_id);
    assert.ok(soon(subscription.createdAt) && soon(subscription.activeAt));
    assert.equal(subscription.subscriptionItems.length, 1);
    const [item] = subscription.subscriptionItems;
    assert.deepEqual([item.status, item.planPeriod, item.payerId, item.planId], ['active', 'month', subscription.payerId, item.plan.id]);
    assert.deepEqual([item.plan.slug, item.plan.forPayerType, item.plan.fee.amount, item.plan.fee.currency], ['pro', kind, 1000, 'USD']);
    assert.deepEqual(item.plan.features.map((feature) => feature.slug), ['sso']);
  }
});

test('a wrong key is refused', async () => {
  const wrong = createClerkClient({ ...options, secretKey: 'sk_test_wrong', telemetry: { disabled: true } });
  await refused(wrong.users.getUserList(), 401, 'clerk_key_invalid');
});

test('faults come to the SDK as 429 with its wait, as a server error, as a broken answer', async (t) => {
  t.after(() => control('DELETE', '/faults'));
  await control('PUT', '/faults', { api: { too_many_requests: 1 } });
  const error = await refused(clerk.users.getCount(), 429, 'too_many_requests');
  assert.equal(error.retryAfter, 1);
  await control('PUT', '/faults', { api: { server_error: 1 } });
  await assert.rejects(clerk.users.getCount(), (e) => e.status >= 500 && e.errors[0].code === 'internal_clerk_error');
  await control('PUT', '/faults', { api: { truncate: 1 } });
  await assert.rejects(clerk.users.getCount(), (e) => e.errors[0].code === 'unexpected_error');
  await control('DELETE', '/faults');
  assert.ok((await clerk.users.getCount()) > 0);
});

test('what is not implemented answers 501 and is counted', async () => {
  await refused(clerk.domains.list(), 501, 'not_implemented');
  const { unimplemented } = await control('GET', '/state');
  assert.deepEqual(unimplemented, { 'GET /v1/domains': 1 });
});
