package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/webhook"
)

type devCommand struct {
	Listen string `help:"Address to listen on; a free port unless told." default:"127.0.0.1:0" placeholder:"ADDR"`
	Once   bool   `help:"End after the story instead of serving on."`
}

// Run starts a server on a fresh database, tells it a story of signed events over HTTP,
// and asks who calls.
func (c devCommand) Run(ctx context.Context, p *process) error {
	folder, err := os.MkdirTemp("", "clerksync-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	instance, err := emulator.NewInstance()
	if err != nil {
		return err
	}
	config, err := c.config(filepath.Join(folder, "clerk.db"), instance)
	if err != nil {
		return err
	}
	logger, err := telemetry.NewLogger(p.stderr, "text", "error")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address := make(chan string, 1)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, config, logger, func(a string) { address <- a }) }()
	select {
	case err := <-ended:
		return err
	case a := <-address:
		d := &demonstration{out: p.stdout, url: "http://" + a, instance: instance, database: config.Database.Path}
		if err := d.tell(ctx); err != nil {
			cancel()
			<-ended
			return err
		}
	}
	if c.Once {
		cancel()
	}
	return <-ended
}

func (c devCommand) config(path string, instance *emulator.Instance) (*Config, error) {
	key, err := instance.PublicPEM()
	if err != nil {
		return nil, err
	}
	config, _, err := Load(LoadOptions{Environ: []string{
		"DATABASE_URL=sqlite:" + path, "CLERK_WEBHOOK_SIGNING_SECRET=" + instance.WebhookSecret, "CLERK_JWT_KEY=" + key,
		"CLERK_ISSUER=" + instance.Issuer, "CLERK_INSTANCE_ID=" + instance.ID,
		"CLERKSYNC_LISTEN=" + c.Listen, "CLERKSYNC_OPERATOR_LISTEN=off",
	}})
	return config, err
}

// demonstration tells a story to a server and prints what happens.
type demonstration struct {
	out      io.Writer
	url      string
	instance *emulator.Instance
	database string
}

func (d *demonstration) tell(ctx context.Context) error {
	story, err := d.instance.Story(time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "clerksync serves on %s\nmirror   %s\n\n", d.url, d.database)
	for _, delivery := range story.Deliveries {
		verdict, err := d.deliver(ctx, delivery)
		if err != nil {
			return fmt.Errorf("deliver %s: %w", delivery.Type, err)
		}
		fmt.Fprintf(d.out, "%s  %-30s %-34s %s\n", time.Now().Format("15:04:05.000"), delivery.Type, delivery.Note, verdict)
	}
	token, err := d.instance.Token(story.AdaID, story.SessionID, time.Now(), 15*time.Minute)
	if err != nil {
		return err
	}
	answer, err := d.ask(ctx, token)
	if err != nil {
		return fmt.Errorf("ask who calls: %w", err)
	}
	fmt.Fprintf(d.out, "\nGET /api/auth/me, as Ada:\n%s\n\n", answer)
	gone, err := d.instance.Token(story.GraceID, "sess_none", time.Now(), time.Minute)
	if err != nil {
		return err
	}
	if answer, err = d.ask(ctx, gone); err != nil {
		return fmt.Errorf("ask as a deleted user: %w", err)
	}
	fmt.Fprintf(d.out, "GET /api/auth/me, as Grace, who was deleted before her last event came:\n%s\n\n", answer)
	fmt.Fprintf(d.out, "Try it yourself (the token is good for 15 minutes):\n  curl -H 'Authorization: Bearer %s' %s/api/auth/me\n  curl %s/health\n\nCtrl-C ends it.\n",
		token, d.url, d.url)
	return nil
}

func (d *demonstration) deliver(ctx context.Context, delivery emulator.Delivery) (verdict string, err error) {
	signer, err := webhook.NewSigner(d.instance.WebhookSecret)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/webhooks/clerk", bytes.NewReader(delivery.Body))
	if err != nil {
		return "", err
	}
	request.Header = signer.Sign(delivery.MessageID, time.Now(), delivery.Body)
	request.Header.Set("Content-Type", "application/json")
	body, err := do(request)
	if err != nil {
		return "", err
	}
	var answer struct{ Status, Code string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("unexpected answer %q", body)
	}
	return answer.Status + answer.Code, nil
}

func (d *demonstration) ask(ctx context.Context, token string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/auth/me", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	body, err := do(request)
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return "", fmt.Errorf("unexpected answer %q", body)
	}
	return pretty.String(), nil
}

func do(request *http.Request) ([]byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}
