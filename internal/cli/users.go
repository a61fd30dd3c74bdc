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
	Erase eraseCommand `cmd:"" help:"Erase a person's data for ever, as privacy law demands it."`
}

type eraseCommand struct {
	configFlags
	UserID string `arg:"" help:"The Clerk id, user_…."`
	Yes    bool   `help:"Do not ask."`
	JSON   bool   `name:"json" help:"Print the receipt as JSON."`
}

// Help is shown below the flags.
func (eraseCommand) Help() string {
	return `Rows, deliveries and copies in others' rows lose what they hold of the person; an empty row with the ids stays, ` +
		`so that no late event brings the person back.
It works on the database that DATABASE_URL names, also beside a running server, whether or not Clerk still has the person: delete it there too.

Example: clerksync users erase user_2abc --yes

Exit code 0: erased, 1: failed, or nobody of that id was ever heard of.`
}

const deleteAtClerk = "If Clerk still has this person, delete it there too: Clerk dashboard, Users."

// Run erases one person.
func (c eraseCommand) Run(ctx context.Context, p *process) error {
	if !c.Yes {
		fmt.Fprintf(p.stderr, "Erase all data of %s for ever? Type yes: ", c.UserID)
		answer, _ := bufio.NewReader(p.stdin).ReadString('\n')
		if strings.TrimSpace(answer) != "yes" {
			return errors.New("nothing was erased")
		}
	}
	m, err := openStored(ctx, c, p)
	if err != nil {
		return err
	}
	defer m.Close()
	receipt, scrubbed, err := m.Users().Erase(ctx, c.UserID)
	if errors.Is(err, clerksync.ErrNotFound) {
		return fmt.Errorf("no user %s was ever heard of here: nothing was erased", c.UserID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(receipt)
	} else {
		_, err = fmt.Fprintf(p.stdout, "%s was erased: %d rows, %d bodies of deliveries\n", receipt.ClerkUserID, receipt.Rows, receipt.Bodies)
	}
	fmt.Fprintln(p.stderr, deleteAtClerk)
	if err == nil && !scrubbed {
		return errors.New("another process kept the write-ahead log from being emptied, and traces may be left in it: run the command again")
	}
	return err
}
