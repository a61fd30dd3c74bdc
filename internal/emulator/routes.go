package emulator

// apiRoutes are the endpoints of the Backend API that are implemented, below /v1.
func apiRoutes() []route {
	return []route{
		{"GET", "/jwks", (*Emulator).publish},

		{"GET", "/users", (*Emulator).listUsers},
		{"GET", "/users/count", (*Emulator).countUsers},
		{"POST", "/users", (*Emulator).createUser},
		{"POST", "/users/ban", several((*Emulator).banUser)},
		{"POST", "/users/unban", several((*Emulator).unbanUser)},
		{"GET", "/users/{id}", (*Emulator).getUser},
		{"PATCH", "/users/{id}", (*Emulator).updateUser},
		{"DELETE", "/users/{id}", (*Emulator).deleteUser},
		{"PATCH", "/users/{id}/metadata", (*Emulator).mergeUserMetadata},
		{"PUT", "/users/{id}/metadata", (*Emulator).replaceUserMetadata},
		{"POST", "/users/{id}/ban", (*Emulator).banUser},
		{"POST", "/users/{id}/unban", (*Emulator).unbanUser},
		{"POST", "/users/{id}/lock", (*Emulator).lockUser},
		{"POST", "/users/{id}/unlock", (*Emulator).unlockUser},
		{"GET", "/users/{id}/organization_memberships", (*Emulator).listUserMemberships},
		{"GET", "/users/{id}/organization_invitations", (*Emulator).listUserInvitations},
		{"GET", "/users/{id}/billing/subscription", (*Emulator).userSubscription},

		{"GET", "/sessions", (*Emulator).listSessions},
		{"POST", "/sessions", (*Emulator).createSession},
		{"GET", "/sessions/{id}", (*Emulator).getSession},
		{"POST", "/sessions/{id}/revoke", (*Emulator).revokeSession},
		{"POST", "/sessions/{id}/tokens", (*Emulator).sessionToken},
		{"POST", "/sessions/{id}/tokens/{template}", (*Emulator).sessionToken},

		{"GET", "/organizations", (*Emulator).listOrganizations},
		{"POST", "/organizations", (*Emulator).createOrganization},
		{"GET", "/organizations/{id}", (*Emulator).getOrganization},
		{"PATCH", "/organizations/{id}", (*Emulator).updateOrganization},
		{"DELETE", "/organizations/{id}", (*Emulator).deleteOrganization},
		{"PATCH", "/organizations/{id}/metadata", (*Emulator).mergeOrganizationMetadata},
		{"PUT", "/organizations/{id}/metadata", (*Emulator).replaceOrganizationMetadata},
		{"GET", "/organizations/{id}/billing/subscription", (*Emulator).organizationSubscription},

		{"GET", "/organization_memberships", (*Emulator).listAllMemberships},
		{"GET", "/organizations/{id}/memberships", (*Emulator).listMemberships},
		{"POST", "/organizations/{id}/memberships", (*Emulator).createMembership},
		{"PATCH", "/organizations/{id}/memberships/{user_id}", (*Emulator).updateMembership},
		{"DELETE", "/organizations/{id}/memberships/{user_id}", (*Emulator).deleteMembership},
		{"PATCH", "/organizations/{id}/memberships/{user_id}/metadata", (*Emulator).mergeMembershipMetadata},

		{"GET", "/organization_invitations", (*Emulator).listAllOrganizationInvitations},
		{"GET", "/organizations/{id}/invitations", (*Emulator).listOrganizationInvitations},
		{"POST", "/organizations/{id}/invitations", (*Emulator).createOrganizationInvitation},
		{"POST", "/organizations/{id}/invitations/bulk", (*Emulator).inviteSeveral},
		{"GET", "/organizations/{id}/invitations/{invitation_id}", (*Emulator).getOrganizationInvitation},
		{"POST", "/organizations/{id}/invitations/{invitation_id}/revoke", (*Emulator).revokeOrganizationInvitation},

		{"GET", "/organization_domains", (*Emulator).listAllDomains},
		{"GET", "/organizations/{id}/domains", (*Emulator).listDomains},
		{"POST", "/organizations/{id}/domains", (*Emulator).createDomain},
		{"PATCH", "/organizations/{id}/domains/{domain_id}", (*Emulator).updateDomain},
		{"DELETE", "/organizations/{id}/domains/{domain_id}", (*Emulator).deleteDomain},

		{"GET", "/organization_roles", (*Emulator).listRoles},
		{"POST", "/organization_roles", (*Emulator).createRole},
		{"GET", "/organization_roles/{id}", (*Emulator).getRole},
		{"PATCH", "/organization_roles/{id}", (*Emulator).updateRole},
		{"DELETE", "/organization_roles/{id}", (*Emulator).deleteRole},
		{"POST", "/organization_roles/{id}/permissions/{permission_id}", (*Emulator).grant},
		{"DELETE", "/organization_roles/{id}/permissions/{permission_id}", (*Emulator).withdraw},
		{"GET", "/organization_permissions", (*Emulator).listPermissions},
		{"POST", "/organization_permissions", (*Emulator).createPermission},
		{"GET", "/organization_permissions/{id}", (*Emulator).getPermission},
		{"PATCH", "/organization_permissions/{id}", (*Emulator).updatePermission},
		{"DELETE", "/organization_permissions/{id}", (*Emulator).deletePermission},

		{"GET", "/invitations", (*Emulator).listInvitations},
		{"POST", "/invitations", (*Emulator).createInvitation},
		{"POST", "/invitations/{id}/revoke", (*Emulator).revokeInvitation},

		{"GET", "/jwt_templates", (*Emulator).listTemplates},
		{"POST", "/jwt_templates", (*Emulator).createTemplate},
		{"GET", "/jwt_templates/{id}", (*Emulator).getTemplate},
		{"PATCH", "/jwt_templates/{id}", (*Emulator).updateTemplate},
		{"DELETE", "/jwt_templates/{id}", (*Emulator).deleteTemplate},

		{"POST", "/testing_tokens", (*Emulator).createTestingToken},
		{"POST", "/actor_tokens", (*Emulator).createActorToken},
		{"POST", "/actor_tokens/{id}/revoke", (*Emulator).revokeActorToken},
	}
}
