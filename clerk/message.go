package clerk

// Email is a mail that Clerk sent or asks the application to send. Its subject, body and
// data hold one-time codes in clear: never log or store it.
type Email struct {
	ID               string `json:"id"`
	Slug             string `json:"slug"`
	UserID           string `json:"user_id"`
	ToEmailAddress   string `json:"to_email_address"`
	Subject          string `json:"subject"`
	Body             string `json:"body"`
	BodyPlain        string `json:"body_plain"`
	Status           string `json:"status"`
	Data             Value  `json:"data"`
	DeliveredByClerk bool   `json:"delivered_by_clerk"`
}

// SMS is a text message that Clerk sent or asks the application to send; what is said of
// [Email] holds here too.
type SMS struct {
	ID               string `json:"id"`
	Slug             string `json:"slug"`
	UserID           string `json:"user_id"`
	ToPhoneNumber    string `json:"to_phone_number"`
	Message          string `json:"message"`
	Status           string `json:"status"`
	Data             Value  `json:"data"`
	DeliveredByClerk bool   `json:"delivered_by_clerk"`
}
