import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clerk, refused, someone, soon } from './emulator.mjs';

// acme is a new organization with its owner.
async function acme(more = {}) {
  const owner = await someone();
  return { owner, organization: await clerk.organizations.createOrganization({ name: 'Acme', createdBy: owner.id, ...more }) };
}

test('createOrganization answers a whole organization, and its creator is an admin', async () => {
  const { owner, organization } = await acme({
    name: 'Wide & Sons', slug: 'wide', maxAllowedMemberships: 20, publicMetadata: { region: 'eu' }, privateMetadata: { crm: 7 },
  });
  assert.match(organization.id, /^org_\w{27}$/);
  assert.deepEqual([organization.name, organization.slug, organization.createdBy], ['Wide & Sons', 'wide', owner.id]);
  assert.equal(organization.maxAllowedMemberships, 20);
  assert.equal(organization.adminDeleteEnabled, true);
  assert.equal(organization.hasImage, false);
  assert.deepEqual([organization.publicMetadata, organization.privateMetadata], [{ region: 'eu' }, { crm: 7 }]);
  assert.ok(soon(organization.createdAt) && soon(organization.updatedAt));
  const members = await clerk.organizations.getOrganizationMembershipList({ organizationId: organization.id });
  assert.deepEqual([members.totalCount, members.data[0].role, members.data[0].publicUserData.userId], [1, 'org:admin', owner.id]);
  await refused(clerk.organizations.createOrganization({ slug: 'no-name' }), 422, 'form_param_missing');
  await refused(clerk.organizations.createOrganization({ name: 'Twin', slug: 'wide' }), 422, 'form_identifier_exists');
});

test('getOrganization by id and by slug, with and without its count', async () => {
  const { organization } = await acme({ slug: 'found' });
  assert.equal((await clerk.organizations.getOrganization({ organizationId: organization.id })).slug, 'found');
  const counted = await clerk.organizations.getOrganization({ slug: 'found', includeMembersCount: true });
  assert.deepEqual([counted.id, counted.membersCount], [organization.id, 1]);
  assert.equal((await clerk.organizations.getOrganization({ slug: 'found' })).membersCount, undefined);
  await refused(clerk.organizations.getOrganization({ slug: 'lost' }), 404, 'resource_not_found');
});

test('getOrganizationList filters, orders and pages', async () => {
  const made = [];
  for (const name of ['Zulu list', 'Alfa list', 'Mike list']) {
    made.push((await acme({ name })).organization);
  }
  const [zulu, alfa, mike] = made.map((organization) => organization.id);
  const list = async (filter) => {
    const page = await clerk.organizations.getOrganizationList(filter);
    return [page.data.map((organization) => organization.id), page.totalCount];
  };
  assert.deepEqual(await list({ query: 'list' }), [[mike, alfa, zulu], 3]); // newest first
  assert.deepEqual(await list({ query: 'list', orderBy: '+name' }), [[alfa, mike, zulu], 3]);
  assert.deepEqual(await list({ query: 'list', orderBy: '-name', limit: 1, offset: 1 }), [[mike], 3]);
  assert.deepEqual(await list({ organizationId: [alfa] }), [[alfa], 1]);
  const counted = await clerk.organizations.getOrganizationList({ organizationId: [alfa], includeMembersCount: true });
  assert.equal(counted.data[0].membersCount, 1);
});

test('updateOrganization and its metadata', async () => {
  const { organization } = await acme({ publicMetadata: { a: { b: 1 }, gone: 1 } });
  const renamed = await clerk.organizations.updateOrganization(organization.id, { name: 'Apex', slug: 'apex', adminDeleteEnabled: false, maxAllowedMemberships: 9 });
  assert.deepEqual([renamed.name, renamed.slug, renamed.adminDeleteEnabled, renamed.maxAllowedMemberships], ['Apex', 'apex', false, 9]);
  assert.ok(renamed.updatedAt > organization.updatedAt);
  const merged = await clerk.organizations.updateOrganizationMetadata(organization.id, { publicMetadata: { a: { c: 2 }, gone: null }, privateMetadata: { p: 1 } });
  assert.deepEqual([merged.publicMetadata, merged.privateMetadata], [{ a: { b: 1, c: 2 } }, { p: 1 }]);
  const replaced = await clerk.organizations.replaceOrganizationMetadata(organization.id, { publicMetadata: { only: true } });
  assert.deepEqual([replaced.publicMetadata, replaced.privateMetadata], [{ only: true }, { p: 1 }]);
  const both = await clerk.organizations.updateOrganization(organization.id, { name: 'Both', publicMetadata: { both: 1 } });
  assert.deepEqual([both.name, both.publicMetadata], ['Both', { both: 1 }]);
});

