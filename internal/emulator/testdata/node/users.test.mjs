import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, clerk, refused, someone, soon, token } from './emulator.mjs';

const ids = (page) => page.data.map((user) => user.id);

test('createUser answers a whole user', async () => {
  const user = await clerk.users.createUser({
    emailAddress: ['Ada@Example.com', 'ada@work.example'],
    phoneNumber: ['+15555550100'],
    username: 'ada_l',
    password: 'a long pass phrase',
    firstName: 'Ada',
    lastName: 'Lovelace',
    externalId: 'crm-1',
    publicMetadata: { plan: { name: 'growth' } },
    privateMetadata: { note: 'vip' },
    unsafeMetadata: { theme: 'dark' },
  });
  assert.match(user.id, /^user_\w{27}$/);
  assert.equal(user.fullName, 'Ada Lovelace');
  assert.equal(user.username, 'ada_l');
  assert.equal(user.externalId, 'crm-1');
  assert.equal(user.emailAddresses.length, 2);
  assert.equal(user.emailAddresses[0].emailAddress, 'ada@example.com');
  assert.equal(user.emailAddresses[0].verification.status, 'verified');
  assert.equal(user.primaryEmailAddress.emailAddress, 'ada@example.com');
  assert.equal(user.primaryPhoneNumber.phoneNumber, '+15555550100');
  assert.equal(user.primaryWeb3Wallet, null);
  assert.deepEqual(user.publicMetadata, { plan: { name: 'growth' } });
  assert.deepEqual(user.privateMetadata, { note: 'vip' });
  assert.deepEqual(user.unsafeMetadata, { theme: 'dark' });
  assert.equal(user.passwordEnabled, true);
  assert.equal(user.twoFactorEnabled, false);
  assert.equal(user.banned, false);
  assert.equal(user.locked, false);
  assert.equal(user.lastSignInAt, null);
  assert.equal(user.legalAcceptedAt, null);
  assert.deepEqual(user.externalAccounts, []);
  assert.match(user.imageUrl, /^(https|data):/);
  assert.ok(soon(user.createdAt) && soon(user.updatedAt));
  assert.equal(user.raw.object, 'user');
});

test('createUser takes the dates and states of an import', async () => {
  const user = await someone({
    createdAt: new Date('2020-02-03T04:05:06.789Z'),
    legalAcceptedAt: new Date('2021-02-03T04:05:06.789Z'),
    locale: 'de-DE',
    banned: true,
  });
  assert.equal(user.createdAt, Date.parse('2020-02-03T04:05:06.789Z'));
  assert.equal(user.legalAcceptedAt, Date.parse('2021-02-03T04:05:06.789Z'));
  assert.equal(user.locale, 'de-DE');
  assert.equal(user.banned, true);
});

test('createUser refuses what is missing, malformed, unknown or taken', async () => {
  await refused(clerk.users.createUser({ firstName: 'Nobody' }), 422, 'form_param_missing');
  await refused(clerk.users.createUser({ emailAddress: ['nonsense'] }), 422, 'form_param_format_invalid');
  await refused(someone({ favouriteColour: 'blue' }), 422, 'form_param_unknown');
  await someone({ emailAddress: ['taken@example.com'] });
  const error = await refused(someone({ emailAddress: ['taken@example.com'] }), 422, 'form_identifier_exists');
  assert.equal(error.errors[0].meta.paramName, 'email_address');
});

test('getUser answers what createUser made, and 404 as the SDK reads it', async () => {
  const user = await someone();
  assert.deepEqual((await clerk.users.getUser(user.id)).raw, user.raw);
  const error = await refused(clerk.users.getUser('user_none'), 404, 'resource_not_found');
  assert.equal(error.errors[0].longMessage, 'No user was found with id user_none');
  assert.match(error.clerkTraceId, /^[0-9a-f]{32}$/);
  assert.equal(error.retryAfter, undefined);
});

