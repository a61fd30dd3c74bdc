package judges

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// startPlain serves the page without a framework, from an origin of its own.
func (w *world) startPlain(t *testing.T) {
	t.Helper()
	page, err := template.ParseFiles(filepath.Join(w.folder, "plain", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(rw, w.keys)
	}))
	t.Cleanup(server.Close)
	w.plain = onLocalhost(server.URL)
}

// open opens the page without a framework, and waits for clerk-js.
func openPlain(p *browsertest.Tab) {
	p.Helper()
	p.Open("/")
	p.Until("clerk-js has loaded", "String(window.Clerk && Clerk.loaded)", func(text string) bool { return text == "true" })
}

// The whole life of an account, by calls of clerk-js.
func (w *world) judgePlain(t *testing.T) {
	t.Parallel()
	p := w.tab(t, w.plain)
	openPlain(p)
	const email = "plain@example.com"
	if got := run[string](p, `
		const signUp = await Clerk.client.signUp.create({ emailAddress: %q, password: %q, firstName: "Plain", lastName: "Page" });
		await signUp.prepareEmailAddressVerification();
		return signUp.status`, email, password); got != "missing_requirements" {
		t.Fatalf("the sign-up is %s, want missing_requirements", got)
	}
	p.Expect("status of 422")
	if got := run[string](p, `return Clerk.client.signUp.attemptEmailAddressVerification({ code: "000000" }).then(String, e => e.errors[0].code)`); got != "form_code_incorrect" {
		t.Errorf("a wrong code is refused with %s", got)
	}
	got := run[string](p, `
		const signUp = await Clerk.client.signUp.attemptEmailAddressVerification({ code: %q });
		await Clerk.setActive({ session: signUp.createdSessionId });
		return signUp.status + " " + Clerk.user.primaryEmailAddress.emailAddress + " " + Clerk.user.fullName`, w.code(t, email))
	if want := "complete " + email + " Plain Page"; got != want {
		t.Errorf("after the sign-up: %s, want %s", got, want)
	}
	w.signInAndOut(t, p, email)
}

// signInAndOut signs out, in by password, and in by code.
func (w *world) signInAndOut(t *testing.T, p *browsertest.Tab, email string) {
	t.Helper()
	run[bool](p, `await Clerk.signOut(() => {}); return true`)
	if got := run[bool](p, `return Clerk.user === null && Clerk.session === null && !document.cookie.includes("__session=")`); !got {
		t.Error("somebody is signed in after the sign-out")
	}
	if got := run[string](p, `return Clerk.client.signIn.create({ identifier: %q, password: "wrong password" }).then(String, e => e.errors[0].code)`,
		email); got != "form_password_incorrect" {
		t.Errorf("a wrong password is refused with %s", got)
	}
	claims := run[map[string]any](p, `
		const signIn = await Clerk.client.signIn.create({ identifier: %q, password: %q });
		await Clerk.setActive({ session: signIn.createdSessionId });
		const token = await Clerk.session.getToken();
		return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))`, email, password)
	if claims["azp"] != w.plain || claims["iss"] != w.keys.Issuer || claims["sub"] == "" {
		t.Errorf("the token claims %v, want azp %s and iss %s", claims, w.plain, w.keys.Issuer)
	}
	pictures(p, "/", "p", "plain")
	openPlain(p)
	if got := run[string](p, `return Clerk.user?.primaryEmailAddress.emailAddress`); got != email {
		t.Errorf("after a reload %q is signed in, want %s", got, email)
	}
	run[bool](p, `
		await Clerk.signOut(() => {});
		const signIn = await Clerk.client.signIn.create({ identifier: %q });
		const { emailAddressId } = signIn.supportedFirstFactors.find(f => f.strategy === "email_code");
		await signIn.prepareFirstFactor({ strategy: "email_code", emailAddressId });
		return true`, email)
	if got := run[string](p, `
		const signIn = await Clerk.client.signIn.attemptFirstFactor({ strategy: "email_code", code: %q });
		await Clerk.setActive({ session: signIn.createdSessionId });
		return Clerk.user.primaryEmailAddress.emailAddress`, w.code(t, email)); !strings.EqualFold(got, email) {
		t.Errorf("signed in by code as %q, want %s", got, email)
	}
}

// timeSignIns measures sign-ins by password, from signIn.create of clerk-js to the token.
func (w *world) timeSignIns(t *testing.T) {
	p, who := w.tab(t, w.plain), w.newPerson(t, "Timed")
	openPlain(p)
	times := make([]float64, *signIns)
	for i := range times {
		times[i] = run[float64](p, `
			await Clerk.signOut(() => {});
			const began = performance.now();
			const signIn = await Clerk.client.signIn.create({ identifier: %q, password: %q });
			await Clerk.setActive({ session: signIn.createdSessionId });
			await Clerk.session.getToken();
			return performance.now() - began`, who.Email, password)
	}
	slices.Sort(times)
	t.Logf("%d sign-ins: %.0f to %.0f ms, median %.0f", len(times), times[0], times[len(times)-1], times[len(times)/2])
}
