package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

type devCommand struct {
	Listen         string `help:"Address of the server, default 127.0.0.1:8080; a free port if it is taken." default:"127.0.0.1:8080" placeholder:"ADDR"`
	OperatorListen string `help:"Address of the console and the API of operators, default 127.0.0.1:8081; a free port if it is taken." default:"127.0.0.1:8081" placeholder:"ADDR"`
	EmulateListen  string `help:"Address of the emulated Clerk, default 127.0.0.1:4010; a free port if it is taken." default:"127.0.0.1:4010" placeholder:"ADDR"`
	State          string `help:"Folder for the database and the state of the emulated Clerk; temporary by default." placeholder:"FOLDER"`
	Seed           uint64 `help:"Seed of users and actions; random by default." placeholder:"N"`
	Once           bool   `help:"Exit after the scripted demo."`
}

// Help returns the text below the description.
func (devCommand) Help() string {
	return `Example:

    clerksync dev --state ./clerk-dev

It runs an emulated Clerk, a server that mirrors it, and simulated users. Nothing leaves this machine.`
}

// Run starts an emulated Clerk and a mirror, plays a scripted demo, and then simulates users.
func (c devCommand) Run(ctx context.Context, p *process) error {
	folder, remove, err := c.folder()
	if err != nil {
		return err
	}
	defer remove()
	logger, err := telemetry.NewLogger(p.stderr, "text", "error")
	if err != nil {
		return err
	}
	d := &demonstration{out: p.stdout, statePath: filepath.Join(folder, "emulator.json"), database: filepath.Join(folder, "clerk.db")}
	if err := d.open(c.Seed); err != nil {
		return err
	}
	defer d.clerk.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clerk, err := web.Listen(ctx, logger, shutdownTimeout, web.NewServer(free(c.EmulateListen), inspector.New(d.clerk, inspector.Options{})))
	if err != nil {
		return err
	}
	d.clerkURL = "http://" + clerk.Addrs()[0].String()
	d.clerk.SetURL(d.clerkURL)
	clerkEnded := make(chan error, 1)
	go func() { clerkEnded <- clerk.Serve(ctx) }()
	cfg, err := d.config(free(c.Listen), free(c.OperatorListen))
	if err != nil {
		return err
	}
	d.inbox, err = newDevInbox(ctx)
	if err != nil {
		return err
	}
	listening := make(chan startedServer, 1)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, logger, func(s startedServer) { listening <- s }) }()
	select {
	case err := <-ended:
		return err
	case s := <-listening:
		d.mirror, d.webhooks, d.url = s.mirror, s.webhooks, "http://"+s.addrs[0].String()
		link, err := s.mirror.Operators().Console().Link(ctx, "", mirror.By{Actor: "clerksync dev", Origin: "command"})
		if err != nil {
			return err
		}
		d.operators = "http://" + s.addrs[1].String()
		d.console = d.operators + consolePath + "/sign-in?link=" + link
		if d.token, err = devOperator(ctx, s.mirror); err != nil {
			return err
		}
	}
	err = d.run(ctx, c.Once)
	cancel()
	return errors.Join(err, d.clerk.Save(d.statePath), <-ended, <-clerkEnded, <-d.inbox.ended)
}

// devOperator adds an operator whose token commands can use for a day. A kept state has an earlier
// one.
func devOperator(ctx context.Context, m *clerksync.Mirror) (token string, err error) {
	by := mirror.By{Actor: "clerksync dev", Origin: "command"}
	if err := m.Operators().Revoke(ctx, "dev", by); err != nil && !errors.Is(err, clerksync.ErrNotFound) {
		return "", err
	}
	_, token, err = m.Operators().Add(ctx, clerksync.NewOperator{Name: "dev", ValidFor: 24 * time.Hour, By: by})
	return token, err
}

func (c devCommand) folder() (folder string, remove func(), err error) {
	if c.State != "" {
		return c.State, func() {}, os.MkdirAll(c.State, 0o700)
	}
	folder, err = os.MkdirTemp("", "clerksync-dev-")
	return folder, func() { _ = os.RemoveAll(folder) }, err
}

