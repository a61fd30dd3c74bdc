package emulator

import "slices"

// frontendRoutes are the endpoints of the Frontend API that are implemented, below /v1. All others
// return 501 and are counted.
func frontendRoutes() []frontRoute {
	return slices.Concat(clientRoutes(), personRoutes(), organizationRoutes())
}

// clientRoutes are the endpoints about the browser: signing in, up and out.
func clientRoutes() []frontRoute {
	return []frontRoute{
		{"GET", "/environment", (*Emulator).environment},
		{"PATCH", "/environment", (*Emulator).environment},
		{"POST", "/dev_browser", (*Emulator).createDevBrowser},
		{"GET", "/health", (*Emulator).frontendHealth},
		{"GET", "/client", (*Emulator).getClient},
		{"PUT", "/client", (*Emulator).createClient},
		{"POST", "/client", (*Emulator).createClient},
		{"DELETE", "/client", (*Emulator).deleteClient},
		{"GET", "/client/handshake", (*Emulator).handshakeClient},
		{"GET", "/tickets/accept", (*Emulator).acceptTicket},
		{"GET", "/verify", (*Emulator).verifyLink},

		{"POST", "/waitlist", (*Emulator).joinWaitlist},

		{"POST", "/client/sign_ins", (*Emulator).createSignIn},
		{"GET", "/client/sign_ins/{id}", (*Emulator).getSignIn},
		{"POST", "/client/sign_ins/{id}/prepare_first_factor", (*Emulator).prepareFirstFactor},
		{"POST", "/client/sign_ins/{id}/attempt_first_factor", (*Emulator).attemptFirstFactor},
		{"POST", "/client/sign_ins/{id}/prepare_second_factor", (*Emulator).prepareSecondFactor},
		{"POST", "/client/sign_ins/{id}/attempt_second_factor", (*Emulator).attemptSecondFactor},
		{"POST", "/client/sign_ins/{id}/reset_password", (*Emulator).resetPassword},

		{"POST", "/client/sign_ups", (*Emulator).createSignUp},
		{"GET", "/client/sign_ups/{id}", (*Emulator).getSignUp},
		{"PATCH", "/client/sign_ups/{id}", (*Emulator).updateSignUp},
		{"POST", "/client/sign_ups/{id}/prepare_verification", (*Emulator).prepareSignUpVerification},
		{"POST", "/client/sign_ups/{id}/attempt_verification", (*Emulator).attemptSignUpVerification},

		{"DELETE", "/client/sessions", (*Emulator).removeSessions},
		{"GET", "/client/sessions/{id}", (*Emulator).frontGetSession},
		{"POST", "/client/sessions/{id}/touch", (*Emulator).touchSession},
		{"POST", "/client/sessions/{id}/end", (*Emulator).endSession},
		{"POST", "/client/sessions/{id}/remove", (*Emulator).removeSession},
		{"POST", "/client/sessions/{id}/tokens", (*Emulator).frontToken},
		{"POST", "/client/sessions/{id}/tokens/{template}", (*Emulator).frontToken},
		{"POST", "/client/sessions/{id}/verify", (*Emulator).startVerification},
		{"GET", "/client/sessions/{id}/verify", (*Emulator).getVerification},
		{"POST", "/client/sessions/{id}/verify/prepare_first_factor", (*Emulator).prepareVerifyFirst},
		{"POST", "/client/sessions/{id}/verify/attempt_first_factor", (*Emulator).attemptVerifyFirst},
		{"POST", "/client/sessions/{id}/verify/prepare_second_factor", (*Emulator).prepareVerifySecond},
		{"POST", "/client/sessions/{id}/verify/attempt_second_factor", (*Emulator).attemptVerifySecond},
	}
}
