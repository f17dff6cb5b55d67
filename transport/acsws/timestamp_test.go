package acsws

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timestamps are the forms that occur, and near misses.
var timestamps = []struct {
	in   string
	want string // RFC 3339 in UTC, empty if it is as good as absent
	fast bool   // parseUTC takes it
}{
	{"2022-10-03T19:16:12.925Z", "2022-10-03T19:16:12.925Z", true},
	{"2022-08-23T11:48:05Z", "2022-08-23T11:48:05Z", true},
	{"2022-08-23T11:48:05.1234567Z", "2022-08-23T11:48:05.1234567Z", true},
	{"2022-08-23T11:48:05.1234567+00:00", "2022-08-23T11:48:05.1234567Z", true},
	{"2022-08-23T11:48:05.123456789Z", "2022-08-23T11:48:05.123456789Z", true},
	{"2022-08-23T11:48:05.1Z", "2022-08-23T11:48:05.1Z", true},
	{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", true},
	{"2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z", true},
	{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z", true},
	{"2261-12-31T23:59:59.999999999Z", "2261-12-31T23:59:59.999999999Z", true},
	{"2022-08-23T11:48:05+02:00", "2022-08-23T09:48:05Z", false},
	{"2022-08-23T11:48:05-00:00", "2022-08-23T11:48:05Z", false},
	{"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z", false},
	{"2022-08-23T11:48:05.1234567891Z", "2022-08-23T11:48:05.123456789Z", false},
	{"2261-12-31T23:59:59-01:00", "", false},
	{"0001-01-01T00:00:00+00:00", "", false},
	{"0001-01-01T00:00:00Z", "", false},
	{"9999-12-31T23:59:59.9999999Z", "", false},
	{"2100-02-29T00:00:00Z", "", false},
	{"2023-02-29T00:00:00Z", "", false},
	{"2022-04-31T00:00:00Z", "", false},
	{"2022-00-01T00:00:00Z", "", false},
	{"2022-13-01T00:00:00Z", "", false},
	{"2022-01-00T00:00:00Z", "", false},
	{"2022-01-01T24:00:00Z", "", false},
	{"2022-01-01T00:60:00Z", "", false},
	{"2022-01-01T00:00:60Z", "", false},
	{"2022-01-01T00:00:00.Z", "", false},
	{"2022-01-01T00:00:00", "", false},
	{"2022-01-01T00:00:00z", "", false},
	{"2022-01-01 00:00:00Z", "", false},
	{"2022/01/01T00:00:00Z", "", false},
	{"2022-01-01T00:00:00ZZ", "", false},
	{"2022-01-01T00:00:00.5", "", false},
	{"20a2-01-01T00:00:00Z", "", false},
	{"202a-0:-01T00:00:00Z", "", false},
	{"2022-01-01T00:00:0", "", false},
	{"1664824572925", "", false},
	{"", "", false},
}

func TestTimestamp(t *testing.T) {
	for _, tt := range timestamps {
		ns, ok := parseTimestamp([]byte(tt.in))
		require.Equal(t, tt.want != "", ok, "%q", tt.in)
		_, fast := parseUTC([]byte(tt.in))
		require.Equal(t, tt.fast, fast, "%q", tt.in)
		if ok {
			want, err := time.Parse(time.RFC3339, tt.want)
			require.NoError(t, err)
			require.Equal(t, want.UnixNano(), ns, "%q", tt.in)
		}
	}
}

// TestEveryDay walks the calendar that parseUTC computes by hand.
func TestEveryDay(t *testing.T) {
	end := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	var buf []byte
	for d := time.Date(1970, 1, 1, 23, 59, 58, 987e6, time.UTC); d.Before(end); d = d.AddDate(0, 0, 1) {
		buf = d.AppendFormat(buf[:0], "2006-01-02T15:04:05.000Z07:00")
		if ns, ok := parseUTC(buf); !ok || ns != d.UnixNano() {
			t.Fatalf("%s: got %d %v, want %d", buf, ns, ok, d.UnixNano())
		}
	}
}
