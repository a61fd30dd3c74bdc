package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/webhook"
)

// The vector that https://docs.svix.com/receiving/verifying-payloads/how-manual publishes.
const (
	vectorSecret    = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	vectorID        = "msg_loFOjxBNrRLzqYUf"
	vectorTimestamp = "1731705121"
	vectorBody      = `{"event_type":"ping","data":{"success":true}}`
	vectorSignature = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
)

var vectorTime = time.Unix(1731705121, 0).UTC()

func headers(prefix, id, timestamp, signature string) http.Header {
	h := http.Header{}
	h.Set(prefix+"-id", id)
	h.Set(prefix+"-timestamp", timestamp)
	h.Set(prefix+"-signature", signature)
	return h
}

// newVerifier verifies at now, or by the system's clock if that is zero.
func newVerifier(tb testing.TB, now time.Time, secrets ...string) *webhook.Verifier {
	tb.Helper()
	c := webhook.Config{Secrets: secrets}
	if !now.IsZero() {
		c.Now = func() time.Time { return now }
	}
	v, err := webhook.NewVerifier(c)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func newSigner(tb testing.TB, secrets ...string) *webhook.Signer {
	tb.Helper()
	s, err := webhook.NewSigner(secrets...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// sign is another implementation, written like Svix documents the algorithm.
func sign(tb testing.TB, secret, id, timestamp, body string) string {
	tb.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		tb.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// wantRefusal fails unless err is an *Error of this reason that repeats none of the values of h.
func wantRefusal(tb testing.TB, err error, want webhook.Reason, h http.Header) {
	tb.Helper()
	refusal, ok := errors.AsType[*webhook.Error](err)
	if !ok {
		tb.Fatalf("error %v, want reason %s", err, want)
	}
	if refusal.Reason != want {
		tb.Fatalf("reason %s, want %s", refusal.Reason, want)
	}
	if !strings.Contains(err.Error(), string(want)) {
		tb.Errorf("text %q does not name the reason %s", err, want)
	}
	for _, values := range h {
		for _, value := range values {
			if len(value) > 5 && strings.Contains(err.Error(), value) {
				tb.Errorf("text %q repeats a received value", err)
			}
		}
	}
}

func TestVerifyVector(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"svix", "webhook"} {
		for _, secret := range []string{vectorSecret, strings.TrimPrefix(vectorSecret, "whsec_")} {
			v := newVerifier(t, vectorTime, secret)
			got, err := v.Verify(headers(prefix, vectorID, vectorTimestamp, vectorSignature), []byte(vectorBody))
			if err != nil {
				t.Fatalf("%s: %v", prefix, err)
			}
			want := webhook.Message{ID: vectorID, SignedAt: vectorTime}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", prefix, diff)
			}
			if got.SignedAt.Location() != time.UTC {
				t.Errorf("%s: signed at %s, want UTC", prefix, got.SignedAt)
			}
		}
	}
}

func TestSignVector(t *testing.T) {
	t.Parallel()
	s := newSigner(t, vectorSecret)
	at := vectorTime.Add(999 * time.Millisecond) // the rest of the second is not signed
	for prefix, got := range map[string]http.Header{
		"svix":    s.Sign(vectorID, at, []byte(vectorBody)),
		"webhook": s.SignStandard(vectorID, at, []byte(vectorBody)),
	} {
		if diff := cmp.Diff(headers(prefix, vectorID, vectorTimestamp, vectorSignature), got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", prefix, diff)
		}
	}
}

// The signature covers the bytes, not their meaning.
func TestVerifyReserialisedBody(t *testing.T) {
	t.Parallel()
	v, s := newVerifier(t, vectorTime, vectorSecret), newSigner(t, vectorSecret)
	for _, body := range []string{
		`{"type":"user.created","data":{"id":"user_1"}}`, // other order of keys
		`{ "data": 1 }`,     // white space
		`{"data":1.0}`,      // other number
		`{"data":"\u003c"}`, // other escape
		`{"data":"<"}`,
		`{"data":1,"data":1}`,
	} {
		h := s.Sign(vectorID, vectorTime, []byte(body))
		if _, err := v.Verify(h, []byte(body)); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		again, err := json.MarshalIndent(value, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(h, again)
		wantRefusal(t, err, webhook.ReasonNoMatchingSignature, h)
	}
}

// Every single change of one byte, in each of the four things that are sent, is refused.
func TestVerifyOneByteAltered(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, vectorTime, vectorSecret)
	sent := []string{vectorID, vectorTimestamp, vectorSignature, vectorBody}
	verify := func(parts []string) error {
		_, err := v.Verify(headers("svix", parts[0], parts[1], parts[2]), []byte(parts[3]))
		return err
	}
	if err := verify(sent); err != nil {
		t.Fatal(err)
	}
	for part, text := range sent {
		for i := range len(text) {
			for bit := range 8 {
				altered := []byte(text)
				altered[i] ^= 1 << bit
				parts := append([]string(nil), sent...)
				parts[part] = string(altered)
				if verify(parts) == nil {
					t.Errorf("accepted part %d with bit %d of byte %d flipped", part, bit, i)
				}
			}
		}
	}
	for _, body := range []string{"", vectorBody[1:], vectorBody[:len(vectorBody)-1], vectorBody + "\n", " " + vectorBody} {
		if verify([]string{vectorID, vectorTimestamp, vectorSignature, body}) == nil {
			t.Errorf("accepted the body %q", body)
		}
	}
}

func TestVerifyEmptyBody(t *testing.T) {
	t.Parallel()
	v, s := newVerifier(t, vectorTime, vectorSecret), newSigner(t, vectorSecret)
	if _, err := v.Verify(s.Sign(vectorID, vectorTime, nil), []byte{}); err != nil {
		t.Error(err)
	}
}

// Both bounds are within the tolerance, and only the time of well-signed deliveries is checked.
func TestVerifyTolerance(t *testing.T) {
	t.Parallel()
	const none = webhook.Reason("")
	tests := []struct {
		tolerance, age time.Duration
		want           webhook.Reason
	}{
		{0, 0, none},
		{0, 5 * time.Minute, none},
		{0, 5*time.Minute + 1, webhook.ReasonStaleTimestamp},
		{0, -5 * time.Minute, none},
		{0, -5*time.Minute - 1, webhook.ReasonFutureTimestamp},
		{time.Second, time.Second, none},
		{time.Second, time.Second + 1, webhook.ReasonStaleTimestamp},
		{time.Second, -time.Second, none},
		{time.Second, -time.Second - 1, webhook.ReasonFutureTimestamp},
		{1, 2, webhook.ReasonStaleTimestamp},
		{time.Hour, time.Hour, none},
		{time.Hour, 1<<63 - 1, webhook.ReasonStaleTimestamp},
	}
	h := newSigner(t, vectorSecret).Sign(vectorID, vectorTime, []byte(vectorBody))
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s by %s", test.age, test.tolerance), func(t *testing.T) {
			t.Parallel()
			v, err := webhook.NewVerifier(webhook.Config{
				Secrets:   []string{vectorSecret},
				Tolerance: test.tolerance,
				Now:       func() time.Time { return vectorTime.Add(test.age) },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Verify(h, []byte(vectorBody))
			if test.want == none {
				if err != nil {
					t.Fatal(err)
				}
			} else {
				wantRefusal(t, err, test.want, h)
				if refusal, _ := errors.AsType[*webhook.Error](err); refusal.Age != test.age {
					t.Errorf("age %s, want %s", refusal.Age, test.age)
				}
			}
			_, err = v.Verify(h, []byte(vectorBody+" "))
			wantRefusal(t, err, webhook.ReasonNoMatchingSignature, h)
		})
	}
}

// The difference of the latest timestamp and now does not fit a time.Duration: it must not wrap
// around.
func TestVerifyFarFuture(t *testing.T) {
	t.Parallel()
	h := newSigner(t, vectorSecret).Sign(vectorID, time.Unix(999_999_999_999, 0), nil)
	_, err := newVerifier(t, vectorTime, vectorSecret).Verify(h, nil)
	wantRefusal(t, err, webhook.ReasonFutureTimestamp, h)
}

// Without Config.Now, the verifier uses the system's clock.
func TestVerifyDefaultClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, time.Time{}, vectorSecret)
		h := newSigner(t, vectorSecret).Sign(vectorID, time.Now(), nil)
		time.Sleep(webhook.DefaultTolerance)
		if _, err := v.Verify(h, nil); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Nanosecond)
		_, err := v.Verify(h, nil)
		wantRefusal(t, err, webhook.ReasonStaleTimestamp, h)
	})
}