// free returns the address, or one with a free port if it is taken or has port 0.
func free(address string) string {
	host, port, _ := net.SplitHostPort(address)
	l, err := net.Listen("tcp", address)
	if err != nil {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return address // listening will fail with the reason
	}
	defer l.Close() //nolint:errcheck // it only held the port
	if port == "0" || l.Addr().String() != address {
		return l.Addr().String()
	}
	return address
}

// demonstration is a mirror, the emulated Clerk that it mirrors, and the demo output.
type demonstration struct {
	out                 io.Writer
	clerk               *emulator.Emulator
	clerkURL, url       string
	console             string // a link that signs a browser in once
	operators, token    string // the URL of the operator listener, and the token of an operator
	statePath, database string
	resumed             bool
	mirror              *clerksync.Mirror
	webhooks            *outgoing.Publisher
	inbox               *devInbox
}

func (d *demonstration) open(seed uint64) error {
	e, err := emulator.New(emulator.Options{Seed: seed, RateLimit: 1000})
	if err != nil {
		return err
	}
	d.clerk = e
	err = e.Load(d.statePath)
	d.resumed = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.Close()
		return err
	}
	return nil
}

func (d *demonstration) config(listen, operators string) (*config.Config, error) {
	secret, err := d.clerk.AddEndpoint(emulator.Target{URL: "http://" + listen + "/api/webhooks/clerk"}, "")
	if err != nil {
		return nil, err
	}
	keys := d.clerk.Keys(d.clerkURL)
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=sqlite:" + d.database, "CLERK_API_URL=" + keys.APIURL, "CLERK_SECRET_KEY=" + keys.SecretKey,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + secret, "CLERK_ISSUER=" + keys.Issuer, "CLERK_INSTANCE_ID=" + keys.InstanceID,
		"CLERKSYNC_LISTEN=" + listen, "CLERKSYNC_OPERATOR_LISTEN=" + operators, "CLERKSYNC_WEBHOOKS_ALLOW=127.0.0.1",
		"CLERKSYNC_CONSOLE_NAME=Emulated Clerk",
	}})
	return cfg, err
}

func (d *demonstration) run(ctx context.Context, once bool) error {
	fmt.Fprintf(d.out, "console    %s  (signs one browser in)\nclerksync  %s\nClerk      %s  (emulated)\nwebhooks   %s  (what another system receives)\n"+
		"mirror     %s\n\n", d.console, d.url, d.clerkURL, d.inbox.url, d.database)
	if err := d.inbox.subscribe(ctx, d.webhooks); err != nil {
		return err
	}
	lines := make(chan emulator.Message, 256)
	d.clerk.Observe(func(m emulator.Message) {
		select {
		case lines <- m:
		default: // a paused terminal does not delay webhooks
		}
	})
	if err := d.seed(ctx); err != nil {
		return err
	}
	d.each(lines, func(emulator.Message) {})
	ada, grace, err := d.script(ctx)
	if err != nil {
		return err
	}
	if err := arrived(ctx, d.clerk); err != nil {
		return err
	}
	d.each(lines, func(m emulator.Message) { d.printAttempt(ctx, m) })
	if err := d.showCaller(ctx, ada, grace); err != nil {
		return err
	}
	d.inbox.show(ctx, d.out)
	if once {
		return nil
	}
	faults := emulator.Faults{Duplicate: 0.08, Reorder: 0.15, Fail: 0.04, WrongSignature: 0.02}
	if err := d.clerk.SetFaults(faults); err != nil {
		return err
	}
	fmt.Fprint(d.out, "Simulated users stay active over an unreliable network. Press Ctrl-C to stop.\n\n")
	go simulate(ctx, d.clerk)
	saving := time.NewTicker(3 * time.Second)
	defer saving.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(d.out)
			return nil
		case m := <-lines:
			d.printAttempt(ctx, m)
		case <-saving.C:
			if err := d.clerk.Save(d.statePath); err != nil {
				return err
			}
		}
	}
}

// arrivesWithin is how long the demo waits for a message that is on its way.
const arrivesWithin = 2 * time.Second

