package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// ginRouter mounts a mirror in gin, whose middleware is of another shape: guard is all the glue.
func ginRouter(m *clerksync.Mirror) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/api/webhooks/clerk", gin.WrapH(m.WebhookHandler()))
	r.GET("/api/auth/me", gin.WrapH(m.MeHandler()))
	r.GET("/", guard(m.Middleware), gin.WrapF(greet))
	r.GET("/api/deals", guard(m.Require(auth.MinRole("growth"))), gin.WrapF(greet))
	return r
}

// guard makes a gin middleware of one for net/http: what it does not let pass, it has answered.
func guard(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed, c.Request = true, r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}
