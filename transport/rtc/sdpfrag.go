package rtc

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/ice/v4"
	"github.com/pion/sdp/v3"
)

// fragmentType is that of what peers send once a session stands (RFC 8840,
// section 9), and maxFragment bounds it, in bytes.
const (
	fragmentType = "application/trickle-ice-sdpfrag"
	maxFragment  = 64 << 10
)

// fragment is what a peer says of its side of the network: candidates, and the
// credentials that they belong to.
type fragment struct {
	mid             string // the first line's; "" if it names none
	ufrag, password string // "" if it names none
	candidates      []string
	last            bool // no more candidates come
}

// readFragment reads a fragment of SDP (RFC 8840, section 9.2). Errors are
// *OfferError: NotAcceptable if it is well formed, and of no use.
func readFragment(text string) (fragment, error) {
	var f fragment
	if len(text) > maxFragment {
		return f, malformed("size", strconv.Itoa(len(text)), fmt.Sprintf("at most %d bytes", maxFragment))
	}
	lines := 0
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			continue
		}
		kind, value, ok := strings.Cut(line, "=")
		if !ok || len(kind) != 1 {
			return f, malformed("line", line, "a letter, = and a value (RFC 8866, section 5)")
		}
		switch kind {
		case "m":
			if lines++; lines > maxLines {
				return f, malformed("m=", "more lines", fmt.Sprintf("at most %d", maxLines))
			}
		case "a":
			key, value, _ := strings.Cut(value, ":")
			if err := f.attribute(key, value); err != nil {
				return f, err
			}
		}
	}
	return f, f.check()
}

func (f *fragment) attribute(key, value string) error {
	switch key {
	case "mid":
		if f.mid == "" {
			f.mid = value
		}
	case "ice-ufrag":
		if f.ufrag != "" && f.ufrag != value {
			return unacceptable("a=ice-ufrag", value, "one transport, as all is bundled")
		}
		f.ufrag = value
	case "ice-pwd":
		if f.password != "" && f.password != value {
			return unacceptable("a=ice-pwd", "another", "one transport, as all is bundled")
		}
		f.password = value
	case "candidate":
		if err := checkCandidate(value); err != nil {
			return err
		}
		if f.candidates = append(f.candidates, value); len(f.candidates) > maxCandidates {
			return malformed("a=candidate", "more candidates", "at most "+strconv.Itoa(maxCandidates))
		}
	case "end-of-candidates":
		f.last = true
	}
	return nil
}

func (f *fragment) check() error {
	switch {
	case f.ufrag == "" && f.password == "":
		if len(f.candidates) == 0 && !f.last {
			return unacceptable("sdpfrag", "", "candidates, end-of-candidates, or ice-ufrag and ice-pwd")
		}
		return nil
	case f.ufrag == "" || f.password == "":
		return malformed("a=", "one of ice-ufrag and ice-pwd", "both (RFC 8839, section 5.4)")
	}
	return checkCredentials(f.ufrag, f.password)
}

// checkCandidate looks at the form of a candidate (RFC 8839, section 5.1).
func checkCandidate(value string) error {
	const want = "foundation component transport priority address port typ type (RFC 8839, section 5.1)"
	x := strings.Fields(value)
	if len(x) < 8 || x[6] != "typ" {
		return malformed("a=candidate", value, want)
	}
	for i, bits := range map[int]int{1: 16, 3: 32, 5: 16} {
		if _, err := strconv.ParseUint(x[i], 10, bits); err != nil {
			return malformed("a=candidate", value, want)
		}
	}
	return nil
}

// usable reports whether a candidate is one that can be tried. Others are passed
// over (RFC 9725, section 4.3.2): names, which would have to be asked for, and
// TCP, where peers are those that dial.
func usable(candidate string) bool {
	c, err := ice.UnmarshalCandidate(candidate)
	if err != nil || c.Component() != ice.ComponentRTP || c.NetworkType().IsTCP() && c.TCPType() != ice.TCPTypeActive {
		return false
	}
	at, err := netip.ParseAddr(c.Address())
	return err == nil && !at.IsMulticast() && !at.IsUnspecified() && c.Port() != 0
}

// withoutUfrag is a candidate without the credentials that some peers tell with
// it: the fragment's count, and after a restart they may be old ones.
func withoutUfrag(candidate string) string {
	x := strings.Fields(candidate)
	for i := 8; i+1 < len(x); i += 2 {
		if x[i] == "ufrag" {
			return strings.Join(append(x[:i:i], x[i+2:]...), " ")
		}
	}
	return candidate
}

// writeFragment tells of our side after an ICE restart what Pion's answer says
// (RFC 9725, section 4.3.3).
func writeFragment(answer string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	var b strings.Builder
	write := func(attributes []sdp.Attribute, keys ...string) {
		for _, key := range keys {
			for _, a := range attributes {
				if a.Key == key && !reports(a) {
					b.WriteString("a=" + strings.TrimSuffix(a.Key+":"+a.Value, ":") + "\r\n")
				}
			}
		}
	}
	d.Attributes = append(d.Attributes, sdp.NewAttribute("ice-options", iceOptions))
	write(d.Attributes, "ice-lite", "ice-options", "group")
	for _, m := range d.MediaDescriptions {
		b.WriteString("m=" + m.MediaName.String() + "\r\n")
		write(m.Attributes, "mid", "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates")
	}
	return b.String(), nil
}
