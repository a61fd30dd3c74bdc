package privacy

import (
	"maps"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func TestFinder(t *testing.T) {
	t.Parallel()
	f := newFinder([]store.Erasure{
		{Search: []string{"user_1", "ada@example.com", "+4915112345"}},
		{Search: []string{"user_2", "o'brien@example.com", "ada@example.com", "+14155550199"}},
		{Search: []string{"user_Three", "Dora@Example.com", "dora+x@example.com", "0xAbCdEf0123456789", "username:Dora"}},
	})
	for text, want := range map[string][]int{
		`{"id":"user_1"}`:                          {0},
		`{"id":"user_12","x":"xada@example.com"}`:  nil,
		`{"to":"ada@example.com"}`:                 {0, 1},
		`write to o'brien@example.com.`:            {1},
		`call +4915112345, or user_2.`:             {0, 1},
		`{"id":"user_three"}`:                      nil,
		`{"to":"ADA@example.COM"}`:                 {0, 1},
		`{"to":"dora@example.com."}`:               {2},
		`{"w":"0xABCDEF0123456789"}`:               {2},
		`{"to":"ada%40example.com"}`:               {0, 1},
		`{"u":"/?to=O%27Brien%2540example.com"}`:   {1},
		`{"to":"xada%40example.com"}`:              nil,
		`{"t":"100% sure %4"}`:                     nil,
		`{"to":"+49 (151) 123-45"}`:                {0},
		`{"to":"+49 (0)151 / 12345"}`:              {0},
		`{"to":"0049-151-12345"}`:                  {0},
		`{"to":"0151 12345"}`:                      {0},
		`{"to":"%2B49%20151%2012345"}`:             {0},
		"{\"to\":\"+49\u00a0151\u201312345\"}":     {0},
		`{"to":4915112345}`:                        {0},
		`{"to":"+49 151 123456"}`:                  nil,
		`{"list":[49,151,12345]}`:                  nil,
		`{"to":"(415) 555-0199"}`:                  {1},
		`{"to":"1 415.555.0199"}`:                  {1},
		`{"by":"dora"}`:                            nil, // a user name counts where the form is not known
		`https://x.example/user_1/avatar`:          {0},
		`{"t":"Hello,\nada@example.com\tsays"}`:    {0, 1}, // JSON's escapes are no letters
		`{"t":"of\r\nuser_1\nand\tuser_2"}`:        {0, 1},
		`{"t":"nada@example.com"}`:                 nil,
		`{"t":"{\"to\":\"\\nada@example.com\"}"}`:  {0, 1}, // JSON in JSON
		`{"t":"\u0061da\u0040example.com"}`:        {0, 1},
		`{"t":"+49\t151\t12345"}`:                  {0},
		`{"t":"call \u002b49\u00a0151 12345"}`:     {0},
		`{"t":"<b>dora&#43;x@example.com</b>"}`:    {2}, // HTML, as templates write it
		`{"t":"\u0026lt;ada&#64;example.com>"}`:    {0, 1},
		`{"t":"it is _ada@example.com_ -user_1-"}`: {0, 1}, // Markdown
		`{"t":"\\ \u12 \q \ud83d &; & \"}`:         nil,
		``:                                         nil,
	} {
		if got := slices.Sorted(maps.Keys(f.find(text))); !slices.Equal(got, want) {
			t.Errorf("%s names %v, want %v", text, got, want)
		}
	}
}

func TestFinderOfUserNames(t *testing.T) {
	t.Parallel()
	f := newFinder([]store.Erasure{{Search: []string{"user_1", userNameMark + "Dora"}}, {Search: []string{"user_2", userNameMark + "chat"}}})
	for body, want := range map[string][]int{
		`{"object":"game","winner":"dora"}`:              {0},
		`{"object":"game","text":"well done, @Dora!"}`:   {0},
		`{"object":"game","link":"https://x/%44ora?a"}`:  {0},
		`{"object":"game","winner":"Dorabella"}`:         nil,
		`{"object":"game","dora":"1"}`:                   nil, // the name of a member
		`{"object":"chat","type":"chat","in":["a","b"]}`: nil,
		`{"object":"x","in":["a","Chat"]}`:               {1},
		`{"object":"x"`:                                  nil,
	} {
		for state, counts := range map[mirror.DeliveryState]bool{
			mirror.DeliveryIgnored: true, mirror.DeliveryDead: true, mirror.DeliveryApplied: false, mirror.DeliveryQuarantined: false,
		} {
			got := slices.Sorted(maps.Keys(f.findIn(&store.Delivery{State: state, Body: body})))
			if expected := map[bool][]int{true: want}[counts]; !slices.Equal(got, expected) {
				t.Errorf("%s (%s) names %v, want %v", body, state, got, expected)
			}
		}
	}
}
