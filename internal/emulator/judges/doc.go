// Package judges tests the emulator with Clerk's own SDKs, unmodified and in a real Chromium.
//
// testdata/apps has what they are used in: a plain page with clerk-js, a Vite app with
// @clerk/react, a Next.js app with clerkMiddleware, back ends with Express, Fastify and Hono, and
// @clerk/testing. Its lockfile pins all of them, and setup.sh installs them. One test builds and
// starts the apps, starts one emulator and one browser, and does what people do.
//
// Nothing may leave the machine: the browser resolves no name but localhost and reports each
// request to another host, and the Node servers refuse to connect to another host.
//
// Pictures of the pages, in both themes:
//
//	go test ./internal/emulator/judges -screenshots /tmp/pictures
package judges
