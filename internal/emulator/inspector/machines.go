package inspector

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// machinesData is the page about everything that calls without a person.
type machinesData struct {
	Tiles        []pages.Tile
	Machines     []emulator.MachineInfo
	Tokens       []emulator.TokenInfo
	Applications []emulator.OAuthApplication
	Pager        pages.Pager
	Empty        pages.Empty
}

// maxListed is how many machines and applications the page shows.
const maxListed = 100

func (v *visit) machines() error {
	tokens, total := v.clerk.TokenPage(v.offset(), pageSize)
	d := machinesData{
		Tiles: usageTiles(v.clerk.Usage()), Machines: v.clerk.Machines(maxListed), Tokens: tokens, Pager: v.pager(len(tokens), total),
		Empty: pages.Empty{
			Icon: "lock", Title: "No tokens",
			Text: "API keys, M2M tokens and opaque OAuth access tokens appear here when a backend or a client makes one.",
		},
	}
	var applications struct{ Data []emulator.OAuthApplication }
	if err := v.get(&applications, "/v1/oauth_applications", "limit", number(maxListed)); err != nil {
		return err
	}
	d.Applications = applications.Data
	return v.render("machines", "Machines", d)
}

// usageTiles show what Clerk would bill.
func usageTiles(used map[string]emulator.TokenUsage) (all []pages.Tile) {
	for _, kind := range [][2]string{{"api_key", "API keys"}, {"m2m_token", "M2M tokens"}, {"oauth_token", "OAuth tokens"}} {
		u := used[kind[0]]
		t := pages.Tile{Label: kind[1] + " verified", Value: pages.Number(u.Verified)}
		t.Note = fmt.Sprintf("%s refused, %s created", pages.Number(u.Refused), pages.Number(u.Created))
		if u.Dollars > 0 {
			t.Note += fmt.Sprintf(", $%.5f", u.Dollars)
		}
		all = append(all, t)
	}
	return all
}

// revokeToken revokes an API key or an M2M token. Access tokens end with their grant, which clients
// revoke.
func (v *visit) revokeToken() error {
	path := map[string]string{"ak": "api_keys", "mt": "m2m_tokens"}[strings.SplitN(v.id(), "_", 2)[0]]
	if path == "" {
		return &problem{http.StatusNotFound, "There is no such token", "API keys and M2M tokens can be revoked here."}
	}
	if err := v.call(http.MethodPost, to("v1", path, v.id(), "revoke"), map[string]any{"revocation_reason": "by hand"}, nil); err != nil {
		return v.refused(err, "/machines")
	}
	return v.done("The token is revoked. Services that remember it may accept it for a while.", "/machines")
}
