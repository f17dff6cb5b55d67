package rtc

import (
	"context"
	"errors"
	"fmt"

	"github.com/pion/webrtc/v4"
)

// describe describes the peer to Pion, with its current credentials.
func (p *peer) describe() error {
	theirs, err := p.offer.remote(p.ufrag, p.password)
	if err != nil {
		return malformed("sdp", err.Error(), "a session description (RFC 8866)")
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: theirs}); err != nil {
		return p.broken(err, malformed)
	}
	return nil
}

// gather makes our description anew, at first and after an ICE restart, with all
// of our candidates: they are few and known (RFC 9725, section 4.3.2).
func (p *peer) gather(ctx context.Context) (string, error) {
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", p.broken(err, unacceptable)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", p.broken(err, unacceptable)
	}
	select {
	case <-gathered:
	case <-p.done:
		return "", p.reason()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return p.pc.LocalDescription().SDP, nil
}

// broken is an error of Pion's: the description's, unless the session is over.
func (p *peer) broken(err error, blame func(field, value, want string) *OfferError) error {
	if errors.Is(err, webrtc.ErrConnectionClosed) {
		return p.reason()
	}
	return blame("sdp", err.Error(), "an offer of WebRTC (RFC 8829)")
}

// try hands candidates to Pion, those that can be tried, up to a bound.
func (p *peer) try(candidates []string) {
	for _, c := range candidates {
		if p.candidates >= maxCandidates {
			return
		}
		if c = withoutUfrag(c); !usable(c) {
			continue
		}
		p.candidates++
		_ = p.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c})
	}
}

// errTag: a peer speaks of an ICE session that is no more, or not yet.
var errTag = errors.New("rtc: not the current ICE session")

// patch takes what a peer says of its side of the network (RFC 9725, section
// 4.3.1): candidates, if it keeps its credentials, or an ICE restart, to which
// our fragment is the answer. matches judges the tag of the current session.
func (p *peer) patch(ctx context.Context, f *fragment, matches func(etag string) bool) (ours, etag string, err error) {
	p.ice.Lock()
	defer p.ice.Unlock()
	if !matches(p.etag) {
		return "", "", errTag
	}
	said, err := f.of(p.offer)
	if err != nil {
		return "", "", err
	}
	if said.ufrag == "" || said.ufrag == p.ufrag && said.password == p.password {
		p.try(said.candidates)
		return "", p.etag, nil
	}
	old := [2]string{p.ufrag, p.password}
	p.ufrag, p.password = said.ufrag, said.password
	p.holds.Store(true)
	if err := p.describe(); err != nil {
		p.ufrag, p.password = old[0], old[1]
		p.holds.Store(false)
		return "", "", err
	}
	p.candidates = 0
	p.try(said.candidates)
	answer, err := p.gather(ctx)
	if err != nil {
		return "", "", fmt.Errorf("ICE restart: %w", err)
	}
	if answer, err = p.offer.answer(answer); err != nil {
		return "", "", err
	}
	if ours, err = writeFragment(answer); err != nil {
		return "", "", err
	}
	p.etag = newTag()
	return ours, p.etag, nil
}
