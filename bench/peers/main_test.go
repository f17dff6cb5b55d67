package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/load"
	"github.com/stretchr/testify/require"
)

// Every server that can run here sends back every frame it gets; so it is fair
// to compare what that costs.
func TestServersEcho(t *testing.T) {
	s, err := newShed("")
	require.NoError(t, err)
	defer s.close()
	picked, err := s.pick(serverNames())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(picked), 3, "those in Go need nothing")
	for _, v := range picked {
		t.Run(v.name, func(t *testing.T) {
			rep, err := s.measure(context.Background(), v, 2, time.Second)
			require.NoError(t, err)
			require.Equal(t, 2, rep.Calls.Connected, rep.Calls.Errors)
			require.NotZero(t, rep.Frames.Back)
			require.Zero(t, rep.Frames.Altered)
			require.Zero(t, rep.Frames.Duplicated)
		})
	}
	_, err = s.pick([]string{"perl"})
	require.Error(t, err)
}

func TestTable(t *testing.T) {
	at := func(name string, calls int, cpu float64) row {
		return row{Server: name, Calls: calls, Report: &load.Report{Server: &load.ServerUse{CPUPerFrame: cpu}}}
	}
	rows := medians([]row{
		at("floor", 10, 9), at("mixminus", 10, 30), at("floor", 20, 5), at("mixminus", 20, 6),
		at("floor", 10, 12), at("mixminus", 10, 12), at("floor", 20, 5), at("mixminus", 20, 7),
		at("floor", 10, 10), at("mixminus", 10, 15), at("floor", 20, 5), at("mixminus", 20, 8),
	}, 3)
	require.Len(t, rows, 4)
	require.InDelta(t, 1.5, rows[1].Ratio, 1e-9)
	require.InDelta(t, 1.4, rows[3].Ratio, 1e-9)
	var text strings.Builder
	require.NoError(t, table(&text, rows, servers))
	require.Contains(t, text.String(), "| 10 | mixminus | 15.0 | 1.50 |")
	require.NoError(t, table(&text, nil, nil))
}

func TestNumbers(t *testing.T) {
	got, err := numbers("10, 20")
	require.NoError(t, err)
	require.Equal(t, []int{10, 20}, got)
	for _, bad := range []string{"", "0", "ten"} {
		_, err := numbers(bad)
		require.Error(t, err, bad)
	}
	require.Equal(t, "ws://h/media", address(`{"http":"x","media":"ws://h/media"}`+"\n"))
	require.Equal(t, "ws://h/media", address("ws://h/media\n"))
}