// arrived waits until what was sent has arrived, but not for what is sent again later. It does not
// move the emulated clock, so that what the demo shows has real times.
func arrived(ctx context.Context, clerk *emulator.Emulator) error {
	end := clerk.Now().Add(arrivesWithin)
	for {
		if err := clerk.Settle(ctx); err != nil {
			return err
		}
		next, waits := clerk.Pending()
		if !waits || next.After(end) {
			return nil
		}
		select {
		case <-time.After(next.Sub(clerk.Now())):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ahead says that someone has moved the clock of an emulated Clerk, or nothing. Only the control
// API and its page move it, and a kept state remembers that.
func ahead(clerk *emulator.Emulator) string {
	d := time.Until(clerk.Now()).Round(time.Second)
	if d <= 0 {
		return ""
	}
	return fmt.Sprintf("Its clock is %s ahead of the real time, because it was moved in an earlier run.\n", d)
}

// initialActions is how many actions happen before the demo starts.
const initialActions = 60

// seed gives a new Clerk some users and organizations, which reach the mirror by webhooks.
func (d *demonstration) seed(ctx context.Context) error {
	if !d.resumed {
		for range initialActions {
			if _, err := d.clerk.Step(ctx); err != nil {
				return err
			}
		}
		if err := arrived(ctx, d.clerk); err != nil {
			return err
		}
	}
	var state emulator.State
	if err := d.clerk.Call(ctx, http.MethodGet, "/_emulator/state", nil, &state); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "The emulated Clerk has %d users and %d organizations.\n%s\n", state.Counts["users"], state.Counts["organizations"], ahead(d.clerk))
	return nil
}

// script creates the users of the demo, and changes them. A kept state has them already.
func (d *demonstration) script(ctx context.Context) (ada, grace string, err error) {
	var known []struct{ ID string }
	if err := d.clerk.Call(ctx, http.MethodGet, "/v1/users?email_address=ada@example.com", nil, &known); err != nil {
		return "", "", err
	}
	if len(known) > 0 {
		return known[0].ID, "", nil
	}
	call := func(method, path string, in map[string]any) (id string) {
		var object struct{ ID string }
		if err == nil {
			err = d.clerk.Call(ctx, method, path, in, &object)
		}
		return object.ID
	}
	person := func(first, last, email string) string {
		return call("POST", "/v1/users", map[string]any{"first_name": first, "last_name": last, "email_address": []string{email}})
	}
	// delayed at random: what is sent first may arrive last
	err = d.clerk.SetFaults(emulator.Faults{Reorder: 0.7, Duplicate: 0.3})
	ada = person("Ada", "Lovelace", "ada@example.com")
	grace = person("Grace", "Hopper", "grace@example.com")
	organization := call("POST", "/v1/organizations", map[string]any{"name": "Analytical Engines", "created_by": ada})
	call("POST", "/v1/organizations/"+organization+"/memberships", map[string]any{"user_id": grace, "role": "org:member"})
	call("PATCH", "/v1/users/"+ada+"/metadata", map[string]any{"public_metadata": map[string]any{"role": "growth"}})
	call("PATCH", "/v1/users/"+grace, map[string]any{"last_name": "Murray Hopper"})
	call("DELETE", "/v1/users/"+grace, nil)
	return ada, grace, errors.Join(err, d.clerk.SetFaults(emulator.Faults{}))
}

// showCaller shows how the server authenticates Ada, and that Grace is gone.
func (d *demonstration) showCaller(ctx context.Context, ada, grace string) error {
	life := 3600
	var organizations struct {
		Data []struct{ Organization struct{ ID string } }
	}
	if err := d.clerk.Call(ctx, http.MethodGet, "/v1/users/"+ada+"/organization_memberships", nil, &organizations); err != nil {
		return err
	}
	order := emulator.TokenOrder{UserID: ada, ExpiresIn: &life}
	if len(organizations.Data) > 0 {
		order.OrganizationID = organizations.Data[0].Organization.ID
	}
	var token emulator.Token
	if err := d.clerk.Call(ctx, http.MethodPost, "/_emulator/tokens", order, &token); err != nil {
		return err
	}
	if err := arrived(ctx, d.clerk); err != nil {
		return err
	}
	answer, err := d.me(ctx, token.JWT)
	if err != nil {
		return fmt.Errorf("authenticate Ada: %w", err)
	}
	fmt.Fprintf(d.out, "\nGET /api/auth/me as Ada returns:\n%s\n", answer)
	if grace != "" {
		fmt.Fprintf(d.out, "Grace was deleted. Events that arrived later did not bring her back.\n")
	}
	fmt.Fprintf(d.out, "\nTry it (the token is valid for an hour):\n\n  curl -H 'Authorization: Bearer %s' %s/api/auth/me\n"+
		"  curl %[2]s/health\n  curl -X POST %s/_emulator/tokens -d '{\"user_id\":\"%s\"}'\n\n"+
		"Commands work on this server, too (the token is valid for a day):\n\n"+
		"  export CLERKSYNC_OPERATOR_TOKEN=%s\n"+
		"  clerksync users list --server %s\n"+
		"  clerksync status --server %[6]s\n"+
		"  clerksync tail --server %[6]s\n\n",
		token.JWT, d.url, d.clerkURL, ada, d.token, d.operators)
	return nil
}

// each calls a function for every message that waits.
func (d *demonstration) each(lines <-chan emulator.Message, call func(emulator.Message)) {
	for {
		select {
		case m := <-lines:
			call(m)
		default:
			return
		}
	}
}

// printAttempt prints one attempt: time, event, subject, the answer of the mirror, and what
// changed.
func (d *demonstration) printAttempt(ctx context.Context, m emulator.Message) {
	a := m.Attempts[0]
	verdict := "no answer: " + a.Error
	var answer struct{ Status, Code string }
	if a.Status > 0 {
		verdict = strconv.Itoa(a.Status)
		if json.Unmarshal([]byte(a.Answer), &answer) == nil && answer.Status+answer.Code != "" {
			verdict = answer.Status + answer.Code
		}
	}
	switch {
	case a.Fault != "":
		verdict += "  (" + faultWords(a.Fault) + ")"
	case answer.Status == string(mirror.OutcomeProcessed):
		verdict += "  " + d.changedFields(ctx, m.ID)
	}
	line := fmt.Sprintf("%s  %-30s %-24s %s", a.At.Local().Format(time.TimeOnly), m.Type, shorten(subject(m.Body), 24), verdict)
	fmt.Fprintln(d.out, strings.TrimRight(line, " "))
}

// changedFields names the fields that a delivery changed, but for times.
func (d *demonstration) changedFields(ctx context.Context, messageID string) string {
	changes, err := d.mirror.Deliveries().Changes(ctx, messageID)
	if err != nil {
		return ""
	}
	var names []string
	for i := range changes {
		for _, name := range changes[i].Fields {
			if !strings.HasSuffix(name, "_at") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return shorten(strings.Join(names, ", "), 40)
}

func faultWords(fault string) string {
	words, ok := map[string]string{
		"duplicate": "sent twice", "fail": "lost; sent again later", "wrong_signature": "forged copy",
		"unheard": "answer lost", "outage": "outage",
	}[fault]
	if !ok {
		return fault
	}
	return words
}

// subject returns the name of what an event is about.
func subject(body []byte) string {
	var event struct {
		Data struct {
			ID, Name, Slug, Status, Role string
			First                        string `json:"first_name"`
			Last                         string `json:"last_name"`
			User                         struct {
				First string `json:"first_name"`
				Last  string `json:"last_name"`
			} `json:"user"`
			Member struct {
				First string `json:"first_name"`
			} `json:"public_user_data"`
			Organization struct{ Name string } `json:"organization"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &event) != nil {
		return ""
	}
	x := event.Data
	switch {
	case x.First != "":
		return x.First + " " + x.Last
	case x.Organization.Name != "":
		return x.Member.First + " in " + x.Organization.Name
	case x.User.First != "":
		return x.User.First + " " + x.User.Last
	case x.Name != "":
		return x.Name
	}
	return x.ID
}

func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func (d *demonstration) me(ctx context.Context, token string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/auth/me", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return "", fmt.Errorf("unexpected answer %q", body)
	}
	return pretty.String(), nil
}