test('memberships are made, changed and ended', async () => {
  const { organization } = await acme();
  const user = await someone();
  const where = { organizationId: organization.id, userId: user.id };
  const member = await clerk.organizations.createOrganizationMembership({ ...where, role: 'org:member' });
  assert.match(member.id, /^orgmem_\w{27}$/);
  assert.equal(member.role, 'org:member');
  assert.deepEqual(member.permissions.sort(), ['org:sys_billing:read', 'org:sys_memberships:read']);
  assert.equal(member.organization.id, organization.id);
  assert.deepEqual([member.publicUserData.userId, member.publicUserData.identifier], [user.id, user.primaryEmailAddress.emailAddress]);
  assert.ok(soon(member.createdAt));
  await refused(clerk.organizations.createOrganizationMembership({ ...where, role: 'org:member' }), 400, 'already_a_member_in_organization');

  const admin = await clerk.organizations.updateOrganizationMembership({ ...where, role: 'org:admin' });
  assert.deepEqual([admin.id, admin.role], [member.id, 'org:admin']);
  await refused(clerk.organizations.updateOrganizationMembership({ ...where, role: 'org:king' }), 404, 'resource_not_found');
  const described = await clerk.organizations.updateOrganizationMembershipMetadata({ ...where, publicMetadata: { desk: 4 } });
  assert.deepEqual(described.publicMetadata, { desk: 4 });

  const gone = await clerk.organizations.deleteOrganizationMembership(where);
  assert.deepEqual([gone.id, gone.role], [member.id, 'org:admin']);
  await refused(clerk.organizations.deleteOrganizationMembership(where), 404, 'resource_not_found');
  const again = await clerk.organizations.createOrganizationMembership({ ...where, role: 'org:member' });
  assert.notEqual(again.id, member.id);
});

test('memberships of an organization are filtered, ordered and paged', async () => {
  const { owner, organization } = await acme();
  const [carl, anna] = [await someone({ firstName: 'Carl' }), await someone({ firstName: 'anna' })];
  for (const user of [carl, anna]) {
    await clerk.organizations.createOrganizationMembership({ organizationId: organization.id, userId: user.id, role: 'org:member' });
  }
  const list = async (filter) => {
    const page = await clerk.organizations.getOrganizationMembershipList({ organizationId: organization.id, ...filter });
    return [page.data.map((member) => member.publicUserData.userId), page.totalCount];
  };
  assert.deepEqual(await list({}), [[anna.id, carl.id, owner.id], 3]); // newest first
  assert.deepEqual(await list({ role: ['org:admin'] }), [[owner.id], 1]);
  assert.deepEqual(await list({ userId: [carl.id] }), [[carl.id], 1]);
  assert.deepEqual(await list({ emailAddress: [anna.primaryEmailAddress.emailAddress] }), [[anna.id], 1]);
  assert.deepEqual(await list({ orderBy: '+first_name', limit: 2 }), [[anna.id, carl.id], 3]);
  assert.deepEqual(await list({ orderBy: '+first_name', limit: 2, offset: 2 }), [[owner.id], 3]);
});

test('memberships of the whole instance', async () => {
  const [one, two] = [await acme(), await acme()];
  const page = await clerk.organizations.getInstanceOrganizationMembershipList({ orderBy: '-created_at', limit: 2 });
  assert.deepEqual(page.data.map((member) => member.organization.id), [two.organization.id, one.organization.id]);
  assert.ok(page.totalCount >= 2);
});

test('invitations into an organization', async () => {
  const { owner, organization } = await acme();
  const organizationId = organization.id;
  const invitation = await clerk.organizations.createOrganizationInvitation({
    organizationId, emailAddress: 'guest@example.com', role: 'org:member', inviterUserId: owner.id, expiresInDays: 7, publicMetadata: { from: 'sdk' },
  });
  assert.match(invitation.id, /^orginv_\w{27}$/);
  assert.deepEqual([invitation.emailAddress, invitation.role, invitation.roleName, invitation.status], ['guest@example.com', 'org:member', 'Member', 'pending']);
  assert.equal(invitation.organizationId, organizationId);
  assert.deepEqual(invitation.publicMetadata, { from: 'sdk' });
  assert.match(invitation.url, /^https:/);
  assert.equal(invitation.expiresAt - invitation.createdAt, 7 * 24 * 3600 * 1000);
  await refused(
    clerk.organizations.createOrganizationInvitation({ organizationId, emailAddress: 'guest@example.com', role: 'org:member' }), 400, 'duplicate_record',
  );
  const bulk = await clerk.organizations.createOrganizationInvitationBulk(organizationId, [
    { emailAddress: 'b1@example.com', role: 'org:member' }, { emailAddress: 'b2@example.com', role: 'org:admin' },
  ]);
  assert.deepEqual(bulk.data.map((x) => x.emailAddress), ['b1@example.com', 'b2@example.com']);

  const got = await clerk.organizations.getOrganizationInvitation({ organizationId, invitationId: invitation.id });
  assert.equal(got.id, invitation.id);
  const revoked = await clerk.organizations.revokeOrganizationInvitation({ organizationId, invitationId: invitation.id, requestingUserId: owner.id });
  assert.equal(revoked.status, 'revoked');
  const list = async (status) => (await clerk.organizations.getOrganizationInvitationList({ organizationId, status })).data.map((x) => x.emailAddress).sort();
  assert.deepEqual(await list(['revoked']), ['guest@example.com']);
  assert.deepEqual(await list(['pending']), ['b1@example.com', 'b2@example.com']);
  assert.equal((await list(['pending', 'revoked'])).length, 3);
});

