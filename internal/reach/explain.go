package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// Explain returns what is wrong with the way to a server, worded so that it follows the name of the
// server, and what to do. Both are "" for an error that is not about the network.
func Explain(err error) (problem, remedy string) {
	if problem, remedy = explainProxy(err); problem != "" {
		return problem, remedy
	}
	if problem, remedy = explainTLS(err); problem != "" {
		return problem, remedy
	}
	dns, unnamed := errors.AsType[*net.DNSError](err)
	network, ok := errors.AsType[net.Error](err)
	switch {
	case unnamed && dns.IsNotFound:
		return "cannot be found: no such host", "Correct the host, or check the name server of this machine (/etc/resolv.conf)."
	case unnamed:
		return "cannot be found: the name server does not answer", "Check the network and the name server of this machine (/etc/resolv.conf)."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection", "Correct the address, or check the firewall."
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "cannot be reached: no route to it", "Check the network of this machine and the firewall."
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "cannot be reached: too many open files", "Raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)."
	case errors.Is(err, context.DeadlineExceeded), ok && network.Timeout():
		return "does not answer in time", "Check the network and the firewall."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "cuts the connection", "Check the firewall and any proxy on the way."
	}
	return "", ""
}

func explainProxy(err error) (problem, remedy string) {
	const remedyProxy = "Correct HTTPS_PROXY, or list the host in NO_PROXY."
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "cannot be reached through the proxy: " + innermost(op.Err).Error(), remedyProxy
	}
	// net/http returns a proxy's refusal as an error with the text of its status alone.
	if failed, ok := errors.AsType[*url.Error](err); ok {
		for status := http.StatusBadRequest; status < 600; status++ {
			if text := http.StatusText(status); text != "" && failed.Err.Error() == text {
				return "cannot be reached: the proxy answers " + text, remedyProxy
			}
		}
	}
	return "", ""
}

// innermost returns the cause at the end of the chain.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func explainTLS(err error) (problem, remedy string) {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, named := errors.AsType[x509.HostnameError](err)
	invalid, refused := errors.AsType[x509.CertificateInvalidError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unknown:
		return "has a certificate that this machine does not trust",
			"If a proxy of yours decrypts the traffic, name the file with its root certificate in SSL_CERT_FILE. Else install ca-certificates."
	case named:
		return "has a certificate for another host name", "Correct the URL, or find out what answers in its place."
	case refused && invalid.Reason == x509.Expired:
		return "has a certificate that is not valid now", "Set this machine's clock by NTP. If it is right, something else answers in its place."
	case refused:
		return "has a certificate that cannot be used", "Find out what answers in its place."
	case plain, err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "does not speak TLS", "Correct the port or the scheme of the URL."
	}
	return "", ""
}
