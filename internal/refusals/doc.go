// Package refusals counts what is refused, for warnings: deliveries that no secret signed or
// whose time is wrong, and a secret key that Clerk does not accept. One row of the database has
// the counts, so that commands show them too: they are other processes than the server. The log
// has refusals as incidents (package incident).
package refusals
