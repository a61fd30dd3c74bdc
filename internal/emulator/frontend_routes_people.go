package emulator

// personRoutes are the endpoints of the Frontend API about the person who is signed in.
func personRoutes() []frontRoute {
	return []frontRoute{
		{"GET", "/me", mine((*Emulator).getMe)},
		{"PATCH", "/me", mine((*Emulator).updateMe)},
		{"DELETE", "/me", verifiedMine((*Emulator).deleteMe)},
		{"PATCH", "/me/metadata", mine((*Emulator).updateMyMetadata)},
		{"POST", "/me/change_password", mine((*Emulator).changeMyPassword)},
		{"POST", "/me/remove_password", mine((*Emulator).removeMyPassword)},
		{"POST", "/me/profile_image", mine((*Emulator).setMyPicture)},
		{"DELETE", "/me/profile_image", mine((*Emulator).deleteMyPicture)},
		{"GET", "/me/sessions", mine((*Emulator).listMySessions)},
		{"GET", "/me/sessions/active", mine((*Emulator).listMySessions)},
		{"POST", "/me/sessions/{session_id}/revoke", verifiedMine((*Emulator).revokeMySession)},

		{"GET", "/me/email_addresses", mine((*Emulator).listMyEmails)},
		{"POST", "/me/email_addresses", verifiedMine((*Emulator).addMyEmail)},
		{"GET", "/me/email_addresses/{id}", mine(emailMine((*Emulator).getMyEmail))},
		{"DELETE", "/me/email_addresses/{id}", verifiedMine(emailMine((*Emulator).deleteMyEmail))},
		{"POST", "/me/email_addresses/{id}/prepare_verification", mine(emailMine((*Emulator).prepareMyEmail))},
		{"POST", "/me/email_addresses/{id}/attempt_verification", mine(emailMine((*Emulator).attemptMyEmail))},
		{"GET", "/me/phone_numbers", mine((*Emulator).listMyPhones)},
		{"POST", "/me/phone_numbers", verifiedMine((*Emulator).addMyPhone)},
		{"GET", "/me/phone_numbers/{id}", mine(phoneMine((*Emulator).getMyPhone))},
		{"PATCH", "/me/phone_numbers/{id}", verifiedMine(phoneMine((*Emulator).updateMyPhone))},
		{"DELETE", "/me/phone_numbers/{id}", verifiedMine(phoneMine((*Emulator).deleteMyPhone))},
		{"POST", "/me/phone_numbers/{id}/prepare_verification", mine(phoneMine((*Emulator).prepareMyPhone))},
		{"POST", "/me/phone_numbers/{id}/attempt_verification", mine(phoneMine((*Emulator).attemptMyPhone))},
		{"POST", "/me/totp", verifiedMine((*Emulator).createMyTOTP)},
		{"DELETE", "/me/totp", verifiedMine((*Emulator).deleteMyTOTP)},
		{"POST", "/me/totp/attempt_verification", verifiedMine((*Emulator).attemptMyTOTP)},
		{"POST", "/me/backup_codes", verifiedMine((*Emulator).createMyBackupCodes)},

		{"GET", "/me/organization_memberships", mine((*Emulator).listMyMemberships)},
		{"DELETE", "/me/organization_memberships/{organization_id}", mine((*Emulator).leaveOrganization)},
		{"GET", "/me/organization_invitations", mine((*Emulator).listInvitationsToMe)},
		{"POST", "/me/organization_invitations/{invitation_id}/accept", mine((*Emulator).acceptInvitationToMe)},
		{"GET", "/me/organization_suggestions", mine((*Emulator).listSuggestionsToMe)},
		{"POST", "/me/organization_suggestions/{suggestion_id}/accept", mine((*Emulator).acceptSuggestionToMe)},
		{"GET", "/me/enterprise_connections", mine((*Emulator).noConnections)},
		{"GET", "/me/oauth/consent/{client_id}", mine((*Emulator).getConsent)},
		{"POST", "/me/oauth/consent/{client_id}", mine((*Emulator).decideConsent)},
		{"GET", "/me/organization_creation_defaults", mine((*Emulator).noCreationDefaults)},
	}
}

// organizationRoutes are the endpoints of the Frontend API about organizations, with the
// permissions of which a member needs one.
func organizationRoutes() []frontRoute {
	const base = "/organizations/{id}"
	return []frontRoute{
		{"POST", "/organizations", mine((*Emulator).createMyOrganization)},
		{"GET", base, inside((*Emulator).getMyOrganization)},
		{"PATCH", base, inside((*Emulator).updateMyOrganization, manageProfile)},
		{"DELETE", base, inside((*Emulator).deleteMyOrganization, deleteProfile)},
		{"PUT", base + "/logo", inside((*Emulator).setMyLogo, manageProfile)},
		{"DELETE", base + "/logo", inside((*Emulator).deleteMyLogo, manageProfile)},
		{"GET", base + "/roles", inside((*Emulator).listMyRoles, readMembers, manageMembers)},

		{"GET", base + "/enterprise_connections", inside((*Emulator).noConnectionsInside, manageConnections)},

		{"GET", base + "/memberships", inside((*Emulator).listMyMembers, readMembers, manageMembers)},
		{"POST", base + "/memberships", inside((*Emulator).addMyMember, manageMembers)},
		{"PATCH", base + "/memberships/{user_id}", inside((*Emulator).updateMyMember, manageMembers)},
		{"DELETE", base + "/memberships/{user_id}", inside((*Emulator).removeMyMember, manageMembers)},
		{"GET", base + "/invitations", inside((*Emulator).listMyInvitations, manageMembers)},
		{"GET", base + "/invitations/pending", inside((*Emulator).listPendingInvitations, manageMembers)},
		{"POST", base + "/invitations", inside((*Emulator).inviteMember, manageMembers)},
		{"POST", base + "/invitations/bulk", inside((*Emulator).inviteMembers, manageMembers)},
		{"POST", base + "/invitations/{invitation_id}/revoke", inside((*Emulator).revokeInvitationOfMine, manageMembers)},
		{"GET", base + "/membership_requests", inside((*Emulator).listMyRequests, manageMembers)},
		{"POST", base + "/membership_requests/{request_id}/accept", inside((*Emulator).acceptMyRequest, manageMembers)},
		{"POST", base + "/membership_requests/{request_id}/reject", inside((*Emulator).rejectMyRequest, manageMembers)},

		{"GET", base + "/domains", inside((*Emulator).listMyDomains, readDomains, manageDomains)},
		{"POST", base + "/domains", inside((*Emulator).createMyDomain, manageDomains)},
		{"GET", base + "/domains/{domain_id}", inside((*Emulator).getMyDomain, readDomains, manageDomains)},
		{"DELETE", base + "/domains/{domain_id}", inside((*Emulator).deleteMyDomain, manageDomains)},
		{"POST", base + "/domains/{domain_id}/update_enrollment_mode", inside((*Emulator).setMyEnrollmentMode, manageDomains)},
		{"POST", base + "/domains/{domain_id}/prepare_affiliation_verification", inside((*Emulator).prepareMyDomain, manageDomains)},
		{"POST", base + "/domains/{domain_id}/attempt_affiliation_verification", inside((*Emulator).attemptMyDomain, manageDomains)},
	}
}
