// Package console is the operator console: pages that show whether the mirror is right, find any
// person, session or delivery, and repair what is wrong.
//
//	mux.Handle("/console/", console.New(m, console.Options{Prefix: "/console", OperatorToken: token}))
//
// Operators sign in with their token, or with a link that works once. Users whom Options.Rule
// allows get in with their Clerk session, where the browser sends it. Every page works without
// JavaScript. Pages load nothing from elsewhere.
//
// # How a page is made
//
// A page has four parts:
//
//   - An entry of a route table, in a method such as [handler.userRoutes] that routes.go lists: the
//     pattern, the section of the navigation, and the function that serves it. Routes need a
//     signed-in visitor, and those that are not GET need the form token and an operator who may
//     write, unless the entry says otherwise.
//   - A function of a [visit]. It calls the services of the mirror, fills a struct, and ends with
//     visit.render, or with visit.redirect after a form. It returns errors: visit.fail makes pages
//     of them. What failed because of what was typed is rendered again, with what was typed.
//   - The struct. Its fields are what the page shows, in the form in which it shows it: records of
//     the mirror, and components (filterBar, pager, tab, confirmation, empty, plot), which
//     components.go names.
//   - A template of the same name, which defines "content". It gets a [view]: .Page is the struct,
//     and the methods of the view are the links, times and form fields. Package pages has the
//     components, the style sheet and the script, which the pages of the emulator share.
//
// TestPages renders every page with everything on it, so a new page needs an entry there, too.
//
// Rules: a filter is a parameter of the URL. A row is a link, so that it opens in a new tab.
// Nothing on opening a page reads more rows the more there are: no counts, pages by cursor. An
// action that cannot be undone is a page of its own, which names the object and the consequence;
// the script shows it in a dialog. Ids go through {{id}}, times through {{$.Ago}} and {{$.Time}},
// states through {{state}}.
package console
