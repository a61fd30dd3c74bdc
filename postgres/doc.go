// Package postgres opens a Postgres database (13 or newer) as a mirror's database, with
// the driver jackc/pgx.
//
// Tables live in the first schema of the connection's search_path. Any number of replicas
// may share one database. Behind a pooler such as PgBouncer, in any mode and version, Open prepares
// no statements unless the connection string has a default_query_exec_mode. A pool that is given to
// FromPool or FromDB decides by itself: with transaction pooling before PgBouncer 1.21 it needs
// default_query_exec_mode=exec.
package postgres
