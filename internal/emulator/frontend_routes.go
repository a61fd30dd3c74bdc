package emulator

// frontendRoutes are the endpoints of the Frontend API that are implemented, below /v1. All others
// return 501 and are counted.
func frontendRoutes() []frontRoute {
	return []frontRoute{
		{"GET", "/environment", (*Emulator).environment},
		{"PATCH", "/environment", (*Emulator).environment},
		{"POST", "/dev_browser", (*Emulator).createDevBrowser},
		{"GET", "/health", (*Emulator).frontendHealth},
		{"GET", "/client", (*Emulator).getClient},
		{"PUT", "/client", (*Emulator).createClient},
		{"POST", "/client", (*Emulator).createClient},
		{"DELETE", "/client", (*Emulator).deleteClient},
	}
}
