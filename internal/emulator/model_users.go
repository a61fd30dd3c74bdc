package emulator

// Verification says how an address was verified.
type Verification struct {
	Object   string `json:"object"`
	Status   string `json:"status"`
	Strategy string `json:"strategy"`
	Attempts *int   `json:"attempts"`
	ExpireAt *int64 `json:"expire_at"`
}

// status returns verified, unverified, expired or failed. No verification is an unverified one.
func (v *Verification) status() string {
	if v == nil {
		return "unverified"
	}
	return v.Status
}

// Link links an address to the account that it came from.
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

// Activity is the device and place of a session.
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

	verifiedAt [2]int64        // when the first and the second factor were verified; 0 means never
	stepUp     *reverification // under way, or the last one
}

// Task is what the user of a pending session must still do.
type Task struct {
	Key string `json:"key"`
}
