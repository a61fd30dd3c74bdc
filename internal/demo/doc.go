// Package demo is the app of clerksync dev: a page on which a person signs in with Clerk's own
// script, and sees what the app's back end learns about that person from the mirror.
//
// The page finds the emulated Clerk by a path of the app, as the documents advise: below
// /__clerk/ the app serves the Frontend API and the scripts that are installed. Without Clerk's
// script the page calls the Frontend API by itself.
//
//	app.go       the pages and what they ask the server for
//	assets/      app.js signs in and asks GET /api/auth/me twice a second; app.css adds to the
//	             look of package pages
package demo
