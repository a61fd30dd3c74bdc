package emulator

import "encoding/json"

// The objects of the Backend API and of webhooks, field by field as Clerk documents them.
// Times are milliseconds since 1970. A pointer is what may be null.

// Metadata is a JSON object; the empty one is written {}.
type Metadata map[string]any

// MarshalJSON writes {} for nil: Clerk's metadata is never null.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]any(m))
}

// Verification is how an address was proved.
type Verification struct {
	Object   string `json:"object"`
	Status   string `json:"status"`
	Strategy string `json:"strategy"`
	Attempts *int   `json:"attempts"`
	ExpireAt *int64 `json:"expire_at"`
}

// Link ties an address to the account it came from.
type Link struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// EmailAddress is an address of a user.
type EmailAddress struct {
	ID                   string        `json:"id"`
	Object               string        `json:"object"`
	EmailAddress         string        `json:"email_address"`
	Reserved             bool          `json:"reserved"`
	Verification         *Verification `json:"verification"`
	LinkedTo             []Link        `json:"linked_to"`
	MatchesSSOConnection bool          `json:"matches_sso_connection"`
	CreatedAt            int64         `json:"created_at"`
	UpdatedAt            int64         `json:"updated_at"`
}

// PhoneNumber is a number of a user.
type PhoneNumber struct {
	ID                      string        `json:"id"`
	Object                  string        `json:"object"`
	PhoneNumber             string        `json:"phone_number"`
	ReservedForSecondFactor bool          `json:"reserved_for_second_factor"`
	DefaultSecondFactor     bool          `json:"default_second_factor"`
	Reserved                bool          `json:"reserved"`
	Verification            *Verification `json:"verification"`
	LinkedTo                []Link        `json:"linked_to"`
	BackupCodes             []string      `json:"backup_codes"`
	CreatedAt               int64         `json:"created_at"`
	UpdatedAt               int64         `json:"updated_at"`
}

// Web3Wallet is a wallet of a user.
type Web3Wallet struct {
	ID           string        `json:"id"`
	Object       string        `json:"object"`
	Web3Wallet   string        `json:"web3_wallet"`
	Verification *Verification `json:"verification"`
	CreatedAt    int64         `json:"created_at"`
	UpdatedAt    int64         `json:"updated_at"`
}

// ExternalAccount is an OAuth account of a user.
type ExternalAccount struct {
	Object           string        `json:"object"`
	ID               string        `json:"id"`
	Provider         string        `json:"provider"`
	IdentificationID string        `json:"identification_id"`
	ProviderUserID   string        `json:"provider_user_id"`
	ApprovedScopes   string        `json:"approved_scopes"`
	EmailAddress     string        `json:"email_address"`
	FirstName        string        `json:"first_name"`
	LastName         string        `json:"last_name"`
	ImageURL         *string       `json:"image_url"`
	Username         *string       `json:"username"`
	PhoneNumber      *string       `json:"phone_number"`
	PublicMetadata   Metadata      `json:"public_metadata"`
	Label            *string       `json:"label"`
	CreatedAt        int64         `json:"created_at"`
	UpdatedAt        int64         `json:"updated_at"`
	Verification     *Verification `json:"verification"`
}

