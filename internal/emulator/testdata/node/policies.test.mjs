import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clerk, control, refused, someone } from './emulator.mjs';

const gif = new Blob([Uint8Array.from([71, 73, 70, 56, 57, 97, 1, 0, 1, 0, 0, 0, 0, 59])], { type: 'image/gif' });

test('addresses, numbers and what a user signs in with', async () => {
  const user = await someone({ password: 'a long pass phrase', totpSecret: 'JBSWY3DPEHPK3PXP', backupCodes: ['12345678'] });
  const address = await clerk.emailAddresses.createEmailAddress({ userId: user.id, emailAddress: 'second@example.com', verified: true, primary: true });
  assert.deepEqual([address.emailAddress, address.verification.status], ['second@example.com', 'verified']);
  assert.equal((await clerk.users.getUser(user.id)).primaryEmailAddressId, address.id);
  await refused(clerk.emailAddresses.createEmailAddress({ userId: user.id, emailAddress: 'second' }), 422, 'form_param_format_invalid');
  assert.equal((await clerk.emailAddresses.deleteEmailAddress(address.id)).deleted, true);
  const phone = await clerk.phoneNumbers.createPhoneNumber({ userId: user.id, phoneNumber: '+15555550142', verified: true, reservedForSecondFactor: true });
  assert.equal(phone.reservedForSecondFactor, true);
  const replaced = await clerk.users.replaceUserEmailAddress(user.id, { emailAddress: 'only@example.com' });
  assert.equal((await clerk.users.getUser(user.id)).primaryEmailAddressId, replaced.id);

  assert.deepEqual(await clerk.users.verifyPassword({ userId: user.id, password: 'a long pass phrase' }), { verified: true });
  await refused(clerk.users.verifyPassword({ userId: user.id, password: 'another pass phrase' }), 422, 'incorrect_password');
  assert.deepEqual(await clerk.users.verifyTOTP({ userId: user.id, code: '12345678' }), { verified: true, code_type: 'backup_code' });
  await clerk.users.disableUserMFA(user.id);
  assert.equal((await clerk.users.removePassword(user.id)).passwordEnabled, false);
  assert.equal((await clerk.users.getUser(user.id)).twoFactorEnabled, false);

  const shown = await clerk.users.updateUserProfileImage(user.id, { file: gif });
  assert.equal(shown.hasImage, true);
  assert.equal((await fetch(shown.imageUrl)).headers.get('content-type'), 'image/gif');
  assert.equal((await clerk.users.deleteUserProfileImage(user.id)).hasImage, false);
  const organization = await clerk.organizations.createOrganization({ name: 'Pictures', createdBy: user.id });
  assert.equal((await clerk.organizations.updateOrganizationLogo(organization.id, { file: gif, uploaderUserId: user.id })).hasImage, true);
  assert.equal((await clerk.organizations.deleteOrganizationLogo(organization.id)).hasImage, false);
});

test('the waitlist, the lists and the settings of the instance', async () => {
  const waits = await clerk.waitlistEntries.create({ emailAddress: 'waits@example.com' });
  assert.equal((await clerk.waitlistEntries.invite(waits.id)).status, 'invited');
  const [other] = await clerk.waitlistEntries.createBulk([{ emailAddress: 'other@example.com' }]);
  assert.equal((await clerk.waitlistEntries.reject(other.id)).status, 'rejected');
  assert.equal((await clerk.waitlistEntries.list({ status: 'invited' })).totalCount, 1);
  const allowed = await clerk.allowlistIdentifiers.createAllowlistIdentifier({ identifier: '*@example.com', notify: false });
  assert.equal((await clerk.allowlistIdentifiers.getAllowlistIdentifierList()).data[0].id, allowed.id);
  assert.equal((await clerk.allowlistIdentifiers.deleteAllowlistIdentifier(allowed.id)).deleted, true);
  const blocked = await clerk.blocklistIdentifiers.createBlocklistIdentifier({ identifier: 'mallory@example.com' });
  assert.equal((await clerk.blocklistIdentifiers.getBlocklistIdentifierList()).data[0].identifierType, 'email_address');
  await clerk.blocklistIdentifiers.deleteBlocklistIdentifier(blocked.id);
  assert.equal((await clerk.instance.updateRestrictions({ blocklist: false })).blocklist, false);
  await clerk.instance.update({ supportEmail: 'help@example.com' });
  assert.equal((await clerk.instance.get()).environmentType, 'development');
  assert.equal((await clerk.instance.updateOrganizationSettings({ maxAllowedMemberships: 50 })).maxAllowedMemberships, 50);
  await clerk.instance.updateOrganizationSettings({ maxAllowedMemberships: 0 });
  const { id } = await clerk.redirectUrls.createRedirectUrl({ url: 'app://done' });
  assert.equal((await clerk.redirectUrls.getRedirectUrl(id)).url, 'app://done');
});

test('plans and subscription items', async () => {
  const user = await someone();
  await control('POST', '/subscriptions', { payer: user.id, plan: 'pro', features: ['reports'], amount: 2900 });
  const plan = (await clerk.billing.getPlanList()).data.find((p) => p.slug === 'pro');
  assert.deepEqual([plan.fee.amount, plan.features[0].slug], [2900, 'reports']);
  const [item] = (await clerk.billing.getUserBillingSubscription(user.id)).subscriptionItems;
  const canceled = await clerk.billing.cancelSubscriptionItem(item.id);
  assert.deepEqual([canceled.status, typeof canceled.canceledAt], ['canceled', 'number']);
  assert.equal((await clerk.billing.cancelSubscriptionItem(item.id, { endNow: true })).status, 'ended');
  assert.equal((await control('POST', `/users/${user.id}/sign_in`, {})).status, 'active');
});
