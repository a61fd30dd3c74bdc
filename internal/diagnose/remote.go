package diagnose

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/mirror"
)

const clerkAPI = "https://api.clerk.com"

// checkKeys checks whether tokens can be verified, and with the keys of which instance.
func (s *Subject) checkKeys(ctx context.Context) []mirror.Finding {
	switch {
	case !s.Settings.TokenKeys:
		return []mirror.Finding{doctor.Fail(s.remedy("Set CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY, CLERK_JWKS_URL or CLERK_JWT_KEY.",
			"Set Config.SecretKey, Config.PublishableKey, Config.JWKSURL or Config.JWTKey."),
			"There are no keys: no user can sign in.")}
	case s.Instance.RemoteKeys() == nil:
		return []mirror.Finding{doctor.Good("The key is configured (%s); none is fetched, and a rotation at Clerk is not noticed.", s.Algorithm)}
	}
	keys := s.Instance.RemoteKeys()
	if err := keys.Refresh(ctx); err != nil {
		if fetched := keys.Stats().Fetched; !fetched.IsZero() {
			return []mirror.Finding{doctor.Warn("Check the network and the key.", "The keys cannot be fetched (%v); those of %s serve.",
				err, fetched.UTC().Format(time.RFC3339))}
		}
		return []mirror.Finding{way("The server of the token keys",
			s.remedy("CLERK_JWKS_URL, else CLERK_API_URL", "Config.JWKSURL, else Config.APIURL"),
			s.remedy("Check the network, CLERK_API_URL or CLERK_JWKS_URL, and CLERK_SECRET_KEY.",
				"Check the network, Config.APIURL or Config.JWKSURL, and Config.SecretKey."), err)}
	}
	ids := keys.KeyIDs()
	if pin := s.InstanceID; pin != "" && reconcile.OtherInstance(ids, []string{pin}) {
		return []mirror.Finding{doctor.Fail(s.remedy("Correct CLERK_INSTANCE_ID, or use the keys of that instance.",
			"Correct Config.InstanceID, or use the keys of that instance."),
			"The keys are those of %s, not of the pinned %s.", strings.Join(ids, ", "), pin)}
	}
	return []mirror.Finding{doctor.Good("Fetched: %s.", strings.Join(ids, ", "))}
}

// checkSecretKey asks Clerk for the keys of the instance that the secret key belongs to.
func (s *Subject) checkSecretKey(ctx context.Context) []mirror.Finding {
	if !s.HasAPIKey {
		return nil
	}
	api, err := clerkapi.New(clerkapi.Config{SecretKey: s.SecretKey, URL: s.APIURL, Budget: s.APIBudget, Timeout: Limit / 2})
	if err != nil {
		return []mirror.Finding{doctor.Fail("Correct it.", "%v", err)}
	}
	defer api.Close()
	ids, err := api.KeyIDs(ctx, clerkapi.NoWait)
	switch {
	case errors.Is(err, clerkapi.ErrUnauthorized):
		return []mirror.Finding{doctor.Fail("Copy it again from the API keys page in the Clerk dashboard.", "Clerk refuses the secret key.")}
	case err != nil:
		return []mirror.Finding{way("Clerk's Backend API", s.remedy("CLERK_API_URL", "Config.APIURL"),
			s.remedy("Check the network, CLERK_API_URL and https://status.clerk.com.",
				"Check the network, Config.APIURL and https://status.clerk.com."), err)}
	}
	if pin := s.InstanceID; pin != "" && reconcile.OtherInstance(ids, []string{pin}) {
		return []mirror.Finding{doctor.Fail(s.remedy("Correct CLERK_INSTANCE_ID or CLERK_SECRET_KEY.", "Correct Config.InstanceID or Config.SecretKey."),
			"It is the key of %s, not of the pinned %s.", strings.Join(ids, ", "), pin)}
	}
	found := []mirror.Finding{doctor.Good("Clerk accepts it; it belongs to %s.", strings.Join(ids, ", "))}
	if s.Issuer == "" || s.APIURL != clerkAPI {
		return found // of an emulated Clerk only the Backend API can be reached
	}
	issued, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{URL: strings.TrimSuffix(s.Issuer, "/") + "/.well-known/jwks.json"})
	if err == nil {
		err = issued.Refresh(ctx)
	}
	switch {
	case err != nil:
		return append(found, doctor.Warn(s.remedy("Check CLERK_ISSUER and CLERK_PUBLISHABLE_KEY.", "Check Config.Issuer and Config.PublishableKey."),
			"The issuer's keys cannot be read: %v", err))
	case reconcile.OtherInstance(issued.KeyIDs(), ids):
		return append(found, doctor.Fail("Use the secret key and the publishable key of one instance.",
			"The issuer is another instance: %s.", strings.Join(issued.KeyIDs(), ", ")))
	}
	return append(found, doctor.Good("The issuer is the same instance."))
}

