// Package postgres opens Postgres databases. The public package of the same name documents it.
package postgres
