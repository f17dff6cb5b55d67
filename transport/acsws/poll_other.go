//go:build !linux

package acsws

import "net"

// pollers are there on Linux only.
type pollers struct{}

func (*pollers) close() {}

func (c *conn) poll(net.Conn, func()) bool { return false }
