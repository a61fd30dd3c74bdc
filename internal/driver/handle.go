package driver

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Handle is an open database, without what only this module may do with it.
type Handle struct {
	db    *store.DB
	taken *atomic.Bool // a mirror has it and is going to close it
}

// NewHandle returns a handle of a database.
func NewHandle(db *store.DB) *Handle { return &Handle{db, &atomic.Bool{}} }

// Engine returns the database engine.
func (h *Handle) Engine() mirror.Engine { return mirror.Engine(h.db.Engine()) }

// Migrate brings the schema up to date.
func (h *Handle) Migrate(ctx context.Context) error { return h.db.Migrate(ctx) }

// Close closes the database.
func (h *Handle) Close() error { return h.db.Close() }

// String returns the engine and where the database is, without user and password.
func (h *Handle) String() string { return h.db.String() }

// database is not exported, so that only a type that embeds a Handle has it.
func (h *Handle) database() *store.DB { return h.db }

// take is not exported, for the same reason. It reports whether it was called for the first time.
func (h *Handle) take() bool { return h.taken.CompareAndSwap(false, true) }

// Take returns the database of a handle to a caller that is going to close it. Only the first
// caller gets it.
func Take(handle any) (*store.DB, error) {
	db, err := Of(handle)
	if err != nil {
		return nil, err
	}
	if h, ok := handle.(interface{ take() bool }); ok && !h.take() {
		return nil, errors.New("the database handle was given away before: open the database once more")
	}
	return db, nil
}

// Of returns the database of a handle: a [*Handle], or a type that embeds one.
func Of(handle any) (*store.DB, error) {
	if v := reflect.ValueOf(handle); v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("the database is nil: check the error of the function that opened it")
	}
	if h, ok := handle.(interface{ database() *store.DB }); ok {
		if db := h.database(); db != nil {
			return db, nil
		}
	}
	return nil, errors.New("the database was not opened by package sqlite or package postgres of clerksync")
}
