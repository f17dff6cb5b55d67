package rtpleg

import (
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// An app that panics ends its own leg and no other.
func TestPanics(t *testing.T) {
	for name, hook := range map[string]func(l *engine.Leg){
		"OnRender": func(l *engine.Leg) { l.OnRender(func(*engine.Render) { panic("oops") }) },
		"first frame": func(l *engine.Leg) {
			l.OnRender(func(r *engine.Render) { r.Handle(func(*pcm.Frame) { panic("oops") }) })
		},
		"tenth frame": func(l *engine.Leg) {
			l.OnRender(func(r *engine.Render) {
				r.Handle(func(f *pcm.Frame) {
					if f.Seq >= 10 {
						panic("oops")
					}
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine.New(engine.Config{})
			defer e.Close()
			bad, _ := e.NewLeg(engine.LegConfig{})
			good, _ := e.NewLeg(engine.LegConfig{})
			hook(bad)
			r, other := newRig(t, Config{Leg: bad}), newRig(t, Config{Leg: good})
			x, failed := numbered(100), error(nil)
			for i := range 100 {
				other.step((*samples)(x[i*320:]))
				if failed == nil {
					r.say((*samples)(x[i*320:]))
				}
				frames := r.tap.Len()
				if err := r.m.Turn(r.now); failed == nil {
					failed = err
				} else {
					require.Equal(t, failed, err)
					require.Equal(t, frames, r.tap.Len(), "nothing more is handed on")
				}
				r.next()
				r.now += slotNanos
			}
			require.ErrorIs(t, failed, engine.ErrPanic)
			require.ErrorContains(t, failed, "oops")
			require.ErrorContains(t, failed, "panic_test.go", "where it was")
			require.ErrorIs(t, bad.Err(), engine.ErrPanic)
			<-bad.Done()
			require.ErrorIs(t, r.m.Take(r.now, &rtpmedia.Packet{}), engine.ErrPanic)
			require.NoError(t, r.m.Press('1', 0))
			_, _ = r.m.Report(r.now, unix, nil)
			require.True(t, r.m.End(r.now), "nothing plays any more")
			r.m.Close()
			r.m.Close()
			require.NoError(t, good.Err())
			require.EqualValues(t, 97, other.stats().Frames)
			require.Equal(t, []*engine.Leg{good}, e.Legs())
		})
	}
}

// So does one whose DTMF hook panics, where a packet is taken.
func TestPanicInDTMF(t *testing.T) {
	l := newLeg(t, engine.LegConfig{OnDTMF: func(byte, string) { panic("oops") }})
	r := newRig(t, Config{Leg: l})
	r.steps(numbered(10))
	require.NoError(t, r.out.Press('1', 40*ms))
	b, ok := r.out.Next(r.now, nil, nil)
	require.True(t, ok)
	var p rtpmedia.Packet
	require.NoError(t, p.Parse(b))
	require.ErrorIs(t, r.m.Take(r.now, &p), engine.ErrPanic)
	require.ErrorIs(t, r.m.Take(r.now, &p), engine.ErrPanic)
	require.ErrorIs(t, r.m.Turn(r.now), engine.ErrPanic)
	require.ErrorIs(t, l.Err(), engine.ErrPanic)
	r.m.Close()
	require.EqualValues(t, 1, l.Stats().DTMF)
}

// A leg that the app closes goes on being heard until its Media is closed.
func TestLegIsClosed(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	echo := r.leg.Source()
	x := numbered(100)
	r.steps(x[:50*320])
	r.leg.Close()
	_, err := echo.TryWrite(make([]int16, 320))
	require.ErrorIs(t, err, engine.ErrClosed)
	r.steps(x[50*320:])
	require.False(t, r.tap.Closed())
	r.m.Close()
	require.Len(t, r.taken(), 97)
	require.True(t, r.tap.Closed())
	require.NoError(t, r.leg.Err())
	r.steps(x[:320]) // harmless
	require.Empty(t, r.taken())
	_, err = New(r.m.cfg)
	require.ErrorIs(t, err, engine.ErrClosed)
}

// Whoever is refused leaves nothing behind, and gets nothing.
func TestRefused(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	m, err := New(r.m.cfg)
	require.ErrorIs(t, err, engine.ErrAttached)
	require.Nil(t, m)
	cfg := r.m.cfg
	cfg.Receive.Audio = 200
	m, err = New(cfg)
	require.ErrorContains(t, err, "payload type 200")
	require.Nil(t, m)
	cfg.Receive.Audio, cfg.Send.Audio = 96, 200
	m, err = New(cfg)
	require.ErrorContains(t, err, "payload type 200")
	require.Nil(t, m)
	n, err := r.leg.Source().TryWrite(make([]int16, 320))
	require.NoError(t, err)
	require.Equal(t, 320, n)
	require.Equal(t, 1, r.step(nil), "the source sends where it did")
	r.steps(numbered(10))
	require.Len(t, r.taken(), 7)
}
