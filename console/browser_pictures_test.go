package console_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

var pictures = flag.String("pictures", "", "a folder for the pictures of documents")

// maxPicture is how many bytes a picture of a document may have.
const maxPicture = 200_000

// takePictures takes the pictures of README.md and docs/console.md: an hour of an instance, of
// which the last minutes have failed deliveries and refused requests.
func takePictures(w *world) {
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w.config = func(c *clerksync.Config) {
		c.Test.Now = w.now
		c.AuthorizedParties, c.StalePolicy = []string{"https://app.example.com"}, clerksync.StaleAskClerk
	}
	w.between = func(next http.Handler) http.Handler { // Clerk signs with the real time
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				signer, err := webhook.NewSigner(w.clerk.Keys().WebhookSecret)
				if err == nil {
					maps.Copy(r.Header, signer.Sign(r.Header.Get("Svix-Id"), w.now(), body))
				}
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(rw, r)
		})
	}
	w.must(os.MkdirAll(*pictures, 0o755))
	w.start()
	w.run()
	minute := func() {
		w.clerk.Settle()
		w.clerk.Advance(time.Minute)
		ahead.Add(int64(time.Minute))
	}
	compare := func() {
		_, err := w.mirror.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{})
		w.must(err)
	}
	people, organizations := w.staff()
	compare()
	minute()
	minute()
	w.hour(people, organizations, minute)
	compare()

	p := w.signedIn("/", token)
	p.Until("the rows are counted", "document.querySelector('.big').innerText", func(s string) bool { return strings.Contains(s, "compared") })
	w.picture(p, "/", "console-overview")

	grace := people["Grace Hopper"]
	day, app := 24*60*60, "https://app.example.com"
	old := w.clerk.TokenFor(clerktest.TokenOptions{UserID: grace, ExpiresIn: &day, AZP: app})
	low := w.clerk.TokenFor(clerktest.TokenOptions{UserID: people["Margaret Hamilton"], ExpiresIn: &day, AZP: app})
	w.clerk.SignOut(grace)
	w.clerk.Settle()
	if w.allowed(old, nil) || w.allowed(low, auth.MinRole("admin")) {
		w.Fatal("requests that must be refused are allowed")
	}
	w.troubles(people)
	minute()
	w.picture(p, "/deliveries?state=dead", "console-deliveries")
	w.picture(p, "/explain?user="+people["Margaret Hamilton"]+"&need=role:admin&organization="+organizations[0], "console-explain")
	w.picture(p, "/users/"+grace+"/timeline", "console-timeline")
}

// staff makes people and organizations.
func (w *world) staff() (people map[string]string, organizations []string) {
	w.Helper()
	people = map[string]string{}
	var ids []string
	for i, name := range []string{
		"Ada Lovelace", "Grace Hopper", "Katherine Johnson", "Annie Easley", "Radia Perlman", "Barbara Liskov", "Frances Allen", "Hedy Lamarr",
		"Jean Sammet", "Mary Jackson", "Dorothy Vaughan", "Karen Jones", "Evelyn Boyd", "Adele Goldberg", "Lynn Conway", "Sophie Wilson",
		"Alan Turing", "Edsger Dijkstra", "Tony Hoare", "Donald Knuth", "Ken Thompson", "Dennis Ritchie", "Niklaus Wirth", "Margaret Hamilton",
	} {
		first, last, _ := strings.Cut(name, " ")
		role := []string{"growth", "solo", "enterprise", "solo"}[i%4]
		if i == 0 {
			role = "admin"
		}
		email := strings.ToLower(first + "." + last + "@example.com")
		id := w.clerk.CreateUser(clerktest.User{FirstName: first, LastName: last, Email: email, Role: role})
		people[name], ids = id, append(ids, id)
	}
	for i, name := range []string{"Apollo Guidance", "Analytical Engines", "Harvard Mark I"} {
		id := w.clerk.CreateOrganization(name, ids[i])
		organizations = append(organizations, id)
		for n := i + 3; n < len(ids); n += 3 {
			w.clerk.AddMember(id, ids[n], "org:member")
		}
	}
	w.clerk.AddMember(organizations[0], people["Margaret Hamilton"], "org:member")
	return people, organizations
}

