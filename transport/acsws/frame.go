package acsws

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes of WebSocket frames (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

const (
	// maxHeader of a frame that we send: they are not masked.
	maxHeader = 10
	// maxControl bounds the payload of a control frame (section 5.5).
	maxControl = 125
)

// Why a connection fails that does not keep to RFC 6455. They carry the code of
// the close frame (section 7.4.1).
var (
	errProtocol = errors.New("acsws: WebSocket protocol error")
	errTooBig   = errors.New("acsws: message longer than Config.MaxMessage")
)

// frame is the header of a frame.
type frame struct {
	fin    bool
	op     byte
	mask   uint32 // as it stands on the wire, little-endian
	length int
}

// parseFrame reads the header of a client's frame: n is its length, 0 if b ends
// before. It does no more than section 5.2 asks of a server.
func parseFrame(b []byte, limit int64) (f frame, n int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	f.fin, f.op = b[0]&0x80 != 0, b[0]&0x0f
	switch {
	case b[0]&0x70 != 0:
		return f, 0, fmt.Errorf("%w: reserved bits are set, and no extension was agreed on", errProtocol)
	case b[1]&0x80 == 0:
		return f, 0, fmt.Errorf("%w: a client's frame is not masked", errProtocol)
	case f.op > opBinary && f.op < opClose || f.op > opPong:
		return f, 0, fmt.Errorf("%w: opcode %d", errProtocol, f.op)
	}
	length, n := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		if len(b) < 4 {
			return f, 0, nil
		}
		length, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return f, 0, nil
		}
		length, n = binary.BigEndian.Uint64(b[2:]), 10
	}
	switch {
	case f.op >= opClose && (length > maxControl || !f.fin):
		return f, 0, fmt.Errorf("%w: control frame of %d bytes, in parts: %v", errProtocol, length, !f.fin)
	case length > uint64(limit):
		return f, 0, errTooBig
	case len(b) < n+4:
		return f, 0, nil
	}
	f.mask, f.length = binary.LittleEndian.Uint32(b[n:]), int(length)
	return f, n + 4, nil
}

// unmask undoes the client's masking, in place (section 5.3).
func unmask(b []byte, mask uint32) {
	key := uint64(mask) | uint64(mask)<<32
	for len(b) >= 32 {
		w := b[:32]
		binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)^key)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^key)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^key)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^key)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * i))
	}
}

// putFrame writes the header of an unfragmented server's frame directly before
// the payload, which begins at b[maxHeader], and returns the whole frame.
func putFrame(b []byte, op byte) []byte {
	n := len(b) - maxHeader
	switch {
	case n <= maxControl:
		b = b[maxHeader-2:]
		b[1] = byte(n)
	case n < 1<<16:
		b = b[maxHeader-4:]
		b[1] = 126
		binary.BigEndian.PutUint16(b[2:], uint16(n))
	default:
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	b[0] = 0x80 | op
	return b
}

// reassembler takes what a socket gives and makes messages of it. Whole frames
// are read where they lie; only what is cut off is copied.
type reassembler struct {
	limit   int64
	rest    []byte // the beginning of a frame
	message []byte // the beginning of a message that comes in several frames
	op      byte   // of that; 0: there is none
}

// feed takes b, which it changes, and calls take for each message and control
// frame. The payloads are valid during the call.
func (r *reassembler) feed(b []byte, take func(op byte, payload []byte) error) error {
	kept := len(r.rest) > 0
	if kept {
		r.rest = append(r.rest, b...)
		b = r.rest
	}
	for {
		f, n, err := parseFrame(b, r.limit)
		if err != nil {
			return err
		}
		if n == 0 || len(b) < n+f.length {
			break
		}
		payload := b[n : n+f.length]
		unmask(payload, f.mask)
		b = b[n+f.length:]
		if err := r.frame(f, payload, take); err != nil {
			return err
		}
	}
	switch {
	case len(b) > 0:
		r.rest = append(r.rest[:0], b...) // moves down where it overlaps
	case cap(r.rest) > idleBuffer:
		r.rest = nil
	case kept:
		r.rest = r.rest[:0]
	}
	return nil
}

// idleBuffer is what a connection may keep between two messages, in bytes.
const idleBuffer = 4 << 10

// frame takes one whole frame.
func (r *reassembler) frame(f frame, payload []byte, take func(byte, []byte) error) error {
	switch {
	case f.op >= opClose:
		return take(f.op, payload)
	case f.op == opContinuation && r.op == 0, f.op != opContinuation && r.op != 0:
		return fmt.Errorf("%w: opcode %d in the wrong place", errProtocol, f.op)
	case f.fin && r.op == 0:
		return take(f.op, payload)
	}
	if r.op == 0 {
		r.op = f.op
	}
	if int64(len(r.message)+len(payload)) > r.limit {
		return errTooBig
	}
	r.message = append(r.message, payload...)
	if !f.fin {
		return nil
	}
	op, message := r.op, r.message
	r.op, r.message = 0, r.message[:0]
	if cap(message) > idleBuffer {
		r.message = nil
	}
	return take(op, message)
}
