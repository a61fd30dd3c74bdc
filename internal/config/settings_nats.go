package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// NATS says how the change feed is published to NATS JetStream.
type NATS struct {
	URL         string // of one or more servers, separated by commas; empty: nothing is published
	Credentials string // content of a .creds file
	CA          string // PEM text
	Cert        string // PEM text of the client certificate
	Key         string // PEM text of its key
	Stream      string
	Prefix      string
}

const (
	natsURLName         = "CLERKSYNC_NATS_URL"
	natsCredentialsName = "CLERKSYNC_NATS_CREDENTIALS" //nolint:gosec // a name
	natsCAName          = "CLERKSYNC_NATS_CA"
	natsCertName        = "CLERKSYNC_NATS_CERT"
	natsKeyName         = "CLERKSYNC_NATS_KEY"
)

func natsSettings() []Setting {
	return slices.Concat([]Setting{{
		Name: natsURLName, Secret: true,
		Unset:   "nothing is published to NATS",
		Value:   "nats://, tls://, ws:// or wss:// URLs separated by commas, with a user and a password if the servers need them",
		Summary: "The NATS servers to which the change feed is published. The other servers of their cluster are found through them.",
		When:    "To let other systems follow the changes in a JetStream stream.",
		noun:    "NATS URL", why: "Nothing can be published to NATS.",
		binding: bind(func(c *Config) *string { return &c.NATS.URL }, parseNATSURL),
	}}, natsTLSSettings(), []Setting{{
		Name: "CLERKSYNC_NATS_STREAM", Default: "CLERK",
		Value:   "a name without spaces and . * > / \\",
		Summary: "The stream that stores the changes. The server makes it if there is none.",
		When:    "When several mirrors are published to the same NATS account: each needs a stream of its own.",
		noun:    "NATS stream", why: "The stream cannot have this name.",
		binding: bind(func(c *Config) *string { return &c.NATS.Stream }, parseNATSToken),
	}, {
		Name: "CLERKSYNC_NATS_PREFIX", Default: "clerk",
		Value:   "tokens separated by dots, without spaces and wildcards",
		Summary: "The first part of the subjects, as in clerk.user.created.",
		When:    "Together with CLERKSYNC_NATS_STREAM.",
		noun:    "NATS prefix", why: "Subjects cannot begin with it.",
		binding: bind(func(c *Config) *string { return &c.NATS.Prefix }, parseNATSPrefix),
	}})
}

func natsTLSSettings() []Setting {
	return []Setting{{
		Name: natsCredentialsName, Secret: true, multiline: true,
		Unset:   "no credentials",
		Value:   "the content of a .creds file; usually CLERKSYNC_NATS_CREDENTIALS_FILE names it",
		Summary: "The user JWT and its seed, with which the server authenticates itself to NATS.",
		When:    "When the NATS servers use JWTs.",
		noun:    "NATS credentials", why: "The NATS servers refuse the connection.",
		binding: bind(func(c *Config) *string { return &c.NATS.Credentials }, parseNATSCredentials),
	}, {
		Name: natsCAName, multiline: true,
		Unset:   "the certificate authorities of the system",
		Value:   "PEM text of one or more certificates; usually CLERKSYNC_NATS_CA_FILE names its file",
		Summary: "The authorities that sign the certificates of the NATS servers.",
		When:    "When the NATS servers have certificates of a private authority.",
		noun:    "NATS certificate authority", why: "The NATS servers cannot be authenticated.",
		binding: bind(func(c *Config) *string { return &c.NATS.CA }, parseCertificates),
	}, {
		Name: natsCertName, multiline: true,
		Unset:   "no client certificate",
		Value:   "PEM text of a certificate; usually CLERKSYNC_NATS_CERT_FILE names its file",
		Summary: "The client certificate for the NATS servers.",
		When:    "When the NATS servers verify their clients.",
		noun:    "NATS client certificate", why: "The NATS servers refuse the connection.",
		binding: bind(func(c *Config) *string { return &c.NATS.Cert }, parseCertificates),
	}, {
		Name: natsKeyName, Secret: true, multiline: true,
		Unset:   "no client certificate",
		Value:   "PEM text of the key of CLERKSYNC_NATS_CERT; usually CLERKSYNC_NATS_KEY_FILE names its file",
		Summary: "The private key of the client certificate.",
		When:    "Together with CLERKSYNC_NATS_CERT.",
		noun:    "NATS client key", why: "The NATS servers refuse the connection.",
		binding: bind(func(c *Config) *string { return &c.NATS.Key }, anyText),
	}}
}

// parseNATSURL checks the URLs of NATS servers. No error quotes a part of them.
func parseNATSURL(text string) (string, error) {
	for server := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		switch {
		case err != nil || !validHostPort(u.Host):
			return "", errors.New("is not an absolute URL")
		case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			return "", errors.New("is neither nats, tls, ws nor wss")
		}
	}
	return text, nil
}

func parseNATSToken(text string) (string, error) {
	if strings.ContainsAny(text, " \t.*>/\\") {
		return "", errors.New("contains a space or one of . * > / \\")
	}
	return text, nil
}

func parseNATSPrefix(text string) (string, error) {
	for token := range strings.SplitSeq(text, ".") {
		if _, err := parseNATSToken(token); err != nil || token == "" || strings.HasPrefix(text, "$") {
			return "", errors.New("is not a subject")
		}
	}
	return text, nil
}

func parseNATSCredentials(text string) (string, error) {
	if !strings.Contains(text, "BEGIN NATS USER JWT") || !strings.Contains(text, "BEGIN USER NKEY SEED") {
		return "", valueError{
			"are not the content of a .creds file", "Use the file that nsc generate creds writes, and name it in CLERKSYNC_NATS_CREDENTIALS_FILE.",
		}
	}
	return text, nil
}

// parseCertificates checks a PEM text of certificates.
func parseCertificates(text string) (string, error) {
	found := false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return "", errors.New("is PEM text of something else than certificates")
		}
		found = true
	}
	if !found {
		return "", errors.New("is not the PEM text of a certificate")
	}
	return text, nil
}

// checkNATS checks what concerns several settings of NATS.
func (l *loader) checkNATS() {
	c := l.config.NATS
	if l.unknown(natsURLName, natsCertName, natsKeyName, natsCAName, natsCredentialsName) {
		return
	}
	switch {
	case c.Cert != "" && c.Key == "":
		l.fault(l.settings[natsKeyName], valueError{"is unset, and there is a client certificate", "Set CLERKSYNC_NATS_KEY_FILE, or unset " + natsCertName + "."})
		return
	case c.Cert == "" && c.Key != "":
		l.fault(l.settings[natsCertName], valueError{"is unset, and there is a client key", "Set CLERKSYNC_NATS_CERT_FILE, or unset " + natsKeyName + "."})
		return
	}
	if c.Cert != "" {
		if _, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key)); err != nil {
			l.fault(l.settings[natsKeyName], valueError{"does not belong to the client certificate", "Set the key with which the certificate was made."})
		}
	}
	for _, name := range []string{natsCredentialsName, natsCAName, natsCertName} {
		if c.URL == "" && l.written[name] != "" {
			l.warn(l.written[name], l.settings[name].noun+" has no effect", "Nothing is published to NATS without "+natsURLName+".",
				"Set "+natsURLName+", or unset the name.")
		}
	}
}
