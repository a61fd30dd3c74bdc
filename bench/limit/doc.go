// Command limit is the fastest server that net/http allows for one route: bench/me.sh measures
// GET /api/auth/me against it, like for like.
//
//	go run ./bench/limit --like http://127.0.0.1:8080 --listen 127.0.0.1:8081
//	go run ./bench/limit --like http://127.0.0.1:8080 --listen 127.0.0.1:8081 --key public.pem
//
// It sends its first request on to the server at --like, and from then on it writes that answer to
// every request: the same status, the same headers, as many bytes. Its timeouts, its bound of
// headers and its garbage collection are those of clerksync serve. It looks nothing up.
//
// Without --key it does not read the token, which is the limit for tokens that clerksync remembers.
// With --key it verifies the signature of each bearer token by crypto/rsa, and reads nothing else
// of the token: the limit for tokens that were never seen.
package main
