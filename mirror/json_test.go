package mirror

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/clerksync/clerksync/clerk"
)

// records are the zero values of all exported structs that a caller may encode.
func records() []any {
	return []any{
		User{},
		Session{},
		Organization{},
		Membership{},
		Invitation{},
		Delivery{},
		DeliveryCount{},
		ReplayReport{},
		ReplayFailure{},
		ReplayPreview{},
		DeliveryOperation{},
		AuditEntry{},
		Consumer{},
		ParkedChange{},
		KindReport{},
		SyncReport{},
		Drift{},
		SyncStatus{},
		SyncReason{},
		WalkRun{},
		Activity{},
		ActivityMinute{},
		DeliveryGroup{},
		SyncOverview{},
		KindStatus{},
		Walk{},
		DriftStatus{},
		BudgetStatus{},
		Health{},
		DatabaseHealth{},
		ReplicaHealth{},
		Warning{},
		Finding{},
		Counts{},
		Purged{},
		Erasure{},
		Change{},
		TimelineEntry{},
		FeedPage{},
		Operator{},
		Override{},
		Key{},
		Revocation{},
		Instance{},
		Backup{},
		BackupLoss{},
		InstanceState{},
		RowStatus{},
		WebhookEndpoint{},
		WebhookAttempt{},
		Written{},
		Job{},
		JobRequest{},
		JobSelection{},
		JobPlan{},
		JobItem{},
		JobProgress{},
		JobFailure{},
		Page[User]{},
	}
}

// notRecords are the exported structs that are given to the API or are errors.
const notRecords = " " +
	"By " +
	"JobFilter " +
	"JobFailureFilter " +
	"ClerkError " +
	"UserFilter " +
	"SessionFilter " +
	"OverrideFilter " +
	"RevocationFilter " +
	"OrganizationFilter " +
	"MembershipFilter " +
	"InvitationFilter " +
	"DeliveryFilter " +
	"AuditFilter " +
	"TimelineQuery " +
	"DriftFilter " +
	"WalkFilter " +
	"FeedQuery " +
	"ChangeFilter " +
	"WebhookAttemptFilter " +
	"CursorGoneError " +
	"ParkedFilter " +
	"ReplayOptions " +
	"ReconcileOptions " +
	"SyncProgress " +
	"MassDeletionError " +
	"DatabaseError " +
	"OnChangeError " +
	""

// structs returns the names of the exported structs of this package.
func structs(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				if _, isStruct := spec.Type.(*ast.StructType); isStruct {
					names = append(names, spec.Name.Name)
				}
			}
			return true
		})
	}
	return names
}

func TestEveryRecordIsTested(t *testing.T) {
	t.Parallel()
	var known []string
	for _, r := range records() {
		name, _, _ := strings.Cut(reflect.TypeOf(r).Name(), "[")
		known = append(known, name)
	}
	for _, name := range structs(t) {
		if !slices.Contains(known, name) && !strings.Contains(notRecords, " "+name+" ") {
			t.Errorf("%s is neither among the records nor among what is none", name)
		}
	}
}

const canary = "canary-4f1d"

// fill sets every field, those that are not exported to a text that must not be seen.
func fill(v reflect.Value, hidden bool) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(1780000000000).UTC()))
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			if !v.Type().Field(i).IsExported() {
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem() // there is no other way in
				fill(f, true)
				continue
			}
			fill(f, hidden)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), hidden)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			text := `{"a":"<b>"}`
			if hidden {
				text = `{"a":"` + canary + `"}`
			}
			v.SetBytes([]byte(text))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), hidden)
	case reflect.String:
		text := "shown <&>"
		if hidden {
			text = canary
		}
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	default:
		panic("no rule for " + v.Kind().String())
	}
}

func filled(r any) reflect.Value {
	v := reflect.New(reflect.TypeOf(r)).Elem()
	fill(v, false)
	return v
}

// No record shows what it keeps private: not as JSON, and not in a log.
func TestRecordsHideWhatIsPrivate(t *testing.T) {
	t.Parallel()
	hides := 0
	for _, r := range records() {
		v := filled(r)
		record := v.Interface()
		var text strings.Builder
		for _, value := range []any{record, v.Addr().Interface(), []any{record}, map[string]any{"r": record}} {
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "%s %v %+v %#v", encoded, value, value, value)
			// verbs that do not suit, for which fmt follows a pointer
			fmt.Fprintf(&text, "%s %q %x %d %t", value, value, value, value, value)
		}
		decimal := fmt.Sprintf("%d", []byte(canary))
		if strings.Contains(text.String(), canary) || strings.Contains(text.String(), strings.Trim(decimal, "[]")) ||
			strings.Contains(text.String(), hex.EncodeToString([]byte(canary))) {
			t.Errorf("%T shows what it hides: %s", r, text.String())
		}
		hides += strings.Count(fmt.Sprintf("%#v", record), "private:") + strings.Count(fmt.Sprintf("%#v", record), "body:")
	}
	if hides < 5 {
		t.Errorf("%d records hide something: this test looks for the wrong thing", hides)
	}
	var u User
	u.SetPrivate(json.RawMessage(`{"m":1}`), json.RawMessage(`{"o":1}`))
	if string(u.PrivateMetadata()) != `{"m":1}` || string(u.RawObject()) != `{"o":1}` {
		t.Errorf("the methods return %s and %s", u.PrivateMetadata(), u.RawObject())
	}
}

// A record has the same JSON as a struct whose times are those of package clerk, and is read back
// from it.
func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	for _, r := range records() {
		v := filled(r)
		for _, record := range []any{v.Interface(), r} {
			encoded, err := json.Marshal(record)
			if err != nil {
				t.Fatal(err)
			}
			back := reflect.New(reflect.TypeOf(r))
			if err := json.Unmarshal(encoded, back.Interface()); err != nil {
				t.Fatalf("%T: %v in %s", r, err, encoded)
			}
			again, err := json.Marshal(back.Elem().Interface())
			if err != nil || !bytes.Equal(again, encoded) {
				t.Errorf("%T: %s, %v\nwas %s", r, again, err, encoded)
			}
		}
	}
}

func TestTimesInJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	for _, test := range []struct {
		record any
		want   string
	}{
		{Erasure{ClerkUserID: "user_1", At: at, Cause: ErasedOnRequest, Rows: 2}, `{"clerk_user_id":"user_1","at":"2026-01-02T03:04:05.000Z","cause":"erased","rows":2,"bodies":0,"done_at":null}`},
		{KindReport{Kind: clerk.KindUser}, `{"kind":"user","rows":0,"total":0,"complete":false,"drift_found":0,"drift_repaired":0}`},
		{KindReport{Kind: clerk.KindUser, Since: at, Reason: "r"}, `{"kind":"user","rows":0,"total":0,"complete":false,"reason":"r","since":"2026-01-02T03:04:05.000Z","drift_found":0,"drift_repaired":0}`},
		{Drift{}, `{"kind":"","id":"","found_at":null,"fields":null,"cause":"","since":null,"repaired":false}`},
		{Walk{}, `{"backfilled_at":null,"begun_at":null,"ended_at":null,"complete":false,"complete_at":null,"refused":false,"swept_at":null,"rows":0,"drift_found":0,"drift_repaired":0,"drift_left":0}`},
	} {
		if got, err := json.Marshal(test.record); err != nil || string(got) != test.want {
			t.Errorf("%T is %s, %v\nwant %s", test.record, got, err, test.want)
		}
	}
}
