package cloud

import (
	"errors"
	"fmt"
	"net/http"
)

// studio holds what the bot has the cloud do with a call's media. It is guarded
// by Call.mu; the work itself is done on the call's goroutine, slot by slot.
//
// The main leg plays to everybody, and recognizes where there is one other
// party; its operations wait for each other. Every party has a leg of its own
// besides, for PlayTo, SendDtmfTones and Recognize among several, which takes
// one operation at a time ("Media action compatibility table").
type studio struct {
	main  []*act
	legs  map[string]*act // by raw id
	music map[string]*act // of who is on hold
	tones map[string]*toneWatch
}

// act is a media operation, waiting or running.
type act struct {
	name      string // of the operation
	op        opModel
	worker    worker
	cancelled bool // guarded by Call.mu
}

// worker does an operation. It is owned by the call's goroutine.
type worker interface {
	// step does what a slot brings, and reports whether the work is over.
	step(moment) bool
	// fail ends the work before its time.
	fail(slot int, why Result)
}

// Results of media operations, as the service's troubleshooting page has their
// subcodes.
var (
	resultDone     = Result{200, 0, "Action completed successfully."}
	resultCanceled = Result{400, 8508, "Action failed, the operation was canceled."}
)

// played implements slotWatcher.
func (c *acsCall) played(at moment) {
	c.transcribe(at)
	c.record(at.slot - 1)
	c.watchTones(at)
	for _, a := range c.running() {
		c.mu.Lock()
		cancelled := a.cancelled
		c.mu.Unlock()
		over := true
		if why := c.failure(a.name); why != nil {
			a.worker.fail(at.slot, *why)
		} else if cancelled {
			a.worker.fail(at.slot, resultCanceled)
		} else {
			over = a.worker.step(at)
		}
		if over {
			c.strike(a)
		}
	}
}

// running are the operations whose turn it is, and those that were cancelled.
func (c *acsCall) running() (acts []*act) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, a := range c.studio.main {
		if i == 0 || a.cancelled {
			acts = append(acts, a)
		}
	}
	for _, leg := range []map[string]*act{c.studio.legs, c.studio.music} {
		for _, a := range leg {
			acts = append(acts, a)
		}
	}
	return acts
}

// strike takes an operation that is over off the list.
func (c *acsCall) strike(gone *act) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rest []*act
	for _, a := range c.studio.main {
		if a != gone {
			rest = append(rest, a)
		}
	}
	c.studio.main = rest
	for _, leg := range []map[string]*act{c.studio.legs, c.studio.music} {
		for id, a := range leg {
			if a == gone {
				delete(leg, id)
			}
		}
	}
}

// maxActs bounds the operations that wait on a leg.
const maxActs = 100

// mount puts an operation on a leg: that of a raw id, or the main one if that
// is empty. interrupt cancels what the main leg does and holds.
func (c *acsCall) mount(leg string, interrupt bool, a *act) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if leg == "" {
		if len(c.studio.main) >= maxActs {
			return &refusal{status: http.StatusTooManyRequests, code: "8516", message: fmt.Sprintf("%d operations wait.", maxActs), retryAfter: 1}
		}
		for _, old := range c.studio.main {
			old.cancelled = old.cancelled || interrupt
		}
		c.studio.main = append(c.studio.main, a)
		return nil
	}
	if old := c.studio.legs[leg]; old != nil {
		return incompatible(a.name, old.name, leg)
	}
	if c.studio.legs == nil {
		c.studio.legs = map[string]*act{}
	}
	c.studio.legs[leg] = a
	return nil
}

func incompatible(wanted, running, leg string) *refusal {
	return &refusal{
		status: http.StatusPreconditionFailed, code: "8583",
		message: fmt.Sprintf("%s cannot run beside %s of participant %s.", wanted, running, leg),
	}
}

// cancelMedia cancels all prompts and recognitions. Those of the tones go on
// until they are stopped.
func (c *acsCall) cancelMedia(req *request) (*response, func()) {
	return newResponse(http.StatusAccepted, nil), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, a := range c.studio.main {
			a.cancelled = true
		}
		for _, a := range c.studio.legs {
			a.cancelled = true
		}
	}
}

// closeStudio ends what a call leaves unfinished. Prompts and recognitions end
// with the call, and no event tells so: it is told by CallDisconnected.
func (c *acsCall) closeStudio() {
	c.mu.Lock()
	watches := c.studio.tones
	c.studio = studio{}
	slots := c.media.slots
	c.mu.Unlock()
	for _, w := range watches {
		c.tell("ContinuousDtmfRecognitionStopped", w.op, resultDone, eventData{})
	}
	c.record(slots - 1)
	c.endTakes()
	c.endTranscription()
}

// resultOf is what events say of a prompt that could not be played.
func resultOf(err error) (Result, *int) {
	var index *int
	var which *promptError
	if errors.As(err, &which) {
		index = &which.index
	}
	switch {
	case errors.Is(err, errPromptFormat):
		return Result{400, 8535, "Action failed, file format is invalid."}, index
	case errors.Is(err, errPromptDownload):
		return Result{400, 8536, "Action failed, file could not be downloaded."}, index
	}
	return Result{500, 9999, "Action failed: " + err.Error()}, index
}

// failure takes the fault FailOperation that befalls an operation, nil if none
// does.
func (c *acsCall) failure(operation string) *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.faults {
		f := c.faults[i]
		if f.Kind != FailOperation || f.Operation != "" && f.Operation != operation || c.spent[i] {
			continue
		}
		if c.spent == nil {
			c.spent = map[int]bool{}
		}
		c.spent[i] = true
		if f.Result == nil {
			return &Result{500, 9999, "Action failed, by script."}
		}
		return f.Result
	}
	return nil
}
