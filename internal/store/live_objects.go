package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// LiveObject is a row of a live view.
type LiveObject struct {
	Key            row.Key
	UserID         string // whose it is, as in [row.Change]
	OrganizationID string
	Version        string
	// Columns are those of the typed view as a JSON object, without private metadata and the object
	// as Clerk sent it. Times are RFC 3339 text with milliseconds, or null.
	Columns json.RawMessage
}

// objectColumns returns the columns of a live object, by table, in the order of the typed view.
var objectColumns = sync.OnceValue(func() map[string][]schemaColumn {
	r := newSchemaReader(SQLite)
	if _, err := r.migrations(shipped); err != nil {
		panic(err) // every test that opens a database reads them
	}
	for table, columns := range r.typed {
		r.typed[table] = slices.DeleteFunc(columns, func(c schemaColumn) bool { return c.name == "raw" || c.name == "private_metadata" })
	}
	return r.typed
})

// LiveObjects returns those of some objects that a live view has, in the order of their keys.
func (db *DB) LiveObjects(ctx context.Context, kind clerk.Kind, ids []string) ([]LiveObject, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	t, columns := tables[kind], objectColumns()[tables[kind].name]
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "v." + c.name
	}
	condition, arg := db.engine.oneOf("t."+t.key(), ids)
	both, _ := db.engine.oneOf("v."+t.key(), ids) // for Postgres, which does not derive it
	text := fmt.Sprintf(`SELECT t.%[1]s, %[2]s, %[3]s, t.sync_terminal, t.sync_rank, t.sync_updated_at, t.sync_observed_at, %[4]s
		FROM %[5]s t JOIN %[5]s_live v ON v.%[1]s = t.%[1]s WHERE %[6]s AND %[7]s ORDER BY t.%[1]s`,
		t.key(), t.valueOr("clerk_user_id", "''"), t.organization(), strings.Join(list, ", "), t.name, condition, both)
	rows, err := db.query(ctx, text, arg)
	return scanAll(rows, err, func(r Row) (LiveObject, error) { return scanLiveObject(r, kind, columns) })
}

func scanLiveObject(r Row, kind clerk.Kind, columns []schemaColumn) (LiveObject, error) {
	found := row.Row{Key: row.Key{Kind: kind}}
	values := make([]sql.NullString, len(columns))
	into := []any{
		&found.ID, &found.UserID, &found.OrganizationID, &found.Terminal, &found.Rank, &found.UpdatedAt, &found.ObservedAt,
	}
	for i := range values {
		into = append(into, &values[i])
	}
	if err := r.Scan(into...); err != nil {
		return LiveObject{}, err
	}
	text := []byte{'{'}
	for i, c := range columns {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuote(text, c.name), ':')
		text = append(text, c.json(values[i])...)
	}
	ref := found.Ref()
	return LiveObject{found.Key, ref.UserID, ref.OrganizationID, found.Version.Text(), append(text, '}')}, nil
}

// json returns a value of the column in the type of the typed view.
func (c *schemaColumn) json(v sql.NullString) string {
	if !v.Valid {
		return "null"
	}
	switch c.kind {
	case "@time":
		n, _ := strconv.ParseInt(v.String, 10, 64)
		text, _ := clerk.Time(n).MarshalJSON()
		return string(text)
	case "@flag":
		return strconv.FormatBool(v.String == "1")
	case "@json":
		if !json.Valid([]byte(v.String)) {
			return "null" // as in the typed view
		}
		return v.String
	case "TEXT", "@uuid":
		return clerk.Text(v.String).JSON()
	default:
		return v.String // a number
	}
}

// LiveFilter selects objects of a snapshot.
type LiveFilter struct {
	UserID         string // whose objects: "" selects all
	OrganizationID string
}

// KeysFor lists the keys of a kind that a filter selects, hidden ones included, those after a key.
// Liveness is looked at with [DB.LiveObjects]: with more conditions, Postgres would read and sort
// the whole table for each page while it has no statistics.
func (db *DB) KeysFor(ctx context.Context, kind clerk.Kind, f LiveFilter, after string, limit int) ([]string, error) {
	t := tables[kind]
	text := fmt.Sprintf("SELECT t.%[1]s FROM %[2]s t WHERE t.%[1]s > $1", t.key(), t.name)
	args := []any{after}
	for _, parent := range []struct{ column, id string }{{"clerk_user_id", f.UserID}, {"clerk_organization_id", f.OrganizationID}} {
		switch {
		case parent.id == "":
		case !t.has(parent.column) || kind == clerk.KindSession && parent.column == "clerk_organization_id":
			return nil, nil // nothing of this kind belongs to one
		default:
			args = append(args, parent.id)
			text += fmt.Sprintf(" AND t.%s = $%d", parent.column, len(args))
		}
	}
	rows, err := db.query(ctx, text+fmt.Sprintf(" ORDER BY t.%s LIMIT $%d", t.key(), len(args)+1), append(args, limit)...)
	return scanAll(rows, err, scanOne[string])
}
