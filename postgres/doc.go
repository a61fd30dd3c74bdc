// Package postgres opens a Postgres database (13 or newer) as a mirror's database, with
// the driver jackc/pgx.
//
// Tables live in the first schema of the connection's search_path. Any number of replicas
// may share one database. Behind PgBouncer in transaction mode before its version 1.21 add
// default_query_exec_mode=exec to the connection string.
package postgres
