package resample

const (
	// columns is how many samples of each array are worked on at a time: 20 ms
	// of 8 kHz. It is a multiple of lanes.
	columns = 160
	// block is the same for rates whose input is not split.
	block = 480

	// maxSplit bounds the arrays and phases of a split: with many phases each
	// comes round too seldom to fill a vector.
	maxSplit = 8
)

// A layout is how the input lies in memory, and room for it.
//
// Every up outputs the same phase comes back, down inputs later. So if sample
// n lies in array n%down, at n/down, then the outputs of a phase read
// neighbours: what one tap gives to eight of them is a load, a product and a
// sum of vectors. An output's window begins in array c at column q; its tap t
// is at work[q+off[c+t]].
type layout struct {
	kernel kernel
	arrays int       // down; or 1, if the input is not split
	stride int       // from array to array in work
	block  int       // input samples worked on at a time
	off    []int32   // nil, if the input is not split
	work   []float32 // arrays of history and a block
	slots  []int16   // each up-th output lies in the same slot; columns of them
	fixed  *fixed    // what there is instead, if a rate is twice the other
}

func arrange(up, down, taps int, phases []phase) layout {
	// Flush puts the delay through in one block.
	l := layout{kernel: best(), arrays: 1, block: max(block, taps)}
	if up == 2*down || down == 2*up {
		l.fixed = newFixed(up, phases, l.block)
		return l
	}
	split := max(up, down) <= maxSplit
	if split {
		l.arrays, l.block = down, columns*down
		l.slots = make([]int16, up*columns)
	}
	// History is up to taps-1 samples, and one less than arrays for each end
	// of it that falls between two columns. Vectors read beyond the last column.
	most := taps - 1 + 2*(l.arrays-1) + l.block
	l.stride = (most+l.arrays-1)/l.arrays + lanes
	l.work = make([]float32, l.arrays*l.stride)
	if split {
		l.off = make([]int32, taps+l.arrays-1)
		for t := range l.off {
			l.off[t] = int32(t%l.arrays*l.stride + t/l.arrays)
		}
		for p := range phases {
			phases[p].fold()
		}
	}
	return l
}

// put appends the beginning of src to work, a block at most, and returns how
// many samples that was.
func (r *Resampler) put(src []int16) int {
	n := min(len(src), r.block)
	src = src[:n]
	if r.fixed != nil {
		r.fill += copy(r.fixed.work[r.fill:], src)
		return n
	}
	for len(src) > 0 && r.fill%r.arrays != 0 {
		r.work[r.fill%r.arrays*r.stride+r.fill/r.arrays] = float32(src[0])
		r.fill++
		src = src[1:]
	}
	r.kernel.split(r.work[r.fill/r.arrays:], r.stride, src, r.arrays)
	r.fill += len(src)
	return n
}

// putZeros appends enough of them to bring out what Delay held back.
func (r *Resampler) putZeros() {
	if r.fixed != nil {
		clear(r.fixed.work[r.fill:])
		r.fill += r.taps
		return
	}
	for m := range r.arrays {
		used := (r.fill - m + r.arrays - 1) / r.arrays
		clear(r.work[m*r.stride:][used:r.stride])
	}
	r.fill += r.taps
}

// filter makes all output whose windows are complete, or as much as dst has
// room for, and forgets what no later output will need.
func (r *Resampler) filter(dst []int16) int {
	dst = dst[:min(len(dst), r.Size(0))]
	switch {
	case r.fixed != nil:
		r.fixed.filter(r.kernel, dst, r.fixed.work[r.next:])
	case r.off != nil:
		r.byPhase(dst)
	default:
		r.oneByOne(dst)
	}
	next := r.next*r.up + r.turn + len(dst)*r.down
	r.next, r.turn = next/r.up, next%r.up

	r.drop()
	return len(dst)
}

// drop forgets what lies before the next window.
func (r *Resampler) drop() {
	if r.fixed != nil {
		r.fill = copy(r.fixed.work, r.fixed.work[r.next:r.fill])
		r.next = 0
		return
	}
	drop := r.next / r.arrays
	used := (r.fill + r.arrays - 1) / r.arrays
	for m := range r.arrays {
		a := r.work[m*r.stride:][:used]
		copy(a, a[drop:])
	}
	r.fill -= drop * r.arrays
	r.next -= drop * r.arrays
}

func (r *Resampler) byPhase(dst []int16) {
	i, turn := r.next, r.turn
	for s := range min(r.up, len(dst)) {
		n := (len(dst) - s + r.up - 1) / r.up
		n += -n & (lanes - 1) // whole vectors: the rest of the last goes nowhere
		p, x := &r.phases[turn], r.work[i/r.arrays:]
		off, to := r.off[i%r.arrays:][p.first:p.end], r.slots[s*columns:][:n]
		if p.folded {
			r.kernel.fold(to, x, p.h, off)
		} else {
			r.kernel.convolve(to, x, p.h, off)
		}
		i, turn = r.after(i, turn)
	}
	r.kernel.weave(dst, r.slots, r.up)
}

func (r *Resampler) oneByOne(dst []int16) {
	i, turn := r.next, r.turn
	for n := range dst {
		h := r.phases[turn].h
		dst[n] = round(r.kernel.dot(h, r.work[i:i+len(h)]))
		i, turn = r.after(i, turn)
	}
}

// after returns where the window of an output begins, and its phase, given
// those of the output before.
func (r *Resampler) after(i, turn int) (int, int) {
	i += r.stepIn
	if turn += r.stepTurn; turn >= r.up {
		turn -= r.up
		i++
	}
	return i, turn
}
