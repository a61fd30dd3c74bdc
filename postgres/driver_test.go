package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
)

// otherDriver is one that is not pgx's.
type otherDriver struct{}

func (otherDriver) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no") }
func (d otherDriver) Driver() driver.Driver                      { return d }
func (otherDriver) Open(string) (driver.Conn, error)             { return nil, errors.New("no") }
