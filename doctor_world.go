package clerksync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/mirror"
)

const clerkAPI = "https://api.clerk.com"

// checkKeys looks whether tokens can be verified, and with whose keys.
func (m *Mirror) checkKeys(ctx context.Context) []mirror.Finding {
	switch {
	case m.tokens == nil:
		return []mirror.Finding{doctor.Fail("Set CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY, CLERK_JWKS_URL or CLERK_JWT_KEY.",
			"There are no keys: nobody can sign in.")}
	case m.instance.RemoteKeys() == nil:
		return []mirror.Finding{doctor.Good("The key is configured (%s); none is fetched, and a rotation at Clerk is not noticed.", m.config.JWTAlgorithm)}
	}
	keys := m.instance.RemoteKeys()
	if err := keys.Refresh(ctx); err != nil {
		if fetched := keys.Stats().Fetched; !fetched.IsZero() {
			return []mirror.Finding{doctor.Warn("Check the network and the key.", "The keys can not be fetched (%v); those of %s serve.",
				err, fetched.UTC().Format(time.RFC3339))}
		}
		return []mirror.Finding{doctor.Fail("Check the network, CLERK_API_URL or CLERK_JWKS_URL, and CLERK_SECRET_KEY.", "The keys can not be fetched: %v", err)}
	}
	ids := keys.KeyIDs()
	if pin := m.config.InstanceID; pin != "" && reconcile.OtherInstance(ids, []string{pin}) {
		return []mirror.Finding{doctor.Fail("Correct CLERK_INSTANCE_ID, or take the keys of that instance.",
			"The keys are those of %s, not of the pinned %s.", strings.Join(ids, ", "), pin)}
	}
	return []mirror.Finding{doctor.Good("Fetched: %s.", strings.Join(ids, ", "))}
}

// checkSecretKey asks Clerk for the keys of the instance that the secret key belongs to.
func (m *Mirror) checkSecretKey(ctx context.Context) []mirror.Finding {
	if m.config.SecretKey == "" || m.config.JWTAlgorithm == auth.HS256 && m.config.JWTKey == "" {
		return nil
	}
	api, err := clerkapi.New(clerkapi.Config{SecretKey: m.config.SecretKey, URL: m.config.APIURL, Budget: m.config.APIBudget, Timeout: checkTime / 2})
	if err != nil {
		return []mirror.Finding{doctor.Fail("Correct it.", "%v", err)}
	}
	defer api.Close()
	ids, err := api.KeyIDs(ctx, clerkapi.NoWait)
	switch {
	case errors.Is(err, clerkapi.ErrUnauthorized):
		return []mirror.Finding{doctor.Fail("Copy it anew from the API keys page in the Clerk dashboard.", "Clerk refuses the secret key.")}
	case err != nil:
		return []mirror.Finding{doctor.Fail("Check the network, CLERK_API_URL and https://status.clerk.com.", "Clerk's Backend API can not be asked: %v", err)}
	}
	if pin := m.config.InstanceID; pin != "" && reconcile.OtherInstance(ids, []string{pin}) {
		return []mirror.Finding{doctor.Fail("Correct CLERK_INSTANCE_ID or CLERK_SECRET_KEY.",
			"It is the key of %s, not of the pinned %s.", strings.Join(ids, ", "), pin)}
	}
	found := []mirror.Finding{doctor.Good("Clerk takes it; it is that of %s.", strings.Join(ids, ", "))}
	if m.config.Issuer == "" || m.config.APIURL != clerkAPI {
		return found // of an emulated Clerk only the Backend API can be reached
	}
	issued, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{URL: strings.TrimSuffix(m.config.Issuer, "/") + "/.well-known/jwks.json"})
	if err == nil {
		err = issued.Refresh(ctx)
	}
	switch {
	case err != nil:
		return append(found, doctor.Warn("Check CLERK_ISSUER and CLERK_PUBLISHABLE_KEY.", "The issuer's keys can not be read: %v", err))
	case reconcile.OtherInstance(issued.KeyIDs(), ids):
		return append(found, doctor.Fail("Take secret key and publishable key of one instance.",
			"The issuer is another instance: %s.", strings.Join(issued.KeyIDs(), ", ")))
	}
	return append(found, doctor.Good("The issuer is the same instance."))
}

