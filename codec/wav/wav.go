// Package wav writes and reads the container of recordings: RIFF/WAVE with 16
// bit linear PCM, mono, of any sample rate.
//
// The Writer works on an io.WriterAt, so that audio may be put anywhere: what
// is never written is a hole in the file, and silence to whoever reads it. It
// writes data before the header that claims it, so that a file whose writer
// was killed opens in any tool, and holds what its header says. Repair lets the
// header claim the rest.
//
// Files past 4 GiB are RF64 (EBU Tech 3306): a JUNK chunk of the right size
// keeps the place of the ds64 chunk that holds the long sizes.
//
//	offset  bytes  short file        long file
//	     0     12  RIFF size WAVE    RF64 0xFFFFFFFF WAVE
//	    12     36  JUNK 28 zeros     ds64 28 RIFF size, data size, samples, 0
//	    48     24  fmt  16 ...       the same
//	    72      8  data size         data 0xFFFFFFFF
//	    80         samples           samples
//
// The package never opens a file and never resamples, mixes or converts: a
// format it does not hold is refused by a *FormatError.
package wav

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mixminus/mixminus/codec/l16"
)

// HeaderSize is where the data of a file written by a Writer begins, in bytes.
const HeaderSize = 80

// MaxRate is the highest sample rate that is written or read, in Hz.
const MaxRate = 768000

const (
	ds64Size  = 28
	fmtSize   = 16
	dataField = 72 // where the header of the data chunk stands
	unknown   = math.MaxUint32

	tagPCM        = 0x0001
	tagExtensible = 0xFFFE
	bitDepth      = 16

	// maxSamples keeps every offset within an int64.
	maxSamples = (math.MaxInt64 - HeaderSize) / l16.BytesPerSample
)

// A FormatError says which field of a file is not what this package reads.
type FormatError struct {
	// Field is the name of the field or chunk: "channels", "format tag".
	Field string
	// Value is what the file holds there.
	Value string
	// Want is what would have been accepted.
	Want string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("wav: %s %s: want %s", e.Field, e.Value, e.Want)
}

func checkRate(hz int64) error {
	if hz < 1 || hz > MaxRate {
		return &FormatError{"sample rate", fmt.Sprintf("%d Hz", hz), fmt.Sprintf("1 to %d Hz", MaxRate)}
	}
	return nil
}

// appendHeader appends the 80 bytes that stand before that many samples.
func appendHeader(b []byte, rate int, samples int64) []byte {
	data := uint64(samples) * l16.BytesPerSample
	riff := HeaderSize - 8 + data
	le := binary.LittleEndian
	if riff < unknown {
		b = le.AppendUint32(append(b, "RIFF"...), uint32(riff))
		b = le.AppendUint32(append(b, "WAVEJUNK"...), ds64Size)
		b = append(b, make([]byte, ds64Size)...)
	} else {
		b = le.AppendUint32(append(b, "RF64"...), unknown)
		b = le.AppendUint32(append(b, "WAVEds64"...), ds64Size)
		b = le.AppendUint64(b, riff)
		b = le.AppendUint64(b, data)
		b = le.AppendUint64(b, uint64(samples))
		b = le.AppendUint32(b, 0) // entries of the table of other long chunks
		data = unknown
	}
	b = le.AppendUint32(append(b, "fmt "...), fmtSize)
	b = le.AppendUint16(b, tagPCM)
	b = le.AppendUint16(b, 1) // channels
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate)*l16.BytesPerSample)
	b = le.AppendUint16(b, l16.BytesPerSample)
	b = le.AppendUint16(b, bitDepth)
	return le.AppendUint32(append(b, "data"...), uint32(data))
}
