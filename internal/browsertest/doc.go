// Package browsertest drives a real Chromium, for tests of pages.
//
// [Start] starts one browser for a test and its subtests. [Browser.Tab] opens a tab with cookies of
// its own. The methods of a [Tab] do what a person does, wait until the page is ready for it, and
// fail the test if it never is. A tab also fails its test if the page logs an error, throws an
// exception, asks another machine for anything, or breaks its own content security policy.
//
// [Tab.Accessible] checks a page by the rules of axe-core.
package browsertest
