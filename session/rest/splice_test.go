package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpliceKeepsWhatIsThere(t *testing.T) {
	add := []Member{{"callbackUri", "https://a/?b=1&c=<2>"}, {"media", map[string]int{"x": 1}}}
	for _, c := range []struct{ name, in, want string }{
		{"empty object", `{}`, `{"callbackUri":"https://a/?b=1&c=<2>","media":{"x":1}}`},
		{"spaces", " { } \n", ` { "callbackUri":"https://a/?b=1&c=<2>","media":{"x":1}} ` + "\n"},
		{"order, numbers, escapes", `{"z":1.50e+1,"a":"\u00e9\/"}`,
			`{"z":1.50e+1,"a":"\u00e9\/","callbackUri":"https://a/?b=1&c=<2>","media":{"x":1}}`},
		{"one there", `{"callbackUri":7}`, `{"callbackUri":7,"media":{"x":1}}`},
		{"there in other case", `{"CallbackUri":"x","MEDIA":{}}`, `{"CallbackUri":"x","MEDIA":{}}`},
		{"there as null", `{"media":null,"callbackUri":null}`, `{"media":null,"callbackUri":null}`},
		{"there deeper does not count", `{"o":{"media":1},"l":["callbackUri"]}`,
			`{"o":{"media":1},"l":["callbackUri"],"callbackUri":"https://a/?b=1&c=<2>","media":{"x":1}}`},
		{"there by an escape", `{"\u006dedia":1,"callbackUri":"c"}`, `{"\u006dedia":1,"callbackUri":"c"}`},
	} {
		got, err := Splice([]byte(c.in), add)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, string(got), c.name)
	}
}

// FuzzSplice: the result is JSON that equals the input plus the added keys, or
// the input is no JSON object and is refused.
func FuzzSplice(f *testing.F) {
	for _, s := range []string{
		`{}`, ` {"a":1} `, `{"callbackUri":"x"}`, `{"CALLBACKURI":null,"b":[{"c":"}"}]}`, `{"a":"}"}`,
		`[]`, `null`, `{"a":1,"a":2}`, `{"\u0063allbackUri":0}`, `{"media":{}}x`, `{"":{}}`, "{\"k\xff\":1}", ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := string(in)
		got, err := Splice(in, []Member{{"callbackUri", "https://x/"}, {"media", map[string]string{"k": "v"}}})
		require.Equal(t, before, string(in), "the input is not written to")
		var want map[string]any
		object := json.Unmarshal(in, &want) == nil && want != nil
		require.Equal(t, object, err == nil, "%q: %v", in, err)
		if err != nil {
			return
		}
		has := func(key string) bool {
			for k := range want {
				if strings.EqualFold(k, key) {
					return true
				}
			}
			return false
		}
		if !has("callbackUri") {
			want["callbackUri"] = "https://x/"
		}
		if !has("media") {
			want["media"] = map[string]any{"k": "v"}
		}
		var out map[string]any
		require.NoError(t, json.Unmarshal(got, &out), "%q", got)
		require.Equal(t, want, out)
	})
}
