package session

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// carrier is a fakeCloud that brings its own media.
type carrier struct {
	*fakeCloud
	own *fakeMedia
}

func (c carrier) Media() transport.Transport {
	if c.own == nil {
		return nil
	}
	return c.own
}

func TestCarrierBringsItsOwnMedia(t *testing.T) {
	own := &fakeMedia{endpoints: map[string]*fakeEndpoint{}}
	cloud := &fakeCloud{name: "carrier", media: own, calls: map[string]CallState{}, urls: map[string]string{}}
	other := &fakeCloud{name: "fake", calls: map[string]CallState{}, urls: map[string]string{}}
	inWorld(t, Config{Clouds: []Cloud{carrier{cloud, own}, other}}, func(w *world) {
		other.media = w.media
		cloud.tell, other.tell = w.Deliver, w.Deliver
		for name, media := range map[string]*fakeMedia{"carrier": own, "fake": w.media} {
			before := len(media.endpoints)
			c, err := w.Create(w.Context(), name, []byte(`{}`), Options{})
			require.NoError(w, err)
			require.Len(w, media.endpoints, before+1, name)
			require.Same(w, media.at(w.endpoint(c).url), w.endpoint(c))
			_, err = w.endpoint(c).dial()
			require.NoError(w, err)
			synctest.Wait()
			up, _ := c.Media()
			require.True(w, up)
			require.NoError(w, c.HangUp(w.Context(), false))
			<-c.Done()
		}
	})
}

func TestCarriersNeedNoOtherMedia(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	plain := &fakeCloud{name: "plain"}
	m, err := New(Config{Engine: e, Clouds: []Cloud{carrier{&fakeCloud{name: "a"}, nil}}})
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
	_, err = New(Config{Engine: e, Clouds: []Cloud{carrier{&fakeCloud{name: "a"}, nil}, plain}})
	require.ErrorContains(t, err, "Config.Media is nil")
}

func TestCarrierWithoutMediaHasNoCalls(t *testing.T) {
	cloud := &fakeCloud{name: "carrier"}
	inWorld(t, Config{Clouds: []Cloud{carrier{cloud, nil}}}, func(w *world) {
		_, err := w.Create(w.Context(), "carrier", []byte(`{}`), Options{})
		require.ErrorContains(w, err, "the media of cloud carrier is not ready")
		require.Empty(w, cloud.lines())
	})
}

// TestCloudHasMediaOfItsOwn gives two clouds that dial addresses different ones.
func TestCloudHasMediaOfItsOwn(t *testing.T) {
	own := &fakeMedia{endpoints: map[string]*fakeEndpoint{}}
	clouds := []*fakeCloud{}
	for _, name := range []string{"fake", "own"} {
		clouds = append(clouds, &fakeCloud{name: name, calls: map[string]CallState{}, urls: map[string]string{}})
	}
	inWorld(t, Config{Clouds: []Cloud{clouds[0], clouds[1]}, CloudMedia: map[string]transport.Transport{"own": own}}, func(w *world) {
		for i, media := range []*fakeMedia{w.media, own} {
			clouds[i].media, clouds[i].tell = media, w.Deliver
			before := len(media.endpoints)
			c, err := w.Create(w.Context(), clouds[i].name, []byte(`{}`), Options{})
			require.NoError(w, err)
			require.Len(w, media.endpoints, before+1)
			require.NoError(w, c.HangUp(w.Context(), false))
			<-c.Done()
		}
	})
	e := engine.New(engine.Config{})
	defer e.Close()
	_, err := New(Config{Engine: e, Clouds: []Cloud{clouds[1]}, CloudMedia: map[string]transport.Transport{"own": own}})
	require.NoError(t, err, "nobody needs Config.Media")
	_, err = New(Config{Engine: e, Clouds: []Cloud{clouds[0]}, CloudMedia: map[string]transport.Transport{"own": own}})
	require.ErrorContains(t, err, "Config.Media is nil")
}
