// Command scale fills a database with made-up rows, and measures how long lists, filters, searches
// and pages take with them, and what ingest, requests and rules cost:
//
//	go run ./bench/scale fill --database sqlite:/tmp/big.db
//	go run ./bench/scale fill --database postgres://…
//	go run ./bench/scale measure --database sqlite:/tmp/big.db
//	go run ./bench/scale growth --database sqlite:/tmp/big.db --users 1000000
//	go run ./bench/scale pages --server http://127.0.0.1:8081 --token … /api/users /api/deliveries
//
// Without flags it is a million users, three million memberships, a million sessions and a million
// deliveries, about ten gigabytes. The database must be empty before. bench/growth.sh compares
// sizes.
package main