// probe is a client that goes nowhere but where it is sent.
func probe() *http.Client {
	return &http.Client{
		Timeout:       checkTime - time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkClock compares this clock with Clerk's. Webhooks are refused when they differ by five minutes.
func (m *Mirror) checkClock(ctx context.Context) []mirror.Finding {
	if m.config.SecretKey == "" {
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, m.config.APIURL+"/v1/jwks", http.NoBody) // without a key: any answer has a date
	if err != nil {
		return nil // the secret key's check tells of the URL
	}
	before := time.Now()
	response, err := probe().Do(r)
	if err != nil {
		return nil
	}
	_ = response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return []mirror.Finding{doctor.Warn("Look for a proxy that takes it away.", "Clerk's answers have no Date: clocks can not be compared.")}
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

// checkRoute sends an unsigned webhook the way that Clerk sends signed ones: only this program refuses it in its way.
func (m *Mirror) checkRoute(ctx context.Context, public string) []mirror.Finding {
	if public == "" {
		return []mirror.Finding{doctor.Warn("Set CLERKSYNC_PUBLIC_URL to the address that Clerk's endpoint has.",
			"The public URL is not known: whether webhooks arrive is not checked.")}
	}
	u, err := url.Parse(strings.TrimSuffix(public, "/") + "/api/webhooks/clerk")
	if err != nil || u.Host == "" {
		return []mirror.Finding{doctor.Fail("Write it as https://auth.example.com.", "CLERKSYNC_PUBLIC_URL is no URL.")}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader("{}"))
	if err != nil {
		return []mirror.Finding{doctor.Fail("Write it as https://auth.example.com.", "CLERKSYNC_PUBLIC_URL is no URL.")}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "clerksync-doctor")
	response, err := probe().Do(r)
	if err != nil {
		return []mirror.Finding{doctor.Fail("Check DNS, certificate, firewall, and that clerksync serve runs behind it.",
			"%s does not answer: %v", u.Redacted(), err)}
	}
	defer response.Body.Close()
	var problem struct{ Code string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	_ = json.Unmarshal(body, &problem)
	switch status := response.StatusCode; {
	case status >= 300 && status < 400:
		return []mirror.Finding{doctor.Fail("Give Clerk the final address: it follows no redirect.", "%s redirects (status %d).", u.Redacted(), status)}
	case status == http.StatusInternalServerError && problem.Code == "webhook_secret_unset":
		return []mirror.Finding{doctor.Fail("Set CLERK_WEBHOOK_SIGNING_SECRET where serve runs.", "The server at %s has no webhook secret.", u.Redacted())}
	case status != http.StatusBadRequest || problem.Code != "invalid_signature":
		return []mirror.Finding{doctor.Fail("Let the proxy pass POST /api/webhooks/clerk to clerksync unchanged, without a sign-in before it.",
			"%s answers status %d, not as clerksync does.", u.Redacted(), status)}
	case u.Scheme != "https":
		return []mirror.Finding{doctor.Warn("Put a proxy with TLS before it.", "%s is reached and refuses what is not signed, but without https.", u.Redacted())}
	}
	return []mirror.Finding{doctor.Good("%s is reached and refuses what is not signed.", u.Redacted())}
}

// checkEvents repeats what health says of the rows.
func (m *Mirror) checkEvents(ctx context.Context) []mirror.Finding {
	f := m.readFacts(ctx)
	if err := cmp.Or(f.databaseErr, f.storedErr); err != nil {
		return []mirror.Finding{unreadable(err)}
	}
	m.completeFacts(f)
	warnings := slices.DeleteFunc(warningsOf(ctx, f, dataWarners()), func(w mirror.Warning) bool {
		return w.Code == "not_in_sync" // checkFreshness has the reasons
	})
	found := findingsOf(warnings)
	switch {
	case f.stored.head.LastReceivedAt == 0:
		return append(found, mirror.Finding{
			Severity: mirror.FindingInfo, Text: "No event has come yet.", Remedy: "Send a test event from the endpoint's page in the Clerk dashboard.",
		})
	case len(found) > 0:
		return found
	}
	return []mirror.Finding{doctor.Good("Events arrive and all were applied.")}
}

func unreadable(err error) mirror.Finding {
	return doctor.Fail("Check the database.", "The rows can not be read: %v", err)
}

// checkSubscriptions looks for kinds that drift because no event of them has ever come.
func (m *Mirror) checkSubscriptions(ctx context.Context) []mirror.Finding {
	drift, err := m.db.Drift(ctx, mirror.DriftFilter{Limit: 500})
	if err != nil {
		return []mirror.Finding{unreadable(err)}
	}
	counts, err := m.db.Counts(ctx)
	if err != nil {
		return []mirror.Finding{unreadable(err)}
	}
	var missed, silent []string
	heard := 0
	for _, kind := range reconcile.Kinds() {
		types := kind.EventPrefix()
		yes, err := m.db.EventSeen(ctx, types)
		if err != nil {
			return []mirror.Finding{unreadable(err)}
		}
		drifted := slices.ContainsFunc(drift.Items, func(d mirror.Drift) bool { return d.Kind == kind && d.Cause == mirror.CauseNotSubscribed })
		switch {
		case yes:
			heard++
		case drifted:
			missed = append(missed, types+"*")
		case counts.Live[kind] > 0:
			silent = append(silent, types+"*")
		}
	}
	switch {
	case len(missed) > 0:
		return []mirror.Finding{doctor.Warn("Subscribe the endpoint to them in the Clerk dashboard.",
			"Clerk changed what no event has told of: %s.", strings.Join(missed, ", "))}
	case heard > 0 && len(silent) > 0:
		return []mirror.Finding{doctor.Good("No event of %s has come yet, nor was one missed.", strings.Join(silent, ", "))}
	case heard > 0:
		return []mirror.Finding{doctor.Good("Events of every kind that has rows have come.")}
	}
	return nil // that none has come at all, the check of events says
}

// checkFreshness reports whether the mirror is proven to equal Clerk, and why not.
func (m *Mirror) checkFreshness(ctx context.Context) []mirror.Finding {
	if m.reconciler == nil {
		return nil
	}
	facts, err := m.syncFacts(ctx, clerk.TimeOf(m.config.Test.Now()))
	if err != nil {
		return []mirror.Finding{unreadable(err)}
	}
	reasons := status.Assess(&facts)
	if len(reasons) == 0 {
		return []mirror.Finding{doctor.Good("In sync: %s.", status.Sentence(&facts, nil))}
	}
	var found []mirror.Finding
	for _, r := range status.Merge(reasons) {
		found = append(found, doctor.Warn(strings.ToUpper(r.Remedy[:1])+r.Remedy[1:]+".", "Not in sync: %s.", r.Message))
	}
	return found
}

// checkInstance is a check of [Diagnose]: whether the configured keys are those of the database's instance.
func (m *Mirror) checkInstance(ctx context.Context) []mirror.Finding {
	err := m.FetchKeys(ctx)
	if !errors.Is(err, ErrOtherInstance) {
		return nil // other checks say what is wrong with the keys
	}
	known := m.db.Settings().Instance
	return []mirror.Finding{doctor.Fail("Use another database, or the keys of "+known+".", "%v.", err)}
}
