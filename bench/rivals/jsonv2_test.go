//go:build goexperiment.jsonv2

package rivals_test

import jsonv2 "encoding/json/v2"

func init() {
	libraries = append(libraries, library{
		"encoding-json-v2",
		func(text []byte, v any) error { return jsonv2.Unmarshal(text, v) },
		func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
	})
}
