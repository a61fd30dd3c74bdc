package console_test

import (
	"net/http"

	"github.com/clerksync/clerksync/auth"
)

// revokeKey revokes an API key in the dialog on the page of its user. The gate refuses it then.
func revokeKey(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	var key struct{ ID, Secret string }
	w.clerk.Call(http.MethodPost, "/v1/api_keys", map[string]any{"name": "Laptop", "subject": ada}, &key)
	if !w.allowed(key.Secret, auth.Accept(auth.APIKey)) {
		w.Fatal("the key does not get through")
	}
	p := w.signedIn("/users/"+ada, token)
	p.Click(".tabs a[href$='/keys']")
	w.at(p, "/users/"+ada+"/keys")
	p.Click("a[aria-label='Revoke Laptop']")
	p.Click("dialog form.confirm button.danger")
	p.Wait(".flash.ok")
	if w.allowed(key.Secret, auth.Accept(auth.APIKey)) {
		w.Error("a revoked key gets through")
	}
	p.Click(".flash a")
	p.WaitForText("Key revoked")
}
