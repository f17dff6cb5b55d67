//go:build !linux

package rtpio

import (
	"errors"
	"net/netip"
)

// inHeaders and outHeaders hold what the kernel is told of a batch: nothing.
type (
	inHeaders  struct{}
	outHeaders struct{}
)

func (*inHeaders) init(int, int, []byte) {}

func (*outHeaders) init(int) {}

func listenBatched(netip.AddrPort, int, int) (*socket, error) { return nil, errors.ErrUnsupported }
