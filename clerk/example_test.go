package clerk_test

import (
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
)

// Read an event after its signature was verified. Fields that are absent, null or of another type
// read as the zero value.
func ExampleParseEvent() {
	event, err := clerk.ParseEvent([]byte(`{
		"type": "user.updated", "timestamp": 1780000005012, "instance_id": "ins_1",
		"data": {"object": "user", "id": "user_1", "first_name": "Ada", "last_name": null, "banned": false}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Kind, event.ID, event.OccurredAt)
	fmt.Printf("%q %q %v\n", event.Data.Get("first_name"), event.Data.Get("last_name"), event.Data.Get("banned").Bool())

	_, err = clerk.ParseEvent([]byte(`{"type": "user.updated", "data": {}}`))
	if missing, ok := errors.AsType[*clerk.FieldError](err); ok {
		fmt.Println(missing.Field, missing.Problem)
	}
	// Output:
	// user user_1 2026-05-28T20:26:45.012Z
	// "Ada" "" false
	// data.id is missing
}

// Texts that mean the same have the same canonical encoding.
func ExampleParse() {
	for _, text := range []string{`{"b": 1, "a": "\u00e9"}`, `{"a":"é","b":2,"b":1}`} {
		value, err := clerk.Parse([]byte(text))
		fmt.Println(value.JSON(), err)
	}
	// Output:
	// {"a":"é","b":1} <nil>
	// {"a":"é","b":1} <nil>
}
