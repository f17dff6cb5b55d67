//go:build !linux

package load

import (
	"net"
	"sync/atomic"
)

// canSpread: only 127.0.0.1 is this machine's own unless it is told otherwise.
const canSpread = false

type rawPipe struct {
	pipe
	fd int
}

// newRawPipe has none to offer.
func newRawPipe(net.Conn) (*rawPipe, error) { return nil, nil }

type poller struct{}

func newPoller(*runner, *tally) (*poller, error) { return &poller{}, nil }

func (p *poller) add(*call, int) error { return nil }

func (p *poller) loop(*atomic.Bool) {}
