package rtc

import (
	"fmt"
	"net/netip"
	"slices"
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

// fragment is what a peer says of its side of the network, line by line. What
// stands before the first line, or without any, is of them all.
type fragment struct {
	all   side
	lines []side
}

// side of a peer: candidates, and the credentials that they belong to.
type side struct {
	mid             string // "" if the line names none
	ufrag, password string // "" if they are not told
	candidates      []string
	last            bool // no more candidates come
}

// readFragment reads a fragment of SDP (RFC 8840, section 9.2). Errors are
// *OfferError.
func readFragment(text string) (*fragment, error) {
	f := &fragment{}
	if len(text) > maxFragment {
		return f, malformed("size", strconv.Itoa(len(text)), fmt.Sprintf("at most %d bytes", maxFragment))
	}
	s := &f.all
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
			if len(f.lines) >= maxLines {
				return f, malformed("m=", "more lines", fmt.Sprintf("at most %d", maxLines))
			}
			f.lines = append(f.lines, side{})
			s = &f.lines[len(f.lines)-1]
		case "a":
			key, value, _ := strings.Cut(value, ":")
			if err := s.attribute(key, value); err != nil {
				return f, err
			}
		}
	}
	return f, f.check()
}

func (s *side) attribute(key, value string) error {
	switch key {
	case "mid":
		s.mid = value
	case "ice-ufrag":
		s.ufrag = value
	case "ice-pwd":
		s.password = value
	case "candidate":
		if err := checkCandidate(value); err != nil {
			return err
		}
		if s.candidates = append(s.candidates, value); len(s.candidates) > maxCandidates {
			return malformed("a=candidate", "more candidates", "at most "+strconv.Itoa(maxCandidates))
		}
	case "end-of-candidates":
		s.last = true
	}
	return nil
}

func (f *fragment) check() error {
	for _, s := range append(f.lines, f.all) {
		switch {
		case s.ufrag == "" && s.password == "":
		case s.ufrag == "" || s.password == "":
			return malformed("a=", "one of ice-ufrag and ice-pwd", "both (RFC 8839, section 5.4)")
		default:
			if err := checkCredentials(s.ufrag, s.password); err != nil {
				return err
			}
		}
	}
	return nil
}

// of returns what a fragment says of the transport of an offer's audio. It may
// tell of other lines too, that were rejected: those are passed over. It is an
// *OfferError, NotAcceptable, if it says nothing.
func (f *fragment) of(o *offer) (side, error) {
	s, said := f.all, len(f.lines) == 0
	for _, line := range f.lines {
		if !o.has(line.mid) {
			return s, unacceptable("a=mid", line.mid, "a line of the offer")
		}
		if said || !o.carries(line.mid) {
			continue
		}
		said = true
		s.candidates, s.last = append(s.candidates, line.candidates...), s.last || line.last
		if line.ufrag != "" {
			s.ufrag, s.password = line.ufrag, line.password
		}
	}
	if said && s.ufrag == "" && len(s.candidates) == 0 && !s.last {
		return s, unacceptable("sdpfrag", "", "candidates, end-of-candidates, or ice-ufrag and ice-pwd")
	}
	return s, nil
}

// has reports whether a line of the offer is so named; "" names none.
func (o *offer) has(mid string) bool {
	return mid == "" || slices.ContainsFunc(o.described.MediaDescriptions, func(m *sdp.MediaDescription) bool {
		id, _ := m.Attribute("mid")
		return id == mid
	})
}

// carries reports whether the audio's transport goes by the name of that line.
func (o *offer) carries(mid string) bool {
	if o.tagged != nil {
		if id, _ := o.tagged.Attribute("mid"); id == mid {
			return true
		}
	}
	return mid == "" || mid == o.mid
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

// writeFragment tells of our side after an ICE restart what an answer says (RFC
// 9725, section 4.3.3).
func writeFragment(answer string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	var b strings.Builder
	write := func(attributes []sdp.Attribute, keys ...string) {
		for _, key := range keys {
			for _, a := range attributes {
				if a.Key == key {
					b.WriteString("a=" + strings.TrimSuffix(a.Key+":"+a.Value, ":") + "\r\n")
				}
			}
		}
	}
	write(d.Attributes, "ice-lite", "ice-options", "group")
	for _, m := range d.MediaDescriptions {
		if _, ok := m.Attribute("ice-ufrag"); !ok {
			continue
		}
		b.WriteString("m=" + m.MediaName.String() + "\r\n")
		write(m.Attributes, "mid", "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates")
		break // the others share its transport
	}
	return b.String(), nil
}
