package blob

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// ErrUnsupportedMedia: the blob is in order, but asks for what mixminus does
// not host.
var ErrUnsupportedMedia = errors.New("unsupported media")

// Problem is what is wrong with one key of a blob.
type Problem struct {
	// Key as the blob spells it, Value as far as it may be shown.
	Key, Value string
	// Want says what stands there in a good one.
	Want string
	err  error
}

func (p *Problem) Error() string {
	if p.Value == "" {
		return fmt.Sprintf("blob: %s: %s", p.Key, p.Want)
	}
	return fmt.Sprintf("blob: %s = %q: %s", p.Key, p.Value, p.Want)
}

// Unwrap returns ErrUnsupportedMedia or nil.
func (p *Problem) Unwrap() error { return p.err }

var (
	guid    = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	version = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){3}$`)
)

// numbers of a version; nil if it is none.
func numbers(v string) []int {
	if !version.MatchString(v) {
		return nil
	}
	var list []int
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// Check lists everything in b that no blob of a known library shows.
func (b *Blob) Check() []*Problem {
	c := checker{}
	c.address(b.MPURI)
	c.contexts(b)
	if b.AudioFormat != Pcm16K && b.AudioFormat != Pcm44KStereo {
		c.add("supportedAudioFormat", b.AudioFormat, "want "+Pcm16K+" or "+Pcm44KStereo)
	}
	for i, f := range b.VideoFormats {
		if f != "H264" && f != "Yuv" {
			c.add(fmt.Sprintf("videoSinkEncodingFormats[%d]", i), f, "want H264 or Yuv")
		}
	}
	if n, want := len(b.VideoFormats), len(b.VideoRender); n != want && b.VideoFormats != nil {
		c.add("videoSinkEncodingFormats", strconv.Itoa(n)+" entries", fmt.Sprintf("want one for each of the %d in videoRenderContexts", want))
	}
	c.id("mpMediaSessionId", b.SessionID)
	for _, v := range []struct{ key, value string }{
		{"skypeMediaBotsVersion", b.BotsVersion}, {"mediaStackVersion", b.StackVersion}, {"mpVersion", b.ProcessorVersion},
	} {
		if numbers(v.value) == nil {
			c.add(v.key, v.value, "want four numbers with dots between")
		}
	}
	if b.CallID != "" || !(Versions{Bots: b.BotsVersion}).old() {
		c.id("callId", b.CallID)
	}
	return c.problems
}

type checker struct {
	problems []*Problem
	seen     map[string]string // key by id
}

func (c *checker) add(key, value, want string) {
	c.problems = append(c.problems, &Problem{Key: key, Value: clip([]byte(value)), Want: want})
}

func (c *checker) id(key, id string) {
	if !guid.MatchString(id) {
		c.add(key, id, "want a GUID")
	}
}

// schemes of the media controller's address: Microsoft's, which is false, and
// those of mixminus's own transports: media streaming, and WebRTC by WHIP.
var schemes = map[string]bool{"net.tcp": false, "ws": true, "wss": true, "http": true, "https": true}

// address checks mpUri, of which no more is shown than the host: it may hold a
// secret.
func (c *checker) address(raw string) {
	u, err := url.Parse(raw)
	known := false
	if err == nil {
		_, known = schemes[u.Scheme]
	}
	switch {
	case raw == "":
		c.add("mpUri", "", "is missing")
	case err != nil || u.Host == "":
		c.add("mpUri", "", "is no address with a host")
	case !known:
		c.add("mpUri", u.Scheme+"://"+u.Host, "want net.tcp, wss, ws, https or http")
	case u.Scheme == "net.tcp" && u.Port() == "":
		c.add("mpUri", u.Scheme+"://"+u.Host, "want a port")
	}
}

func (c *checker) contexts(b *Blob) {
	c.seen = map[string]string{}
	for i := range fields {
		ids, ok := fields[i].at(b).(*Contexts)
		if !ok {
			continue
		}
		for j, id := range *ids {
			key := fmt.Sprintf("%s[%d]", fields[i].key, j)
			if id == "" {
				continue
			}
			c.id(key, id)
			if other := c.seen[strings.ToLower(id)]; other != "" {
				c.add(key, id, "is "+other+" already")
			}
			c.seen[strings.ToLower(id)] = key
		}
	}
	if len(b.AudioRender) > 1 || len(b.AudioSource) > 1 {
		c.add("audioRenderContexts", "", "a call has one audio socket: want one entry in it and in audioSourceContexts")
	}
	if len(b.AudioRender.Live())+len(b.AudioSource.Live())+len(b.VideoRender.Live())+len(b.VideoSource.Live())+
		len(b.DataRender.Live())+len(b.DataSource.Live()) == 0 {
		c.add("audioRenderContexts", "", "no medium flows in either direction")
	}
	if n := len(b.VideoRender); n > 10 {
		c.add("videoRenderContexts", strconv.Itoa(n)+" entries", "a call has at most 10 video sockets")
	}
}

// Hostable returns nil if mixminus can host what b asks for, and else a
// *Problem that is ErrUnsupportedMedia and names the key.
func (b *Blob) Hostable() error {
	unsupported := func(key, value, want string) error {
		return &Problem{Key: key, Value: value, Want: want, err: ErrUnsupportedMedia}
	}
	u, err := url.Parse(b.MPURI)
	switch {
	case err != nil || !schemes[u.Scheme]:
		scheme, _, _ := strings.Cut(b.MPURI, ":")
		return unsupported("mpUri", clip([]byte(scheme)), "mixminus hosts wss, ws, https and http; Microsoft's net.tcp protocol is not public")
	case b.AudioFormat != Pcm16K:
		return unsupported("supportedAudioFormat", clip([]byte(b.AudioFormat)), "mixminus hosts "+Pcm16K)
	case len(b.VideoRender.Live()) > 0:
		return unsupported("videoRenderContexts", "", "mixminus hosts no video")
	case len(b.VideoSource.Live()) > 0:
		return unsupported("videoSourceContexts", "", "mixminus hosts no video")
	case len(b.DataRender.Live()) > 0:
		return unsupported("dataRenderContexts", "", "mixminus hosts no data sockets")
	case len(b.DataSource.Live()) > 0:
		return unsupported("dataSourceContexts", "", "mixminus hosts no data sockets")
	case len(b.AudioRender.Live()) == 0:
		return unsupported("audioRenderContexts", "", "mixminus hosts what the bot hears")
	}
	return nil
}
