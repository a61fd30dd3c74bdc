package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// A row's checksum is made of its columns when clerksync writes them. Whatever else changes one of them, such as an
// operator's UPDATE, does not know the checksum, so that a walk notices it without deriving the columns again.

const checksumColumn = "sync_checksum"

// unsealed are the columns that the checksum leaves out: those that [Tx.Verify] moves without a save, and what says
// nothing about the object.
var unsealed = []string{
	"sync_read", "sync_observed_at", "sync_seen_at", "sync_read_after", verifiedAt, "sync_write", checksumColumn,
}

func sealedColumns(columns []column) (sealed []int) {
	for i, c := range columns {
		if !slices.Contains(unsealed, c.name) {
			sealed = append(sealed, i)
		}
	}
	return sealed
}

// The separator of values, and what stands for NULL.
const (
	unitSeparator = "\x1f"
	nullMark      = "\x1e"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of the values of a row, one a column.
func (t *table) checksum(values []any) int64 {
	b := bytes.NewBuffer(make([]byte, 0, 1024))
	for i, c := range t.sealed {
		if i > 0 {
			b.WriteString(unitSeparator)
		}
		switch v := values[c].(type) {
		case string:
			b.WriteString(v)
		case int64:
			b.Write(strconv.AppendInt(b.AvailableBuffer(), v, 10))
		default:
			b.WriteString(nullMark)
		}
	}
	return int64(crc32.Checksum(b.Bytes(), castagnoli))
}

// selectSealed is selectSights with the text that the checksum is of, and the checksum.
func (t *table) selectSealed() string {
	values := make([]string, len(t.sealed))
	for i, c := range t.sealed {
		value := "t." + t.columns[c].name
		if t.columns[c].typ == intColumn {
			value = "CAST(" + value + " AS TEXT)"
		}
		values[i] = "COALESCE(" + value + ", '" + nullMark + "')"
	}
	text := fmt.Sprintf(", concat_ws('%s', %s), COALESCE(t.%s, -1) FROM ", unitSeparator, strings.Join(values, ", "), checksumColumn)
	return strings.Replace(t.selectSights(), " FROM ", text, 1)
}

// Sealed is a row that is compared with what Clerk tells.
type Sealed struct {
	Sight
	Intact  bool // its columns are as clerksync has written them
	Unknown bool // it has no checksum: an earlier version has written it
}

// SealedSights is [Tx.Sights] that also reads the bodies, to tell whether the rows are as clerksync has written them.
func (tx *Tx) SealedSights(ctx context.Context, kind clerk.Kind, ids []string) (map[string]Sealed, error) {
	t := tables[kind]
	found := make(map[string]Sealed, len(ids))
	err := tx.load(ctx, t.sealedSights, "t."+t.key(), ids, func(rows *sql.Rows) error {
		var s Sealed
		var text sql.RawBytes // which the driver lends, so that no body is copied to be kept
		var sum int64
		err := rows.Scan(append(s.fields(), &text, &sum)...)
		s.Intact, s.Unknown = int64(crc32.Checksum(text, castagnoli)) == sum, sum < 0
		found[s.ID] = s
		return err
	})
	return found, err
}

// Altered names the columns of a stored row, but for some, that are not what clerksync derives from the row as it should
// be. Bodies are left to the caller, who knows what they are digested by.
func (tx *Tx) Altered(ctx context.Context, want *Row, except ...string) (names []string, err error) {
	t := tables[want.Kind]
	ladder := tx.db.Ladder()
	if known, err := tx.ladderIs(ctx, ladder); err != nil {
		return nil, err
	} else if !known { // another process derives roles by another one
		except = append(slices.Clip(except), "role", "role_rejected")
	}
	var columns []column
	var selected []string
	for _, i := range t.sealed {
		if c := t.columns[i]; c.name != "raw" && !slices.Contains(except, c.name) {
			columns, selected = append(columns, c), append(selected, c.name)
		}
	}
	rows, err := tx.query(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM "+t.name+" WHERE "+t.key()+" = $1", want.ID)
	stored, err := exactlyOne(scanAll(rows, err, func(r *sql.Rows) ([]sql.NullString, error) {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		return values, r.Scan(into...)
	}))
	if err != nil {
		return nil, err
	}
	for i, c := range columns {
		if stored[i] != textOfValue(c.value(want, ladder)) {
			names = append(names, c.name)
		}
	}
	return names, nil
}

// textOfValue is a column's value as the database writes it.
func textOfValue(v any) sql.NullString {
	switch v := v.(type) {
	case string:
		return sql.NullString{String: v, Valid: true}
	case int64:
		return sql.NullString{String: strconv.FormatInt(v, 10), Valid: true}
	}
	return sql.NullString{}
}

// ladderIs reports whether the stored roles were derived by a ladder.
func (tx *Tx) ladderIs(ctx context.Context, ladder []string) (bool, error) {
	rows, err := tx.query(ctx, "SELECT value FROM clerk_meta WHERE name = $1", metaLadder)
	stored, err := scanAll(rows, err, scanOne[string])
	if err != nil || len(stored) == 0 {
		return false, err
	}
	ours, err := json.Marshal(ladder)
	return stored[0] == string(ours), err
}
