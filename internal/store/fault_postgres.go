package store

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"
)

const (
	remedyReach   = "Start Postgres, check host, port and firewall, or correct DATABASE_URL."
	remedyName    = "Correct the host in DATABASE_URL, or check the name server of this machine (/etc/resolv.conf)."
	remedyStarted = "Wait until it has started. If it does not, see its log."
	remedyLogin   = "Correct user and password in DATABASE_URL."
	remedyRights  = "Grant the role of DATABASE_URL what it needs, or use another role."
	remedySlots   = "Raise max_connections, or end what uses so many connections."
	remedyHBA     = "Allow this machine, the user and the database in pg_hba.conf, and reload Postgres."
)

// explainPostgres reads the SQLSTATE of
// https://www.postgresql.org/docs/current/errcodes-appendix.html and, where one code means several
// things, the English text.
func explainPostgres(err error, location string) fault {
	if answer, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return explainState(answer.SQLState(), answer.Error(), location)
	}
	if f := explainTLS(err); f.problem != "" {
		return f
	}
	dns, noName := errors.AsType[*net.DNSError](err)
	network, unreachable := errors.AsType[net.Error](err)
	switch {
	case noName && dns.IsNotFound:
		return fault{"cannot be found: no such host", remedyName, true}
	case noName:
		return fault{"cannot be found: the name server does not answer", remedyName, true}
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault{"cannot be reached: connection refused", remedyReach, true}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fault{"cannot be reached by its socket: " + cause(err), remedyReach, !errors.Is(err, fs.ErrPermission)}
	case errors.Is(err, context.DeadlineExceeded), unreachable && network.Timeout():
		return fault{"does not answer in time", remedyReach, true}
	case unreachable, strings.Contains(err.Error(), "failed to connect"), strings.Contains(err.Error(), "conn closed"):
		return fault{"cannot be reached", remedyReach, true}
	}
	return fault{}
}

// explainState explains an error that Postgres itself reported.
func explainState(state, text, location string) fault {
	switch {
	case strings.HasPrefix(state, "28"):
		return explainLogin(text)
	case state == "3D000":
		return fault{problem: "has no database of that name", remedy: "Create the database (" + createdb(location) + "), or correct its name in DATABASE_URL."}
	case state == "42501" && strings.Contains(text, "permission denied for schema"):
		return fault{
			problem: "does not let the role create tables in the schema",
			remedy: "As the owner of the database: GRANT USAGE, CREATE ON SCHEMA public TO the role of DATABASE_URL. " +
				"Since Postgres 15 a role does not have that by itself.",
		}
	case state == "42501":
		return fault{problem: "does not let the role do that", remedy: remedyRights}
	case state == "53300":
		return fault{"has no connection left", remedySlots, true}
	case state == "53100":
		return fault{problem: "has no room left on its disk", remedy: remedyRoom}
	case strings.HasPrefix(state, "57P"):
		return fault{"is starting or shutting down", remedyStarted, true}
	case state == "25006":
		return fault{problem: "is read-only", remedy: "Connect to the primary, not to a replica."}
	}
	return fault{}
}

// explainLogin explains why Postgres lets a role not in.
func explainLogin(text string) fault {
	switch {
	case strings.Contains(text, "pg_hba.conf") && (strings.Contains(text, "no encryption") || strings.Contains(text, "SSL off")):
		return fault{
			problem: "does not let this machine in, at least not without encryption",
			remedy:  "Add sslmode=require to DATABASE_URL. " + remedyHBA,
		}
	case strings.Contains(text, "pg_hba.conf"):
		return fault{problem: "does not let this machine in", remedy: remedyHBA}
	case strings.Contains(text, "does not exist"):
		return fault{problem: "has no role of that name", remedy: "Create the role (createuser --pwprompt NAME), or correct the user in DATABASE_URL."}
	case strings.Contains(text, "not permitted to log in"):
		return fault{problem: "does not let the role log in", remedy: "ALTER ROLE … LOGIN, or use another role in DATABASE_URL."}
	case strings.Contains(strings.ToLower(text), "peer authentication"):
		return fault{
			problem: "lets only the system user of the same name in by its socket",
			remedy:  "Run clerksync as that system user, or name a host and a password in DATABASE_URL.",
		}
	case strings.Contains(text, "password"):
		return fault{problem: "refuses the password", remedy: remedyLogin}
	}
	return fault{problem: "refuses the user or the password", remedy: remedyLogin}
}

// explainTLS explains why there is no encrypted connection.
func explainTLS(err error) fault {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, named := errors.AsType[x509.HostnameError](err)
	invalid, refused := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return fault{
			problem: "does not encrypt, and DATABASE_URL asks for it (sslmode)",
			remedy:  "Set ssl = on in postgresql.conf. In a network that you trust you can set sslmode=disable in DATABASE_URL.",
		}
	case unknown:
		return fault{
			problem: "has a certificate that this machine does not trust",
			remedy:  "Name the file with the root certificate in DATABASE_URL: sslrootcert=/path/to/root.pem.",
		}
	case named:
		return fault{problem: "has a certificate for another host name", remedy: "Use a name of the certificate as the host in DATABASE_URL."}
	case refused && invalid.Reason == x509.Expired:
		return fault{problem: "has a certificate that is not valid now", remedy: "Set this machine's clock by NTP. If the clock is right, renew the certificate."}
	case refused:
		return fault{problem: "has a certificate that cannot be used", remedy: "Renew the certificate of Postgres."}
	}
	return fault{}
}

// createdb returns the command that creates the database of a location.
func createdb(location string) string {
	command := "createdb"
	u, err := url.Parse(location)
	if err != nil || u.Path == "" {
		return command + " NAME"
	}
	if host := u.Hostname(); host != "" {
		command += " --host=" + host + " --port=" + u.Port()
	} else if folder := u.Query().Get("host"); folder != "" {
		command += " --host=" + folder
	}
	return command + " " + strings.TrimPrefix(u.Path, "/")
}
