package clerk

import "encoding/json"

// Subscription is what a payer (a user or an organization) subscribes to.
type Subscription struct {
	ID              string             `json:"id"`
	Status          string             `json:"status"`
	PayerID         string             `json:"payer_id"`
	Payer           *Payer             `json:"payer"`
	LatestPaymentID string             `json:"latest_payment_id"`
	Items           []SubscriptionItem `json:"items"`
	ActiveAt        Time               `json:"active_at"`
	CanceledAt      Time               `json:"canceled_at"`
	EndedAt         Time               `json:"ended_at"`
	PastDueAt       Time               `json:"past_due_at"`
	CreatedAt       Time               `json:"created_at"`
	UpdatedAt       Time               `json:"updated_at"`
	Raw             json.RawMessage    `json:"-"`
}

// Payer is who pays. UserID or OrganizationID is "" where it is the other.
type Payer struct {
	ID             string `json:"id"`
	UserID         string `json:"user_id"`
	OrganizationID string `json:"organization_id"`
	Email          string `json:"email"`
}

// SubscriptionItem is one plan of a subscription.
type SubscriptionItem struct {
	ID             string          `json:"id"`
	SubscriptionID string          `json:"subscription_id"`
	Status         string          `json:"status"`
	Interval       string          `json:"interval"`
	IsFreeTrial    bool            `json:"is_free_trial"`
	PlanID         string          `json:"plan_id"`
	Plan           *Plan           `json:"plan"`
	Payer          *Payer          `json:"payer"`
	PeriodStart    Time            `json:"period_start"`
	PeriodEnd      Time            `json:"period_end"`
	CreatedAt      Time            `json:"created_at"`
	UpdatedAt      Time            `json:"updated_at"`
	Raw            json.RawMessage `json:"-"`
}

// Plan is what can be subscribed to. Amount is in minor units of Currency.
type Plan struct {
	ID          string `json:"id"`
	Slug        string `json:"slug"`
	Name        string `json:"name"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
	IsRecurring bool   `json:"is_recurring"`
}

// PaymentAttempt is one try to collect a payment.
type PaymentAttempt struct {
	ID         string          `json:"id"`
	PaymentID  string          `json:"payment_id"`
	Status     string          `json:"status"` // pending, then paid or failed
	ChargeType string          `json:"charge_type"`
	Payer      *Payer          `json:"payer"`
	PaidAt     Time            `json:"paid_at"`
	FailedAt   Time            `json:"failed_at"`
	CreatedAt  Time            `json:"created_at"`
	UpdatedAt  Time            `json:"updated_at"`
	Raw        json.RawMessage `json:"-"`
}

// WaitlistEntry is an address that asked to be let in.
type WaitlistEntry struct {
	ID           string          `json:"id"`
	EmailAddress string          `json:"email_address"`
	Status       string          `json:"status"`
	IsLocked     bool            `json:"is_locked"`
	Invitation   json.RawMessage `json:"invitation"`
	CreatedAt    Time            `json:"created_at"`
	UpdatedAt    Time            `json:"updated_at"`
	Raw          json.RawMessage `json:"-"`
}
