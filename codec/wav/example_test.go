package wav_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mixminus/mixminus/codec/wav"
)

// A recording whose writer is killed between two patches opens in any tool;
// Repair brings back the rest.
func Example() {
	dir, err := os.MkdirTemp("", "wav")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "call.wav"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	w, err := wav.NewWriter(f, 16000)
	if err != nil {
		fmt.Println(err)
		return
	}
	second := make([]int16, 16000)
	_ = w.WriteAt(0, second)
	_ = w.Patch()
	_ = w.WriteAt(3*16000, second) // two seconds of absence are a hole
	// Here the process dies.

	size, _ := f.Seek(0, io.SeekEnd)
	samples, added, err := wav.Repair(f, size)
	fmt.Println(samples/16000, "s,", added/16000, "s of it not in the header,", err)

	_, _ = f.Seek(0, io.SeekStart)
	r, err := wav.NewReader(f)
	fmt.Println(r.SampleRate(), "Hz,", r.Samples(), "samples,", err)
	// Output:
	// 4 s, 3 s of it not in the header, <nil>
	// 16000 Hz, 64000 samples, <nil>
}