// secretOf returns the n-th secret.
func secretOf(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(strconv.Itoa(n), 24)))
}

// secretsOf returns a secret for each bit of set.
func secretsOf(set int) (secrets []string) {
	for n := range 3 {
		if set&(1<<n) != 0 {
			secrets = append(secrets, secretOf(n))
		}
	}
	return secrets
}

// Any of several signatures by any of several secrets, among signatures of unknown versions.
func TestVerifyRotation(t *testing.T) {
	t.Parallel()
	for signers := 1; signers < 8; signers++ {
		for verifiers := 1; verifiers < 8; verifiers++ {
			h := newSigner(t, secretsOf(signers)...).Sign(vectorID, vectorTime, []byte(vectorBody))
			list := h.Get("svix-signature")
			if got, want := len(strings.Split(list, " ")), len(secretsOf(signers)); got != want {
				t.Fatalf("%d signatures of %d secrets", got, want)
			}
			h.Set("svix-signature", "v1a,AAAA v2,"+vectorSignature[3:]+" "+list+" v3 , v1,")
			_, err := newVerifier(t, vectorTime, secretsOf(verifiers)...).Verify(h, []byte(vectorBody))
			if signers&verifiers != 0 {
				if err != nil {
					t.Errorf("signers %03b, verifiers %03b: %v", signers, verifiers, err)
				}
				continue
			}
			wantRefusal(t, err, webhook.ReasonNoMatchingSignature, h)
		}
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	t.Parallel()
	h := headers("svix", vectorID, vectorTimestamp, vectorSignature)
	_, err := new(webhook.Verifier).Verify(h, []byte(vectorBody))
	wantRefusal(t, err, webhook.ReasonNoMatchingSignature, h)
}

// Many goroutines share the hashes of one Verifier and one Signer, across a real connection.
func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	v, s := newVerifier(t, vectorTime, secretOf(1), secretOf(2)), newSigner(t, secretOf(2))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if _, err := v.Verify(r.Header, body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	send := func(n int) {
		body := strings.Repeat("x", n+1)
		signed := body
		want := http.StatusOK
		if n%3 == 0 {
			signed, want = body+"y", http.StatusBadRequest
		}
		request, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		for name, values := range s.Sign("msg_"+strconv.Itoa(n), vectorTime, []byte(signed)) {
			request.Header[strings.ToLower(name)] = values // as written on the wire
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("message %d: status %d, want %d", n, response.StatusCode, want)
		}
	}
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() { send(n) })
	}
	wg.Wait()
}
