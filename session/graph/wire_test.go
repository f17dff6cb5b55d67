package graph

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallKeepsWhatItDoesNotKnow(t *testing.T) {
	const text = `{"@odata.type":"#microsoft.graph.call","ID":"57DA-B8","state":"Establishing","subject":null,
		"callRoutes":[],"source":{"identity":{"user":{"id":"U1","displayName":"Ann","hidden":false,"new":{"a":[1]}},"phone":null},"clientVersion":"7"},
		"targets":[{"identity":{"applicationInstance":{"id":"A"}},"region":null}],
		"resultInfo":{"code":"500","subCode":7000},"applicationMetadata":{"botData":{"user":{"clientLocation":"US"}}},"ringingTimeoutInSeconds":null}`
	var c Call
	require.NoError(t, json.Unmarshal([]byte(text), &c))
	require.Equal(t, "57DA-B8", c.ID)
	require.Equal(t, Enum("establishing"), c.State)
	require.Equal(t, "8:orgid:u1", c.Source.Identity.RawID())
	require.Equal(t, "28:a", c.Targets[0].Identity.RawID())
	require.Equal(t, Code(500), c.ResultInfo.Code)
	require.Equal(t, Code(7000), c.ResultInfo.Subcode)

	c.Subject = "set"
	again, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"@odata.type":"#microsoft.graph.call","id":"57DA-B8","state":"establishing","subject":"set",
		"callRoutes":[],"source":{"identity":{"user":{"id":"U1","displayName":"Ann","hidden":false,"new":{"a":[1]}},"phone":null},"clientVersion":"7"},
		"targets":[{"identity":{"applicationInstance":{"id":"A"}},"region":null}],
		"resultInfo":{"code":500,"subcode":7000},"applicationMetadata":{"botData":{"user":{"clientLocation":"US"}}},"ringingTimeoutInSeconds":null}`, string(again))
}

func TestKey(t *testing.T) {
	require.Equal(t, Key("2E1A0B002DB440229570243709C565AB"), Key("2e1a0b00-2db4-4022-9570-243709c565ab"))
}

func FuzzCall(f *testing.F) {
	f.Add([]byte(`{"id":"1","state":"Hold","targets":[{"identity":null},null],"source":null,"callRoutes":[{}]}`))
	f.Add([]byte(`{"resultInfo":{"code":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Call
		if json.Unmarshal(data, &c) != nil {
			return
		}
		once, err := json.Marshal(c)
		require.NoError(t, err)
		var again Call
		require.NoError(t, json.Unmarshal(once, &again))
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.JSONEq(t, string(once), string(twice))
		again.Connection()
	})
}