// hour is an hour in which people work, more in its middle than at its ends.
func (w *world) hour(people map[string]string, organizations []string, minute func()) {
	w.Helper()
	ids := slices.Sorted(maps.Values(people))
	n := 0
	for at := range 60 {
		events := 2 + int(6*math.Abs(math.Sin(float64(at)/9))) + at*7%5
		for range events {
			id := ids[n*7%len(ids)]
			switch n % 4 {
			case 0:
				w.clerk.SignIn(id)
			case 1:
				w.describe(id, "theme", []string{"dark", "light"}[n/4%2])
			case 2:
				w.clerk.Call(http.MethodPatch, "/v1/organizations/"+organizations[n%3], map[string]any{"max_allowed_memberships": 50 + n}, nil)
			case 3:
				if n%16 == 3 {
					w.clerk.SetRole(id, []string{"solo", "growth", "enterprise"}[n/16%3])
				}
				w.clerk.UpdateUser(id, map[string]any{"username": fmt.Sprintf("%s%d", strings.ToLower(id[len(id)-5:]), n)})
			}
			n++
		}
		minute()
	}
}

// describe sets a value of the public metadata of a user.
func (w *world) describe(id, name, value string) {
	w.Helper()
	w.clerk.Call(http.MethodPatch, "/v1/users/"+id+"/metadata", map[string]any{"public_metadata": map[string]any{name: value}}, nil)
}

// troubles are deliveries that fail in several ways.
func (w *world) troubles(people map[string]string) {
	w.Helper()
	w.refuse.Store(new("billing: the account has no plan"))
	for _, name := range []string{"Lynn Conway", "Sophie Wilson", "Tony Hoare", "Donald Knuth", "Jean Sammet"} {
		w.describe(people[name], "plan", "team")
	}
	w.clerk.Settle()
	w.refuse.Store(nil)
	for _, kind := range []string{"organization.updated", "organization.updated", "session.created"} {
		w.clerk.Call(http.MethodPost, "/_emulator/deliveries", map[string]any{"type": kind, "data": map[string]any{}}, nil)
	}
	w.clerk.Settle()
}

// picture takes pictures of a page in both themes.
func (w *world) picture(p *browsertest.Tab, page, name string) {
	w.Helper()
	p.Open("/console" + page)
	p.Wait("html.script main")
	for _, theme := range []string{"light", "dark"} {
		p.PreferTheme(theme)
		small := w.reduced(p.Picture(1280, 800, 2))
		if len(small) > maxPicture {
			w.Errorf("%s-%s has %d bytes", name, theme, len(small))
		}
		w.must(os.WriteFile(filepath.Join(*pictures, name+"-"+theme+".png"), small, 0o644))
	}
}

// reduced returns a picture with its 256 most frequent colours. Others get the nearest of them.
func (w *world) reduced(picture []byte) []byte {
	w.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	w.must(err)
	bounds := full.Bounds()
	counts := map[color.Color]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			counts[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		ra, ga, ba, _ := a.RGBA()
		rb, gb, bb, _ := b.RGBA()
		return cmp.Or(counts[b]-counts[a], cmp.Compare(ra<<16|ga<<8|ba, rb<<16|gb<<8|bb))
	})
	palette := color.Palette(colours[:min(256, len(colours))])
	nearest := map[color.Color]uint8{}
	for _, c := range colours {
		nearest[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(bounds, palette)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			small.SetColorIndex(x, y, nearest[full.At(x, y)])
		}
	}
	var out bytes.Buffer
	w.must((&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	return out.Bytes()
}
