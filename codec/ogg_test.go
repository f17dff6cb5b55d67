package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The least of Ogg (RFC 3533) and of Opus in it (RFC 7845) that other programs
// can be talked to with.

const (
	oggHeader = 27
	oggBegin  = 2
	oggEnd    = 4
)

// oggCRC is the checksum of a page whose own field is zero.
func oggCRC(page []byte) (crc uint32) {
	for _, b := range page {
		crc ^= uint32(b) << 24
		for range 8 {
			carry := crc >> 31
			crc = crc<<1 ^ 0x04c11db7*carry
		}
	}
	return crc
}

// appendPage appends a page with one packet of less than 64 KiB in it.
func appendPage(ogg, packet []byte, flags byte, granule int64, seq uint32) []byte {
	at := len(ogg)
	ogg = append(ogg, "OggS\x00"...)
	ogg = append(ogg, flags)
	ogg = binary.LittleEndian.AppendUint64(ogg, uint64(granule))
	ogg = binary.LittleEndian.AppendUint32(ogg, 1) // the stream
	ogg = binary.LittleEndian.AppendUint32(ogg, seq)
	ogg = binary.LittleEndian.AppendUint32(ogg, 0)
	ogg = append(ogg, byte(len(packet)/255+1))
	ogg = append(ogg, bytes.Repeat([]byte{255}, len(packet)/255)...)
	ogg = append(ogg, byte(len(packet)%255))
	ogg = append(ogg, packet...)
	binary.LittleEndian.PutUint32(ogg[at+22:], oggCRC(ogg[at:]))
	return ogg
}

// oggOpus makes a file of mono packets, of which a player skips the delay, in
// samples at 16 kHz as is the length of each packet.
func oggOpus(packets [][]byte, delay, samples int) []byte {
	head := []byte("OpusHead\x01\x01")
	head = binary.LittleEndian.AppendUint16(head, uint16(3*delay))
	head = binary.LittleEndian.AppendUint32(head, 16000)
	head = append(head, 0, 0, 0)
	ogg := appendPage(nil, head, oggBegin, 0, 0)
	ogg = appendPage(ogg, []byte("OpusTags\x01\x00\x00\x00m\x00\x00\x00\x00"), 0, 0, 1)
	for i, p := range packets {
		flags := byte(0)
		if i == len(packets)-1 {
			flags = oggEnd
		}
		ogg = appendPage(ogg, p, flags, int64(3*samples*(i+1)), uint32(i+2))
	}
	return ogg
}

// oggPackets returns the packets of a file with one stream, those of its
// headers first.
func oggPackets(ogg []byte) (packets [][]byte, err error) {
	var packet []byte
	for len(ogg) > 0 {
		if len(ogg) < oggHeader || string(ogg[:4]) != "OggS" {
			return nil, errors.New("not a page of Ogg")
		}
		segments := int(ogg[26])
		if len(ogg) < oggHeader+segments {
			return nil, errors.New("page of Ogg cut short")
		}
		table, body := ogg[oggHeader:oggHeader+segments], ogg[oggHeader+segments:]
		for _, n := range table {
			if int(n) > len(body) {
				return nil, errors.New("page of Ogg cut short")
			}
			packet = append(packet, body[:n]...)
			body = body[n:]
			if n < 255 {
				packets, packet = append(packets, packet), nil
			}
		}
		ogg = body
	}
	return packets, nil
}