// User is Clerk's user.
type User struct {
	ID                            string            `json:"id"`
	Object                        string            `json:"object"`
	Username                      *string           `json:"username"`
	FirstName                     *string           `json:"first_name"`
	LastName                      *string           `json:"last_name"`
	Locale                        *string           `json:"locale"`
	ImageURL                      string            `json:"image_url"`
	HasImage                      bool              `json:"has_image"`
	ProfileImageURL               string            `json:"profile_image_url"`
	PrimaryEmailAddressID         *string           `json:"primary_email_address_id"`
	PrimaryPhoneNumberID          *string           `json:"primary_phone_number_id"`
	PrimaryWeb3WalletID           *string           `json:"primary_web3_wallet_id"`
	PasswordEnabled               bool              `json:"password_enabled"`
	TwoFactorEnabled              bool              `json:"two_factor_enabled"`
	TOTPEnabled                   bool              `json:"totp_enabled"`
	BackupCodeEnabled             bool              `json:"backup_code_enabled"`
	EmailAddresses                []EmailAddress    `json:"email_addresses"`
	PhoneNumbers                  []PhoneNumber     `json:"phone_numbers"`
	Web3Wallets                   []Web3Wallet      `json:"web3_wallets"`
	Passkeys                      []struct{}        `json:"passkeys"`
	ExternalAccounts              []ExternalAccount `json:"external_accounts"`
	SAMLAccounts                  []struct{}        `json:"saml_accounts"`
	EnterpriseAccounts            []struct{}        `json:"enterprise_accounts"`
	PasswordLastUpdatedAt         *int64            `json:"password_last_updated_at"`
	PublicMetadata                Metadata          `json:"public_metadata"`
	PrivateMetadata               Metadata          `json:"private_metadata"`
	UnsafeMetadata                Metadata          `json:"unsafe_metadata"`
	ExternalID                    *string           `json:"external_id"`
	LastSignInAt                  *int64            `json:"last_sign_in_at"`
	Banned                        bool              `json:"banned"`
	Locked                        bool              `json:"locked"`
	LockoutExpiresInSeconds       *int64            `json:"lockout_expires_in_seconds"`
	VerificationAttemptsRemaining *int              `json:"verification_attempts_remaining"`
	CreatedAt                     int64             `json:"created_at"`
	UpdatedAt                     int64             `json:"updated_at"`
	DeleteSelfEnabled             bool              `json:"delete_self_enabled"`
	CreateOrganizationEnabled     bool              `json:"create_organization_enabled"`
	CreateOrganizationsLimit      *int              `json:"create_organizations_limit"`
	LastActiveAt                  *int64            `json:"last_active_at"`
	MFAEnabledAt                  *int64            `json:"mfa_enabled_at"`
	MFADisabledAt                 *int64            `json:"mfa_disabled_at"`
	LegalAcceptedAt               *int64            `json:"legal_accepted_at"`
	BypassClientTrust             bool              `json:"bypass_client_trust"`
}

// Activity is what a session was last seen with.
type Activity struct {
	Object         string `json:"object"`
	ID             string `json:"id"`
	DeviceType     string `json:"device_type"`
	IsMobile       bool   `json:"is_mobile"`
	BrowserName    string `json:"browser_name"`
	BrowserVersion string `json:"browser_version"`
	IPAddress      string `json:"ip_address"`
	City           string `json:"city"`
	Country        string `json:"country"`
}

// Session is a sign-in of a user.
type Session struct {
	Object                   string         `json:"object"`
	ID                       string         `json:"id"`
	UserID                   string         `json:"user_id"`
	ClientID                 string         `json:"client_id"`
	Actor                    map[string]any `json:"actor"`
	Status                   string         `json:"status"`
	LastActiveOrganizationID *string        `json:"last_active_organization_id"`
	LastActiveAt             int64          `json:"last_active_at"`
	LatestActivity           *Activity      `json:"latest_activity"`
	ExpireAt                 int64          `json:"expire_at"`
	AbandonAt                int64          `json:"abandon_at"`
	Tasks                    []Task         `json:"tasks"`
	CreatedAt                int64          `json:"created_at"`
	UpdatedAt                int64          `json:"updated_at"`
}

// Task is what a pending session still asks of its user.
type Task struct {
	Key string `json:"key"`
}

// Organization is a group of users.
type Organization struct {
	Object                  string   `json:"object"`
	ID                      string   `json:"id"`
	Name                    string   `json:"name"`
	Slug                    string   `json:"slug"`
	ImageURL                string   `json:"image_url"`
	HasImage                bool     `json:"has_image"`
	MembersCount            *int     `json:"members_count,omitempty"`
	PendingInvitationsCount *int     `json:"pending_invitations_count,omitempty"`
	MaxAllowedMemberships   int      `json:"max_allowed_memberships"`
	AdminDeleteEnabled      bool     `json:"admin_delete_enabled"`
	PublicMetadata          Metadata `json:"public_metadata"`
	PrivateMetadata         Metadata `json:"private_metadata"`
	CreatedBy               string   `json:"created_by"`
	CreatedAt               int64    `json:"created_at"`
	UpdatedAt               int64    `json:"updated_at"`
}

