package config

// Forms of values that several settings have.
const (
	originValue = "origins as browsers send them, such as https://app.example.com or http://localhost:3000: in lower case, " +
		"without path and default port"
	urlValue   = "an https URL without user, query and fragment; plain http only to a loopback address"
	tokenValue = "at least 32 printable characters without spaces, such as the output of `openssl rand -hex 32`" //nolint:gosec // a form, not a token
)

func listenerSettings() []Setting {
	return []Setting{{
		Name: configName, Flag: "--config",
		Unset:   "no file is read",
		Value:   "the path of a readable YAML file",
		Summary: "The YAML file with settings. Flags and environment variables take precedence over it.",
		When:    "To keep settings in a file instead of the environment.",
		noun:    "configuration file", why: "Its settings are not used.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.File }, anyText),
	}, {
		Name: listenName, Aliases: []string{portName}, Flag: "--listen", Default: ":8080",
		Value:   "host:port or :port; in PORT the number alone",
		Summary: "The address of the public listener: webhooks and authentication.",
		When:    "To use another port, or only one interface.",
		noun:    "listen address", why: "The server cannot open its port.",
		binding: bind(func(c *Config) *string { return &c.Listen }, parseListen),
	}, {
		Name: operatorListenName, Flag: "--operator-listen", Default: "127.0.0.1:8081",
		Value: "host:port, :port, public or off",
		Summary: "The address of the operator listener: the operator API, metrics, health with figures and profiles. " +
			"public serves the operator API at CLERKSYNC_LISTEN, where everyone has to sign in, and no metrics or profiles.",
		When: "To reach it from other machines; CLERKSYNC_OPERATOR_TOKEN is then required. public, where there is one port.",
		noun: "operator listen address", why: "Metrics and the operator API are served at this address.",
		binding: bind(func(c *Config) *string { return &c.OperatorListen }, parseOperatorListen),
	}, {
		Name: operatorTokenName, Secret: true,
		Unset:   "the operator API is open to named operators only",
		Value:   tokenValue,
		Summary: "The token of the unnamed operator, who sends it as a bearer token. `clerksync operators add` gives each person a token of their own.",
		When:    "Set it to use the operator API without named operators, or where other machines reach the operator listener.",
		noun:    "operator token", why: "Anyone who guesses it controls this server.",
		binding: bind(func(c *Config) *string { return &c.OperatorToken }, parseOperatorToken),
	}, {
		Name: "CLERKSYNC_OPERATOR_METRICS", Default: "token",
		Value:   "token or open",
		Summary: "Whether /metrics needs the operator token where other machines reach the operator listener.",
		When:    "To let Prometheus read metrics without a token, in a network that you trust.",
		noun:    "operator metrics mode", why: "Metrics show how much happens here to anyone who reaches the listener.",
		binding: bind(func(c *Config) *string { return &c.OperatorMetrics }, oneOf("token", "open")),
	}, {
		Name: "CLERKSYNC_PUBLIC_URL", Flag: "--public-url",
		Unset:   "doctor does not try the webhook route",
		Value:   urlValue,
		Example: "https://auth.example.com",
		Summary: "The URL at which Clerk reaches this server. `clerksync doctor` tries the webhook route there.",
		When:    "Set it to let doctor check the way from Clerk to this server.",
		noun:    "public URL", why: "clerksync doctor calls this address.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.PublicURL }, parseBaseURL),
	}, {
		Name:    "CLERKSYNC_CORS_ORIGINS",
		Unset:   "no other origin",
		Value:   originValue,
		Example: "https://app.example.com",
		Summary: "Origins whose pages may call /api/auth/me from a browser.",
		When:    "When a front end on another origin calls this server.",
		noun:    "CORS origin", why: "Requests from other origins are refused by an exact comparison.",
		binding: bind(func(c *Config) *[]string { return &c.CORSOrigins }, listOf(parseOrigin)),
	}}
}

func logSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_LOG_LEVEL", Flag: "--log-level", Default: "info",
		Value:   "debug, info, warn or error",
		Summary: "The lowest level that is logged.",
		When:    "debug to investigate a problem.",
		noun:    "log level", why: "The log would contain too much or too little.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.LogLevel }, oneOf("debug", "info", "warn", "error")),
	}, {
		Name: "CLERKSYNC_LOG_FORMAT", Flag: "--log-format", Default: "json",
		Value:   "json or text",
		Summary: "The format of the log.",
		When:    "text for reading in a terminal.",
		noun:    "log format", why: "Programs that read the log expect one of the two.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.LogFormat }, oneOf("json", "text")),
	}}
}
