package store

import "github.com/clerksync/clerksync/internal/row"

// The store saves and loads these values of package row.
type (
	Key        = row.Key
	Row        = row.Row
	Version    = row.Version
	Change     = row.Change
	ChangeRef  = row.ChangeRef
	VerifyItem = row.VerifyItem
	KeyOfRole  = row.KeyOfRole
)