// PublicUserData is what a membership shows of its user.
type PublicUserData struct {
	UserID          string  `json:"user_id"`
	FirstName       *string `json:"first_name"`
	LastName        *string `json:"last_name"`
	ImageURL        string  `json:"image_url"`
	HasImage        bool    `json:"has_image"`
	ProfileImageURL string  `json:"profile_image_url"`
	Identifier      *string `json:"identifier"`
	Username        *string `json:"username"`
	Banned          bool    `json:"banned"`
}

// Membership is a user's place in an organization.
type Membership struct {
	Object          string          `json:"object"`
	ID              string          `json:"id"`
	Role            string          `json:"role"`
	RoleName        string          `json:"role_name"`
	Permissions     []string        `json:"permissions"`
	PublicMetadata  Metadata        `json:"public_metadata"`
	PrivateMetadata Metadata        `json:"private_metadata"`
	Organization    *Organization   `json:"organization"`
	PublicUserData  *PublicUserData `json:"public_user_data"`
	CreatedAt       int64           `json:"created_at"`
	UpdatedAt       int64           `json:"updated_at"`

	organizationID, userID string
}

// PublicOrganizationData is what an invitation or a domain shows of its organization.
type PublicOrganizationData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url"`
	HasImage bool   `json:"has_image"`
}

// PublicInviterData is what an invitation shows of who invites.
type PublicInviterData struct {
	UserID     string  `json:"user_id"`
	FirstName  *string `json:"first_name"`
	LastName   *string `json:"last_name"`
	ImageURL   string  `json:"image_url"`
	HasImage   bool    `json:"has_image"`
	Identifier *string `json:"identifier"`
}

// OrganizationInvitation invites an address into an organization.
type OrganizationInvitation struct {
	Object                 string                  `json:"object"`
	ID                     string                  `json:"id"`
	EmailAddress           string                  `json:"email_address"`
	Role                   string                  `json:"role"`
	RoleName               string                  `json:"role_name"`
	OrganizationID         string                  `json:"organization_id"`
	InviterID              *string                 `json:"inviter_id"`
	PublicInviterData      *PublicInviterData      `json:"public_inviter_data"`
	PublicOrganizationData *PublicOrganizationData `json:"public_organization_data"`
	Status                 string                  `json:"status"`
	PublicMetadata         Metadata                `json:"public_metadata"`
	PrivateMetadata        Metadata                `json:"private_metadata"`
	URL                    *string                 `json:"url"`
	ExpiresAt              *int64                  `json:"expires_at"`
	CreatedAt              int64                   `json:"created_at"`
	UpdatedAt              int64                   `json:"updated_at"`
	UserID                 string                  `json:"user_id,omitempty"` // once accepted
}

// Invitation invites an address to sign up.
type Invitation struct {
	Object         string   `json:"object"`
	ID             string   `json:"id"`
	EmailAddress   string   `json:"email_address"`
	PublicMetadata Metadata `json:"public_metadata"`
	Revoked        bool     `json:"revoked"`
	Status         string   `json:"status"`
	URL            *string  `json:"url,omitempty"`
	ExpiresAt      *int64   `json:"expires_at"`
	CreatedAt      int64    `json:"created_at"`
	UpdatedAt      int64    `json:"updated_at"`
}

// OrganizationDomain is a domain whose addresses belong to an organization.
type OrganizationDomain struct {
	Object                  string                  `json:"object"`
	ID                      string                  `json:"id"`
	OrganizationID          string                  `json:"organization_id"`
	Name                    string                  `json:"name"`
	EnrollmentMode          string                  `json:"enrollment_mode"`
	AffiliationEmailAddress *string                 `json:"affiliation_email_address"`
	AffiliationVerification *DomainVerification     `json:"affiliation_verification"`
	OwnershipVerification   *DomainVerification     `json:"ownership_verification"`
	Verification            *DomainVerification     `json:"verification"`
	TotalPendingInvitations int                     `json:"total_pending_invitations"`
	TotalPendingSuggestions int                     `json:"total_pending_suggestions"`
	PublicOrganizationData  *PublicOrganizationData `json:"public_organization_data"`
	CreatedAt               int64                   `json:"created_at"`
	UpdatedAt               int64                   `json:"updated_at"`
}

