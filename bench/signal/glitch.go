package signal

// Run is a stretch of samples.
type Run struct{ At, Len int }

// Gaps returns the runs of more than longest zeros inside pcm. Zeros before
// its first and after its last sound are no gaps. Recorded speech has noise
// in its pauses, so zeros in it were put there.
func Gaps(pcm []int16, longest int) []Run {
	var gaps []Run
	begin := -1 // of the run of zeros; -1 before the first sound
	for i, s := range pcm {
		if s == 0 {
			continue
		}
		if begin >= 0 && i-begin > longest {
			gaps = append(gaps, Run{At: begin, Len: i - begin})
		}
		begin = i + 1
	}
	return gaps
}

// Click is a sudden jump that the sound around it does not explain.
type Click struct {
	// At is the sample at which the curve bends most.
	At int
	// Ratio is how many times more it bends there than anywhere within 20 ms.
	Ratio float64
}

const (
	// clickRatio is what no bend of our speech reaches (2.5 is the sharpest).
	clickRatio = 3
	// clickFloor leaves the noise of quiet pauses alone.
	clickFloor = 300
	// clickWidth samples around a bend belong to it.
	clickWidth = 6
	clickRange = SampleRate / 50
)

// Clicks finds discontinuities: samples where the second difference of pcm is
// far greater than at any other place near. It has no reference to go by: of
// frames cut out of speech it finds one in eight: most splices hide in the sound
// around them. Compare finds them all.
func Clicks(pcm []int16) []Click {
	bend := bends(pcm)
	var clicks []Click
	for i := 0; i < len(bend); i++ {
		if bend[i] < clickFloor || bend[i] < peak(bend, i-clickWidth, i+clickWidth+1, bend[i]) {
			continue
		}
		limit := bend[i] / clickRatio
		around := max(
			peak(bend, i-clickRange, i-clickWidth, limit),
			peak(bend, i+clickWidth+1, i+clickRange, limit))
		if around > limit {
			continue
		}
		clicks = append(clicks, Click{At: i, Ratio: float64(bend[i]) / float64(max(around, 1))})
		i += clickWidth
	}
	return clicks
}

// bends returns the magnitude of the second difference around each sample.
func bends(pcm []int16) []int32 {
	bend := make([]int32, len(pcm))
	for i := 1; i+1 < len(pcm); i++ {
		d := int32(pcm[i-1]) - 2*int32(pcm[i]) + int32(pcm[i+1])
		bend[i] = max(d, -d)
	}
	return bend
}

// peak returns the greatest of x[from:to], or any above enough.
func peak(x []int32, from, to int, enough int32) int32 {
	from, to = max(from, 0), min(to, len(x))
	if from >= to {
		return 0
	}
	var most int32
	for _, v := range x[from:to] {
		if v > enough {
			return v
		}
		most = max(most, v)
	}
	return most
}
