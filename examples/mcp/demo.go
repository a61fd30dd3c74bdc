package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/emulator"
	"github.com/clerksync/clerksync/sqlite"
)

// withEmulator serves with an emulated Clerk that has one user in one organization.
func withEmulator(ctx context.Context, listener net.Listener, url string) error {
	clerk, err := emulator.Start(emulator.Options{OwnIssuer: true})
	if err != nil {
		return err
	}
	defer func() { _ = clerk.Close() }()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		return err
	}
	config := clerk.Config()
	config.OAuthResources = []string{url}
	m, err := clerksync.New(ctx, db, config)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := clerk.SendTo(m.WebhookHandler()); err != nil {
		return err
	}
	if err := populate(ctx, clerk); err != nil {
		return err
	}
	slog.Info("Connect an MCP client. It sends you to the emulated Clerk, where you sign in as ada@example.com.", "server", url, "clerk", clerk.URL)
	return serve(ctx, listener, m, url)
}

// populate makes a user with an organization, and lets clients register themselves.
func populate(ctx context.Context, clerk *emulator.Clerk) error {
	var user struct{ ID string }
	err := clerk.Call(ctx, http.MethodPost, "/v1/users", map[string]any{"email_address": []string{"ada@example.com"}, "first_name": "Ada"}, &user)
	if err == nil {
		err = clerk.Call(ctx, http.MethodPost, "/v1/organizations", map[string]any{"name": "Engines", "created_by": user.ID}, nil)
	}
	if err == nil {
		settings := map[string]any{"dynamic_oauth_client_registration": true}
		err = clerk.Call(ctx, http.MethodPatch, "/v1/instance/oauth_application_settings", settings, nil)
	}
	if err != nil {
		return err
	}
	return clerk.Settle(ctx)
}
