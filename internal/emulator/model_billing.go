package emulator

// Subscription is what a user or an organization pays for, as webhooks have it.
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

// Payer is the user or the organization that pays. Fields of the other are empty, as at Clerk.
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

	times itemTimes
}

// Plan is what a subscription buys. Tokens name its features.
type Plan struct {
	ID          string `json:"id"`
	Slug        string `json:"slug"`
	Name        string `json:"name"`
	IsRecurring bool   `json:"is_recurring"`
	Amount      int    `json:"amount"`
	Currency    string `json:"currency"`

	features []string
}

// SubscriptionAnswer is a subscription as the Backend API has it, with other names than in
// webhooks.
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

// PlanAnswer is a plan as the Backend API has it.
type PlanAnswer struct {
	Object           string    `json:"object"`
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Slug             string    `json:"slug"`
	Description      *string   `json:"description"`
	IsDefault        bool      `json:"is_default"`
	IsRecurring      bool      `json:"is_recurring"`
	ProductID        string    `json:"product_id"`
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

// Feature is a feature of a plan.
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
