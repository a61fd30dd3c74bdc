package config

import "errors"

// consoleName is the setting with the name of the mirror in the console.
const consoleName = "CLERKSYNC_CONSOLE_NAME"

func consoleSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_OPERATOR_CONSOLE", Default: "on",
		Value:   "on or off",
		Summary: "Whether the operator console is served at /console/, at the address of CLERKSYNC_OPERATOR_LISTEN.",
		When:    "Set it to off where no one operates in a browser.",
		noun:    "console switch", why: "The console shows and changes the data of all users.",
		binding: bind(func(c *Config) *string { return &c.Console }, oneOf("on", "off")),
	}, {
		Name:    consoleName,
		Unset:   "the domain of the Clerk instance",
		Value:   "a text of 60 characters at most",
		Example: "Acme",
		Summary: "What the console calls this mirror, at the top of every page.",
		When:    "To tell several mirrors apart.",
		noun:    "name of the mirror", why: "The console shows it on every page.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.ConsoleName }, parseConsoleName),
	}, {
		Name:    "CLERKSYNC_CONSOLE_HOSTS",
		Unset:   "any name; on a loopback address, loopback names",
		Value:   "host names or IP addresses, without ports",
		Example: "ops.example.com",
		Summary: "The names by which browsers may reach the console. Requests for other names are refused.",
		When:    "Set it where the console is behind a proxy, which sends the name that the browser uses.",
		noun:    "host of the console", why: "A request for another name may come from a page that was made to point here.",
		binding: bind(func(c *Config) *[]string { return &c.ConsoleHosts }, listOf(parseHost)),
	}, {
		Name: "CLERKSYNC_CONSOLE_PAYLOADS", Default: "ask",
		Value:   "ask or show",
		Summary: "Whether the console shows bodies of deliveries and objects of Clerk only when asked, or at once. Private metadata is never shown.",
		When:    "Set it to show for test data.",
		noun:    "payload mode", why: "Payloads have personal data.",
		binding: bind(func(c *Config) *string { return &c.ConsolePayloads }, oneOf("ask", "show")),
	}}
}

// maxConsoleName is the greatest length of the name of a mirror.
const maxConsoleName = 60

func parseConsoleName(text string) (string, error) {
	if len([]rune(text)) > maxConsoleName {
		return "", errors.New("is longer than 60 characters")
	}
	return text, nil
}