test('getUserList filters', async () => {
  const grace = await someone({ emailAddress: ['grace@navy.example'], username: 'grace', externalId: 'crm-2', firstName: 'Grace', lastName: 'Hopper' });
  const linus = await someone({ phoneNumber: ['+15555550177'], firstName: 'Linus' });
  const organization = await clerk.organizations.createOrganization({ name: 'Filtered', createdBy: linus.id });
  for (const [filter, want] of [
    [{ emailAddress: ['grace@navy.example'] }, grace],
    [{ username: ['grace'] }, grace],
    [{ externalId: ['crm-2'] }, grace],
    [{ query: 'opper' }, grace],
    [{ userId: [grace.id] }, grace],
    [{ phoneNumber: ['+15555550177'] }, linus],
  ]) {
    const page = await clerk.users.getUserList(filter);
    assert.deepEqual([ids(page), page.totalCount], [[want.id], 1], JSON.stringify(filter));
  }
  assert.deepEqual(ids(await clerk.users.getUserList({ organizationId: [organization.id] })), [linus.id]);
  assert.deepEqual(ids(await clerk.users.getUserList({ userId: [grace.id, linus.id], createdAtAfter: linus.createdAt + 1 })), []);
  assert.deepEqual(await clerk.users.getUserList({ emailAddress: ['nobody@example.com'] }), { data: [], totalCount: 0 });
});

test('getUserList orders and pages', async () => {
  const made = [];
  for (const name of ['Beta', 'alpha', 'Gamma']) {
    made.push(await someone({ firstName: name, externalId: `page-${name}` }));
  }
  const userId = made.map((user) => user.id);
  const [beta, alpha, gamma] = userId;
  const pages = (more) => clerk.users.getUserList({ userId, ...more });
  assert.deepEqual(ids(await pages({ orderBy: '+first_name' })), [alpha, beta, gamma]);
  assert.deepEqual(ids(await pages({ orderBy: '-first_name' })), [gamma, beta, alpha]);
  const first = await pages({ orderBy: '+first_name', limit: 2 });
  assert.deepEqual([ids(first), first.totalCount], [[alpha, beta], 3]);
  assert.deepEqual(ids(await pages({ orderBy: '+first_name', limit: 2, offset: 2 })), [gamma]);
  await clerk.users.updateUser(beta, { firstName: 'Last' });
  assert.equal(ids(await pages({ orderBy: '-updated_at' }))[0], beta);
  await refused(pages({ orderBy: 'shoe_size' }), 422, 'form_param_value_invalid');
});

test('getCount counts all, or by a filter', async () => {
  const before = await clerk.users.getCount();
  await someone({ username: 'counted' });
  assert.equal(await clerk.users.getCount(), before + 1);
  assert.equal(await clerk.users.getCount({ query: 'counted' }), 1);
});

test('updateUser changes attributes, and metadata by the endpoint of its own', async () => {
  const user = await someone({ publicMetadata: { a: 1 } });
  const renamed = await clerk.users.updateUser(user.id, { firstName: 'New', username: 'renamed', externalId: 'x-1', createOrganizationsLimit: 3 });
  assert.deepEqual([renamed.firstName, renamed.username, renamed.externalId], ['New', 'renamed', 'x-1']);
  assert.equal(renamed.createOrganizationsLimit, 3);
  assert.equal(renamed.lastName, user.lastName);
  assert.ok(renamed.updatedAt > user.updatedAt);
  const both = await clerk.users.updateUser(user.id, { lastName: 'Both', publicMetadata: { b: 2 } });
  assert.equal(both.lastName, 'Both');
  assert.deepEqual(both.publicMetadata, { b: 2 });
  await refused(clerk.users.updateUser('user_none', { firstName: 'x' }), 404, 'resource_not_found');
});

test('updateUser makes another address the primary one', async () => {
  const user = await someone({ emailAddress: ['one@example.org', 'two@example.org'] });
  const changed = await clerk.users.updateUser(user.id, { primaryEmailAddressID: user.emailAddresses[1].id });
  assert.equal(changed.primaryEmailAddress.emailAddress, 'two@example.org');
});

