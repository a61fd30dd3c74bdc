package clerk

import "encoding/json"

// User is Clerk's user object. UnsafeMetadata is written by the user: never take
// authority from it.
type User struct {
	ID                        string            `json:"id"`
	ExternalID                string            `json:"external_id"`
	Username                  string            `json:"username"`
	FirstName                 string            `json:"first_name"`
	LastName                  string            `json:"last_name"`
	Locale                    string            `json:"locale"`
	ImageURL                  string            `json:"image_url"`
	HasImage                  bool              `json:"has_image"`
	PrimaryEmailAddressID     string            `json:"primary_email_address_id"`
	PrimaryPhoneNumberID      string            `json:"primary_phone_number_id"`
	PrimaryWeb3WalletID       string            `json:"primary_web3_wallet_id"`
	EmailAddresses            []EmailAddress    `json:"email_addresses"`
	PhoneNumbers              []PhoneNumber     `json:"phone_numbers"`
	Web3Wallets               []Web3Wallet      `json:"web3_wallets"`
	Passkeys                  []Passkey         `json:"passkeys"`
	ExternalAccounts          []ExternalAccount `json:"external_accounts"`
	EnterpriseAccounts        []json.RawMessage `json:"enterprise_accounts"`
	SAMLAccounts              []json.RawMessage `json:"saml_accounts"`
	PasswordEnabled           bool              `json:"password_enabled"`
	TwoFactorEnabled          bool              `json:"two_factor_enabled"`
	TOTPEnabled               bool              `json:"totp_enabled"`
	BackupCodeEnabled         bool              `json:"backup_code_enabled"`
	MFAEnabledAt              Time              `json:"mfa_enabled_at"`
	MFADisabledAt             Time              `json:"mfa_disabled_at"`
	PublicMetadata            json.RawMessage   `json:"public_metadata"`
	PrivateMetadata           json.RawMessage   `json:"private_metadata"`
	UnsafeMetadata            json.RawMessage   `json:"unsafe_metadata"`
	Banned                    bool              `json:"banned"`
	Locked                    bool              `json:"locked"`
	LockoutExpiresInSeconds   *int64            `json:"lockout_expires_in_seconds"`
	VerificationAttemptsLeft  *int64            `json:"verification_attempts_remaining"`
	DeleteSelfEnabled         bool              `json:"delete_self_enabled"`
	CreateOrganizationEnabled bool              `json:"create_organization_enabled"`
	CreateOrganizationsLimit  *int64            `json:"create_organizations_limit"`
	LegalAcceptedAt           Time              `json:"legal_accepted_at"`
	LastSignInAt              Time              `json:"last_sign_in_at"`
	LastActiveAt              Time              `json:"last_active_at"` // to the day
	CreatedAt                 Time              `json:"created_at"`
	UpdatedAt                 Time              `json:"updated_at"`
	Raw                       json.RawMessage   `json:"-"`
}

// EmailAddress is one address of a user. It counts as verified only when
// Verification is there and its Status is "verified".
type EmailAddress struct {
	ID           string        `json:"id"`
	EmailAddress string        `json:"email_address"`
	Reserved     bool          `json:"reserved"`
	Verification *Verification `json:"verification"`
	LinkedTo     []LinkedTo    `json:"linked_to"`
	CreatedAt    Time          `json:"created_at"`
	UpdatedAt    Time          `json:"updated_at"`
}

// LinkedTo names an identification that an address came from.
type LinkedTo struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Verification is the state of proving an address or an account.
type Verification struct {
	Object   string `json:"object"`
	Status   string `json:"status"`
	Strategy string `json:"strategy"`
	Attempts *int64 `json:"attempts"`
	ExpireAt Time   `json:"expire_at"`
}

// PhoneNumber is one number of a user, in E.164.
type PhoneNumber struct {
	ID                      string        `json:"id"`
	PhoneNumber             string        `json:"phone_number"`
	ReservedForSecondFactor bool          `json:"reserved_for_second_factor"`
	DefaultSecondFactor     bool          `json:"default_second_factor"`
	Verification            *Verification `json:"verification"`
	CreatedAt               Time          `json:"created_at"`
	UpdatedAt               Time          `json:"updated_at"`
}

// Web3Wallet is one wallet of a user.
type Web3Wallet struct {
	ID           string        `json:"id"`
	Web3Wallet   string        `json:"web3_wallet"`
	Verification *Verification `json:"verification"`
}

// Passkey is one passkey of a user.
type Passkey struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	LastUsedAt Time   `json:"last_used_at"`
}

// ExternalAccount is a linked OAuth account.
type ExternalAccount struct {
	ID             string        `json:"id"`
	Provider       string        `json:"provider"`
	ProviderUserID string        `json:"provider_user_id"`
	EmailAddress   string        `json:"email_address"`
	ApprovedScopes string        `json:"approved_scopes"`
	Verification   *Verification `json:"verification"`
}

// Session is a signed-in device. Only "active" (and, for who opts in, "pending")
// sessions are usable.
type Session struct {
	ID                       string          `json:"id"`
	UserID                   string          `json:"user_id"`
	ClientID                 string          `json:"client_id"`
	Status                   string          `json:"status"`
	Actor                    json.RawMessage `json:"actor"` // who impersonates, else null
	LastActiveOrganizationID string          `json:"last_active_organization_id"`
	LastActiveAt             Time            `json:"last_active_at"`
	ExpireAt                 Time            `json:"expire_at"`
	AbandonAt                Time            `json:"abandon_at"`
	CreatedAt                Time            `json:"created_at"`
	UpdatedAt                Time            `json:"updated_at"`
	User                     *User           `json:"user"` // as it was at the time of the event
	Raw                      json.RawMessage `json:"-"`
}
