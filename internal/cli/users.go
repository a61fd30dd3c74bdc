package cli

type usersCommand struct {
	List     listUsersCommand    `cmd:"" default:"withargs" help:"List and search users."`
	Show     showUserCommand     `cmd:"" help:"Show a user with sessions and memberships."`
	Timeline userTimelineCommand `cmd:"" help:"List what happened to a user, and why."`
	Role     userRoleCommand     `cmd:"" help:"Give a user a role."`
	Ban      banUserCommand      `cmd:"" help:"Ban a user."`
	Unban    unbanUserCommand    `cmd:"" help:"Lift the ban of a user."`
	Lock     lockUserCommand     `cmd:"" help:"Keep a user from signing in for a while."`
	Unlock   unlockUserCommand   `cmd:"" help:"Let a locked user sign in again."`
	Revoke   revokeUserCommand   `cmd:"" help:"End all sessions of a user."`
	Erase    eraseUserCommand    `cmd:"" help:"Delete a user at Clerk, and permanently erase the user's personal data."`
}
