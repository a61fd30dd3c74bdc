package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync"
)

type usersCommand struct {
	List  listUsersCommand `cmd:"" default:"withargs" help:"List and search users."`
	Show  showUserCommand  `cmd:"" help:"Show a user with sessions and memberships."`
	Erase eraseCommand     `cmd:"" help:"Permanently erase a user's personal data."`
}

type eraseCommand struct {
	configFlags
	UserID string `arg:"" help:"Clerk id of the user (user_…)."`
	Yes    bool   `help:"Erase without asking."`
	JSON   bool   `name:"json" help:"Print the receipt as JSON."`
}

// Help returns the text below the description.
func (eraseCommand) Help() string {
	return `Example:

    clerksync users erase user_2abc --yes

Rows, deliveries and copies in other rows lose the user's personal data. An empty row with the ids stays, so that late events do not ` +
		`bring the user back.

The command works on the database in DATABASE_URL, also next to a running server. It does not delete the user at Clerk.

Exit code 0: erased, 1: failed, or the user was not found.`
}

const deleteAtClerk = "If Clerk still has this user, delete the user there too: Clerk dashboard, Users."

// Run erases one user.
func (c eraseCommand) Run(ctx context.Context, p *process) error {
	if !c.Yes {
		fmt.Fprintf(p.stderr, "Permanently erase all data of %s? Type yes: ", c.UserID)
		answer, _ := bufio.NewReader(p.stdin).ReadString('\n')
		if strings.TrimSpace(answer) != "yes" {
			return errors.New("nothing was erased")
		}
	}
	m, err := p.open(ctx, withKeys(newStoredMirror), c)
	if err != nil {
		return err
	}
	defer m.Close()
	receipt, scrubbed, err := m.Users().Erase(ctx, c.UserID)
	if errors.Is(err, clerksync.ErrNotFound) {
		return fmt.Errorf("user %s not found: nothing was erased", c.UserID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(receipt)
	} else {
		_, err = fmt.Fprintf(p.stdout, "Erased %s: %d rows, %s.\n", receipt.ClerkUserID, receipt.Rows, deliveries(receipt.Bodies))
	}
	fmt.Fprintln(p.stderr, deleteAtClerk)
	if err == nil && !scrubbed {
		return errors.New("the write-ahead log could not be emptied because another process uses it, so traces may be left in it: run the command again")
	}
	return err
}
