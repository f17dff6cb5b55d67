package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
)

// Bounds of what an endpoint of WHIP says.
const (
	maxAnswer  = 64 << 10
	maxExcerpt = 200 // of an error's body, in a report
	// deleteTimeout is how long the DELETE at the end of a call may take.
	deleteTimeout = 2 * time.Second
)

// whip is the endpoint that calls are offered to (RFC 9725).
type whip struct {
	client *http.Client
	url    string
	header http.Header
}

func newWHIP(cfg *Config) *whip {
	return &whip{
		url: cfg.offers.String(), header: cfg.Header,
		client: &http.Client{CheckRedirect: stayedWith(cfg.Header), Transport: &http.Transport{
			TLSClientConfig: cfg.TLS.Clone(), MaxIdleConnsPerHost: maxDials, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer,
		}},
	}
}

// stayedWith follows redirects, some, and takes none of the run's headers to
// another host.
func stayedWith(header http.Header) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("more than 3 redirects")
		}
		if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
			for k := range header {
				delete(r.Header, k)
			}
		}
		return nil
	}
}

// whipURL is what is behind whip+ in a URL, without the codec.
func whipURL(u *url.URL) (to *url.URL, codec string) {
	c := *u
	c.Scheme = strings.TrimPrefix(c.Scheme, "whip+")
	q := c.Query()
	if q.Has("codec") {
		codec = q.Get("codec")
		q.Del("codec")
		c.RawQuery = q.Encode()
	}
	return &c, codec
}

// post makes the offer. session is where DELETE ends what the endpoint has of
// it, empty if it told of none, and is told with an error too.
func (w *whip) post(ctx context.Context, offer string) (answer, session string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(offer))
	if err != nil {
		return "", "", fmt.Errorf("offer: %w", err)
	}
	w.sign(r)
	r.Header.Set("Content-Type", "application/sdp")
	r.Header.Set("Accept", "application/sdp")
	resp, err := w.client.Do(r)
	if err != nil {
		return "", "", fmt.Errorf("offer: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return "", "", fmt.Errorf("offer: HTTP %s%s: want 201", resp.Status, excerpt(resp.Body))
	}
	if to := resp.Header.Get("Location"); to != "" {
		u, err := resp.Request.URL.Parse(to)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return "", "", fmt.Errorf("answer: Location %.100q: want an http address", to)
		}
		session = u.String()
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil:
		err = fmt.Errorf("answer: %w", err)
	case media != "application/sdp":
		err = fmt.Errorf("answer: Content-Type %.100q: want application/sdp", resp.Header.Get("Content-Type"))
	case len(text) > maxAnswer:
		err = fmt.Errorf("answer: more than %d bytes", maxAnswer)
	}
	return string(text), session, err
}

// end ends a session. An endpoint that does not answer will notice the end of
// the connection.
func (w *whip) end(session string) {
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, session, nil)
	if err != nil {
		return
	}
	w.sign(r)
	if resp, err := w.client.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // else its connection is not used again
		_ = resp.Body.Close()
	}
}

// sign adds the headers of the run. What is meant for the endpoint is no other
// host's, whatever Location says.
func (w *whip) sign(r *http.Request) {
	if to, err := url.Parse(w.url); err == nil && to.Host == r.URL.Host && to.Scheme == r.URL.Scheme {
		for k, v := range w.header {
			r.Header[k] = v
		}
	}
}

// withoutURL is an error of a request without its address, which may be a
// secret and would make each error a kind of its own.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// excerpt is the beginning of an error's body.
func excerpt(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, maxExcerpt))
	if text := strings.TrimSpace(string(text)); text != "" {
		return fmt.Sprintf(": %q", text)
	}
	return ""
}

// checkAnswer refuses answers that cannot carry a call, of which Pion would say
// less: that it is never connected. The echo needs both directions.
func checkAnswer(text string, echo Echo) error {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if len(d.MediaDescriptions) != 1 {
		return fmt.Errorf("answer: %d m= lines: want the 1 of the offer", len(d.MediaDescriptions))
	}
	m := d.MediaDescriptions[0]
	if m.MediaName.Media != "audio" || m.MediaName.Port.Value == 0 {
		return fmt.Errorf("answer: m=%v: the audio is refused", m.MediaName)
	}
	direction := cmp.Or(directionOf(m.Attributes), directionOf(d.Attributes), "sendrecv")
	if direction != "sendrecv" && (echo != EchoNone || direction != "recvonly") {
		return fmt.Errorf("answer: a=%s: want sendrecv", direction)
	}
	return nil
}

func directionOf(attributes []sdp.Attribute) string {
	for _, a := range attributes {
		switch a.Key {
		case "sendrecv", "sendonly", "recvonly", "inactive":
			return a.Key
		}
	}
	return ""
}