// DomainVerification is how a domain was proved.
type DomainVerification struct {
	Status     string `json:"status"`
	Strategy   string `json:"strategy"`
	Attempts   *int   `json:"attempts"`
	ExpireAt   *int64 `json:"expire_at"`
	VerifiedAt *int64 `json:"verified_at"`
}

// Permission is what a role may grant.
type Permission struct {
	Object      string `json:"object"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	Key         string `json:"key"`
	Description string `json:"description"`
	Type        string `json:"type"`
	CreatedAt   int64  `json:"created_at"`
	UpdatedAt   int64  `json:"updated_at"`
}

// Role is a named set of permissions in an organization.
type Role struct {
	Object            string        `json:"object"`
	ID                string        `json:"id"`
	Name              string        `json:"name"`
	Key               string        `json:"key"`
	Description       *string       `json:"description"`
	IsCreatorEligible bool          `json:"is_creator_eligible"`
	Permissions       []*Permission `json:"permissions"`
	CreatedAt         int64         `json:"created_at"`
	UpdatedAt         int64         `json:"updated_at"`

	seeded bool // there from the start, as at each instance
}

// Deleted is what is left of an object.
type Deleted struct {
	Object     string  `json:"object"`
	ID         string  `json:"id"`
	Slug       *string `json:"slug"`
	Deleted    bool    `json:"deleted"`
	ExternalID *string `json:"external_id,omitempty"`
}

// JWTTemplate says which claims a token has that is asked for by the template's name.
type JWTTemplate struct {
	Object           string         `json:"object"`
	ID               string         `json:"id"`
	Name             string         `json:"name"`
	Claims           map[string]any `json:"claims"`
	Lifetime         int            `json:"lifetime"`           // seconds
	AllowedClockSkew int            `json:"allowed_clock_skew"` // seconds
	CustomSigningKey bool           `json:"custom_signing_key"`
	SigningAlgorithm string         `json:"signing_algorithm"`
	CreatedAt        int64          `json:"created_at"`
	UpdatedAt        int64          `json:"updated_at"`

	signingKey string
}

// ActorToken lets one user sign in as another.
type ActorToken struct {
	Object    string         `json:"object"`
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	UserID    string         `json:"user_id"`
	Actor     map[string]any `json:"actor"`
	Token     string         `json:"token,omitempty"`
	URL       *string        `json:"url,omitempty"`
	CreatedAt int64          `json:"created_at"`
	UpdatedAt int64          `json:"updated_at"`
}

// Subscription is what a user or an organization pays for, as webhooks write it.
type Subscription struct {
	Object          string             `json:"object"`
	ID              string             `json:"id"`
	Status          string             `json:"status"`
	ActiveAt        *int64             `json:"active_at"`
	CanceledAt      *int64             `json:"canceled_at"`
	CreatedAt       int64              `json:"created_at"`
	EndedAt         *int64             `json:"ended_at"`
	PastDueAt       *int64             `json:"past_due_at"`
	UpdatedAt       int64              `json:"updated_at"`
	LatestPaymentID *string            `json:"latest_payment_id"`
	PayerID         string             `json:"payer_id"`
	Payer           Payer              `json:"payer"`
	PaymentSourceID *string            `json:"payment_source_id"`
	Items           []SubscriptionItem `json:"items"`
}

// Payer is who pays; what it is not is the empty string, as Clerk writes it.
type Payer struct {
	Object           string `json:"object"`
	ID               string `json:"id"`
	UserID           string `json:"user_id"`
	FirstName        string `json:"first_name"`
	LastName         string `json:"last_name"`
	Email            string `json:"email"`
	OrganizationID   string `json:"organization_id"`
	OrganizationName string `json:"organization_name"`
	ImageURL         string `json:"image_url"`
	CreatedAt        int64  `json:"created_at"`
	UpdatedAt        int64  `json:"updated_at"`
}

// SubscriptionItem is one plan of a subscription.
type SubscriptionItem struct {
	Object         string  `json:"object"`
	ID             string  `json:"id"`
	Status         string  `json:"status"`
	IsFreeTrial    bool    `json:"is_free_trial"`
	Interval       string  `json:"interval"`
	PeriodStart    int64   `json:"period_start"`
	PeriodEnd      *int64  `json:"period_end"`
	PlanID         *string `json:"plan_id"`
	Plan           *Plan   `json:"plan"`
	SubscriptionID *string `json:"subscription_id"`
	CreatedAt      int64   `json:"created_at"`
	UpdatedAt      int64   `json:"updated_at"`
}

// Plan is what is sold; its features are named in tokens.
type Plan struct {
	ID          string `json:"id"`
	Slug        string `json:"slug"`
	Name        string `json:"name"`
	IsRecurring bool   `json:"is_recurring"`
	Amount      int    `json:"amount"`
	Currency    string `json:"currency"`

	features []string
}

// SubscriptionAnswer is a subscription as the Backend API writes it, which has other names than webhooks have.
type SubscriptionAnswer struct {
	Object               string                   `json:"object"`
	ID                   string                   `json:"id"`
	InstanceID           string                   `json:"instance_id"`
	Status               string                   `json:"status"`
	PayerID              string                   `json:"payer_id"`
	CreatedAt            int64                    `json:"created_at"`
	UpdatedAt            int64                    `json:"updated_at"`
	ActiveAt             *int64                   `json:"active_at"`
	PastDueAt            *int64                   `json:"past_due_at"`
	Items                []SubscriptionItemAnswer `json:"subscription_items"`
	EligibleForFreeTrial bool                     `json:"eligible_for_free_trial"`
}

// SubscriptionItemAnswer is one plan of a [SubscriptionAnswer].
type SubscriptionItemAnswer struct {
	Object      string      `json:"object"`
	ID          string      `json:"id"`
	InstanceID  string      `json:"instance_id"`
	Status      string      `json:"status"`
	PlanID      *string     `json:"plan_id"`
	Plan        *PlanAnswer `json:"plan"`
	PlanPeriod  string      `json:"plan_period"`
	PayerID     string      `json:"payer_id"`
	IsFreeTrial bool        `json:"is_free_trial"`
	PeriodStart int64       `json:"period_start"`
	PeriodEnd   *int64      `json:"period_end"`
	CanceledAt  *int64      `json:"canceled_at"`
	EndedAt     *int64      `json:"ended_at"`
	PastDueAt   *int64      `json:"past_due_at"`
	Amount      *Money      `json:"amount"`
	CreatedAt   int64       `json:"created_at"`
	UpdatedAt   int64       `json:"updated_at"`
}

// PlanAnswer is a plan as the Backend API writes it.
type PlanAnswer struct {
	Object           string    `json:"object"`
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Slug             string    `json:"slug"`
	Description      *string   `json:"description"`
	IsDefault        bool      `json:"is_default"`
	IsRecurring      bool      `json:"is_recurring"`
	HasBaseFee       bool      `json:"has_base_fee"`
	PubliclyVisible  bool      `json:"publicly_visible"`
	Fee              *Money    `json:"fee"`
	AnnualFee        *Money    `json:"annual_fee"`
	AnnualMonthlyFee *Money    `json:"annual_monthly_fee"`
	ForPayerType     string    `json:"for_payer_type"`
	Features         []Feature `json:"features"`
	FreeTrialDays    *int      `json:"free_trial_days"`
	FreeTrialEnabled bool      `json:"free_trial_enabled"`
	AvatarURL        *string   `json:"avatar_url"`
}

// Feature is what a plan gives.
type Feature struct {
	Object      string  `json:"object"`
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Slug        string  `json:"slug"`
	Description *string `json:"description"`
	AvatarURL   *string `json:"avatar_url"`
}

// Money is an amount in the smallest unit of its currency.
type Money struct {
	Amount    int    `json:"amount"`
	Formatted string `json:"amount_formatted"`
	Currency  string `json:"currency"`
	Symbol    string `json:"currency_symbol"`
}