test('domains of an organization', async () => {
  const { organization } = await acme();
  const organizationId = organization.id;
  const made = await clerk.organizations.createOrganizationDomain({ organizationId, name: 'acme.example', enrollmentMode: 'manual_invitation', verified: true });
  assert.match(made.id, /^orgdmn_\w{27}$/);
  assert.equal(made.name, 'acme.example');
  const list = await clerk.organizations.getOrganizationDomainList({ organizationId });
  assert.deepEqual([list.totalCount, list.data[0].id], [1, made.id]);
  const changed = await clerk.organizations.updateOrganizationDomain({ organizationId, domainId: made.id, enrollmentMode: 'automatic_suggestion' });
  assert.equal(changed.enrollmentMode ?? changed.enrollment_mode, 'automatic_suggestion'); // the SDK passes domains on as they came
  await clerk.organizations.deleteOrganizationDomain({ organizationId, domainId: made.id });
  assert.equal((await clerk.organizations.getOrganizationDomainList({ organizationId })).totalCount, 0);
});

test('roles and permissions', async () => {
  const permission = await clerk.organizationPermissions.createOrganizationPermission({ name: 'Read bills', key: 'org:bills:read', description: 'may look' });
  assert.deepEqual([permission.key, permission.description], ['org:bills:read', 'may look']);
  const role = await clerk.organizationRoles.createOrganizationRole({ name: 'Clerk', key: 'org:clerk', permissions: [permission.id] });
  assert.deepEqual([role.key, role.permissions.map((p) => p.key)], ['org:clerk', ['org:bills:read']]);
  assert.equal(role.isCreatorEligible, false);

  const other = await clerk.organizationPermissions.createOrganizationPermission({ name: 'Write bills', key: 'org:bills:write' });
  const both = await clerk.organizationRoles.assignPermissionToOrganizationRole({ organizationRoleId: role.id, permissionId: other.id });
  assert.equal(both.permissions.length, 2);
  const one = await clerk.organizationRoles.removePermissionFromOrganizationRole({ organizationRoleId: role.id, permissionId: permission.id });
  assert.deepEqual(one.permissions.map((p) => p.key), ['org:bills:write']);
  assert.equal((await clerk.organizationRoles.updateOrganizationRole({ organizationRoleId: role.id, name: 'Chief clerk' })).name, 'Chief clerk');
  assert.equal((await clerk.organizationRoles.getOrganizationRole(role.id)).name, 'Chief clerk');

  const roles = await clerk.organizationRoles.getOrganizationRoleList({ orderBy: '+key' });
  assert.deepEqual(roles.data.map((r) => r.key), ['org:admin', 'org:clerk', 'org:member']);
  const { organization } = await acme();
  const user = await someone();
  const member = await clerk.organizations.createOrganizationMembership({ organizationId: organization.id, userId: user.id, role: 'org:clerk' });
  assert.deepEqual(member.permissions, ['org:bills:write']);
  await assert.rejects(clerk.organizationRoles.deleteOrganizationRole(role.id), { status: 400 }); // in use
  await clerk.organizations.deleteOrganizationMembership({ organizationId: organization.id, userId: user.id });
  assert.equal((await clerk.organizationRoles.deleteOrganizationRole(role.id)).deleted, true);
  assert.equal((await clerk.organizationPermissions.deleteOrganizationPermission(other.id)).deleted, true);
  assert.equal((await clerk.organizationPermissions.getOrganizationPermissionList({ query: 'bills' })).totalCount, 1);
});

test('deleteOrganization takes memberships and invitations with it', async () => {
  const { owner, organization } = await acme({ slug: 'doomed' });
  await clerk.organizations.createOrganizationInvitation({ organizationId: organization.id, emailAddress: 'late@example.com', role: 'org:member' });
  const gone = await clerk.organizations.deleteOrganization(organization.id);
  assert.deepEqual([gone.id, gone.object, gone.slug, gone.deleted], [organization.id, 'organization', 'doomed', true]);
  await refused(clerk.organizations.getOrganization({ organizationId: organization.id }), 404, 'resource_not_found');
  assert.equal((await clerk.users.getOrganizationMembershipList({ userId: owner.id })).totalCount, 0);
});