// way returns the finding about a server that cannot be reached, whose address is in a setting.
// remedy is for errors that say nothing about the network.
func way(server, setting, remedy string, err error) mirror.Finding {
	problem, advice := reach.Explain(err)
	if problem == "" {
		return doctor.Fail(remedy, "%s cannot be read: %v", server, err)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(failed.URL); err == nil {
			server += " at " + u.Host
		}
	}
	return doctor.Fail(advice+" The address is "+setting+".", "%s %s.", server, problem)
}

// probe returns a client that follows no redirect.
func probe() *http.Client {
	return &http.Client{
		Timeout:       Limit - time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkClock compares this clock with Clerk's. Webhooks are refused when they differ by five
// minutes.
func (s *Subject) checkClock(ctx context.Context) []mirror.Finding {
	if s.SecretKey == "" {
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, s.APIURL+"/v1/jwks", http.NoBody) // without a key: any answer has a date
	if err != nil {
		return nil // the check of the secret key reports the URL
	}
	before := time.Now()
	response, err := probe().Do(r)
	if err != nil {
		return nil
	}
	_ = response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return []mirror.Finding{doctor.Warn("Find the proxy that removes it.", "Clerk's answers have no Date header: the clocks cannot be compared.")}
	}
	middle := before.Add(time.Since(before) / 2)
	ahead := middle.Sub(date.Add(500 * time.Millisecond)).Round(time.Second) // the header is cut to seconds
	switch {
	case ahead.Abs() >= 4*time.Minute:
		return []mirror.Finding{doctor.Fail("Set this server's clock by NTP.", "This clock and Clerk's differ by %s: webhooks and tokens are refused.", ahead.Abs())}
	case ahead.Abs() >= 5*time.Second:
		return []mirror.Finding{doctor.Warn("Set this server's clock by NTP.", "This clock and Clerk's differ by %s: some tokens are refused.", ahead.Abs())}
	}
	return []mirror.Finding{doctor.Good("It agrees with Clerk's.")}
}

// checkRoute sends an unsigned webhook the way that Clerk sends signed ones: only this program
// refuses it in its way.
func (s *Subject) checkRoute(ctx context.Context) []mirror.Finding {
	if s.PublicURL == "" {
		return []mirror.Finding{doctor.Warn(s.remedy("Set CLERKSYNC_PUBLIC_URL to the address that Clerk's endpoint has.",
			"Set DoctorOptions.PublicURL to the address that Clerk's endpoint has."),
			"The public URL is not known: whether webhooks arrive is not checked.")}
	}
	u, err := url.Parse(strings.TrimSuffix(s.PublicURL, "/") + "/api/webhooks/clerk")
	if err != nil || u.Host == "" {
		return []mirror.Finding{doctor.Fail("Write it as https://auth.example.com.", "The public URL is no URL.")}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader("{}"))
	if err != nil {
		return []mirror.Finding{doctor.Fail("Write it as https://auth.example.com.", "The public URL is no URL.")}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "clerksync-doctor")
	response, err := probe().Do(r)
	if err != nil {
		return []mirror.Finding{way("The webhook route", s.remedy("CLERKSYNC_PUBLIC_URL", "DoctorOptions.PublicURL"),
			"Check DNS, certificate, firewall, and that the server runs behind it.", err)}
	}
	defer response.Body.Close()
	var problem struct{ Code string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	_ = json.Unmarshal(body, &problem)
	switch code := response.StatusCode; {
	case code >= 300 && code < 400:
		return []mirror.Finding{doctor.Fail("Give Clerk the final address: it follows no redirect.", "%s redirects (status %d).", u.Redacted(), code)}
	case code == http.StatusInternalServerError && problem.Code == "webhook_secret_unset":
		return []mirror.Finding{doctor.Fail(s.remedy("Set CLERK_WEBHOOK_SIGNING_SECRET where serve runs.", "Set Config.WebhookSecrets where the server runs."),
			"The server at %s has no webhook secret.", u.Redacted())}
	case code != http.StatusBadRequest || problem.Code != "invalid_signature":
		return []mirror.Finding{doctor.Fail("Let the proxy pass POST /api/webhooks/clerk to clerksync unchanged, without a sign-in before it.",
			"%s answers status %d, not as clerksync does.", u.Redacted(), code)}
	case u.Scheme != "https":
		return []mirror.Finding{doctor.Warn("Put a proxy with TLS before it.", "%s is reached and refuses what is not signed, but without https.", u.Redacted())}
	}
	return []mirror.Finding{doctor.Good("%s is reached and refuses what is not signed.", u.Redacted())}
}