test('updateUserMetadata merges deeply, and null removes a key', async () => {
  const user = await someone({ publicMetadata: { a: { b: 1, c: 2 }, gone: true } });
  const merged = await clerk.users.updateUserMetadata(user.id, { publicMetadata: { a: { c: 3 }, gone: null }, privateMetadata: { crm: 'x' } });
  assert.deepEqual(merged.publicMetadata, { a: { b: 1, c: 3 } });
  assert.deepEqual(merged.privateMetadata, { crm: 'x' });
  assert.deepEqual(merged.unsafeMetadata, {});
});

test('replaceUserMetadata replaces what is named and leaves the rest', async () => {
  const user = await someone({ publicMetadata: { a: 1 }, unsafeMetadata: { kept: true } });
  const replaced = await clerk.users.replaceUserMetadata(user.id, { publicMetadata: { b: 2 } });
  assert.deepEqual(replaced.publicMetadata, { b: 2 });
  assert.deepEqual(replaced.unsafeMetadata, { kept: true });
});

test('banUser ends sessions and sign-ins until unbanUser', async () => {
  const user = await someone();
  const session = await clerk.sessions.createSession({ userId: user.id });
  assert.equal((await clerk.users.banUser(user.id)).banned, true);
  assert.equal((await clerk.sessions.getSession(session.id)).status, 'revoked');
  await refused(clerk.sessions.createSession({ userId: user.id }), 403, 'authorization_invalid');
  assert.equal((await clerk.users.unbanUser(user.id)).banned, false);
  await clerk.sessions.createSession({ userId: user.id });
});

test('lockUser shuts sign-ins out until unlockUser, or for an hour', async () => {
  const user = await someone();
  const locked = await clerk.users.lockUser(user.id);
  assert.equal(locked.locked, true);
  assert.ok(locked.raw.lockout_expires_in_seconds > 3500);
  await refused(clerk.sessions.createSession({ userId: user.id }), 403, 'authorization_invalid');
  assert.equal((await clerk.users.unlockUser(user.id)).locked, false);
  await clerk.users.lockUser(user.id);
  await advance('61m');
  assert.equal((await clerk.users.getUser(user.id)).locked, false);
});

test('deleteUser takes sessions and memberships with it', async () => {
  const user = await someone({ externalId: 'left' });
  const organization = await clerk.organizations.createOrganization({ name: 'Orphaned', createdBy: user.id });
  await token(user.id);
  const gone = await clerk.users.deleteUser(user.id);
  assert.deepEqual([gone.id, gone.object, gone.deleted], [user.id, 'user', true]);
  await refused(clerk.users.getUser(user.id), 404, 'resource_not_found');
  await refused(clerk.users.deleteUser(user.id), 404, 'resource_not_found');
  assert.equal((await clerk.sessions.getSessionList({ userId: user.id })).totalCount, 0);
  assert.equal((await clerk.organizations.getOrganizationMembershipList({ organizationId: organization.id })).totalCount, 0);
  await someone({ externalId: 'left' }); // the name is free again
});

test('the memberships and invitations of a user', async () => {
  const owner = await someone();
  const guest = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'Seen by its users', createdBy: owner.id });
  await clerk.organizations.createOrganizationInvitation({
    organizationId: organization.id, emailAddress: guest.primaryEmailAddress.emailAddress, role: 'org:member', inviterUserId: owner.id,
  });
  const memberships = await clerk.users.getOrganizationMembershipList({ userId: owner.id });
  assert.deepEqual([memberships.totalCount, memberships.data[0].organization.id], [1, organization.id]);
  const invitations = await clerk.users.getOrganizationInvitationList({ userId: guest.id, status: 'pending' });
  assert.deepEqual([invitations.totalCount, invitations.data[0].organizationId], [1, organization.id]);
});
