package store

import (
	"crypto/sha1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// The vectors were made by another implementation. They are in docs/schema.md too and never change:
// ids of users are in the tables of applications.
func TestUserIDVectors(t *testing.T) {
	t.Parallel()
	for clerkID, want := range map[string]string{
		"user_29w83sxmDNGwOuEthce5gg56FcC":  "01811ad5-3e42-8bbf-9ad5-d58054614ac7", // the example of Clerk's documentation
		"user_000000000000000000000000000":  "0145f680-b023-8932-88fc-1666ded720ca", // the first second of KSUIDs, in 2014
		"user_aWgEPTl1tmebfsQzFP4bxwgy80V":  "052df680-af0c-83d3-a9fd-794b01719a6c", // the last one, in 2150
		"user_aWgEPTl1tmebfsQzFP4bxwgy80W":  "e3611068-a063-5490-9948-b4f385fb0198", // more than 20 bytes
		"user_zzzzzzzzzzzzzzzzzzzzzzzzzzz":  "5108479e-b9b8-5ec5-a975-b526d1ff688d",
		"user_29w83sxmDNGwOuEthce5gg56Fc":   "6775e425-0d46-56f5-ba2b-cb7517d2df99", // too short
		"user_29w83sxmDNGwOuEthce5gg56FcC0": "20464125-d6fc-5cd0-9c38-dafea1f95794", // too long
		"user_29w83sxmDNGwOuEthce5gg56Fc-":  "01920226-a478-58e0-9227-e9ed27582874", // no digit
		"user_29w83sxmDNGwOuEthce5gg56é":    "0b99e837-9283-5e12-bc73-40fb417dca62", // 27 bytes
		"USER_29w83sxmDNGwOuEthce5gg56FcC":  "27703460-1992-5b34-abaa-529fe375e0c5",
		"29w83sxmDNGwOuEthce5gg56FcC":       "ba35db93-d629-5d6c-ada0-a43d550dac8c", // no prefix
		"user_1":                            "05b6bd82-3356-5aac-bdff-2279678cd946",
		"":                                  "cd1fc5d0-d89b-5ad3-96f0-a65ae2f01d79",
	} {
		if got := UserID(clerkID); got != want {
			t.Errorf("%q has the id %s, want %s", clerkID, got, want)
		}
	}
	if at := timeOfID(t, UserID("user_29w83sxmDNGwOuEthce5gg56FcC")); at.Truncate(time.Second) != time.Date(2022, 5, 31, 15, 56, 31, 0, time.UTC) {
		t.Errorf("the example was made at %s", at)
	}
}

// Ids sort by the second in which the Clerk ids were made.
func TestUserIDsSortByTime(t *testing.T) {
	t.Parallel()
	var ids []string
	for second := range uint32(3000) {
		ids = append(ids, UserID("user_"+ksuid(second*1_400_000, byte(second))))
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
}

func FuzzUserID(f *testing.F) {
	for _, seed := range []string{"user_29w83sxmDNGwOuEthce5gg56FcC", "user_aWgEPTl1tmebfsQzFP4bxwgy80W", "user_", "user_1", "", "user_\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, clerkID string) {
		id := UserID(clerkID)
		if !isUUID(id) || !strings.ContainsAny(id[19:20], "89ab") {
			t.Fatalf("%q: %s is no UUID", clerkID, id)
		}
		seconds, ok := referenceSeconds(clerkID)
		switch {
		case ok && (id[14] != '8' || timeOfID(t, id).Unix() != seconds):
			t.Errorf("%q: %s is not of the second %d", clerkID, id, seconds)
		case !ok && id != referenceV5(clerkID):
			t.Errorf("%q: %s, want %s", clerkID, id, referenceV5(clerkID))
		}
		if UserID(clerkID+"x") == id || UserID(strings.ToUpper(clerkID)) == id && strings.ToUpper(clerkID) != clerkID {
			t.Errorf("%q shares its id", clerkID)
		}
	})
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// referenceSeconds reads the time of a Clerk id by math/big.
func referenceSeconds(clerkID string) (seconds int64, ok bool) {
	text, ok := strings.CutPrefix(clerkID, "user_")
	if !ok || len(text) != 27 {
		return 0, false
	}
	n := new(big.Int)
	for _, c := range []byte(text) {
		digit := strings.IndexByte(alphabet, c)
		if digit < 0 {
			return 0, false
		}
		n.Add(n.Mul(n, big.NewInt(62)), big.NewInt(int64(digit)))
	}
	return n.Rsh(n, 128).Int64() + 1_400_000_000, n.BitLen() <= 32
}

func referenceV5(name string) string {
	h := sha1.New()
	space, _ := hex.DecodeString("0c1e4b5c7a8e4d029d3b5a607c1f2e94")
	h.Write(append(space, name...))
	n := new(big.Int).SetBytes(h.Sum(nil)[:16])
	for bit, set := range map[int]uint{79: 0, 78: 1, 77: 0, 76: 1, 63: 1, 62: 0} {
		n.SetBit(n, bit, set)
	}
	text := hex.EncodeToString(n.FillBytes(make([]byte, 16)))
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// timeOfID is the time that an id of version 8 carries.
func timeOfID(t *testing.T, id string) time.Time {
	t.Helper()
	b, err := hex.DecodeString(id[:8] + id[9:13])
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(new(big.Int).SetBytes(b).Int64()).UTC()
}

// ksuid makes the KSUID of a second since their epoch.
func ksuid(second uint32, fill byte) string {
	n := new(big.Int).SetUint64(uint64(second))
	n.Lsh(n, 128).Add(n, new(big.Int).Lsh(big.NewInt(int64(fill)), 100))
	var text [27]byte
	for i := len(text) - 1; i >= 0; i-- {
		rest := new(big.Int)
		n.DivMod(n, big.NewInt(62), rest)
		text[i] = alphabet[rest.Int64()]
	}
	return string(text[:])
}
