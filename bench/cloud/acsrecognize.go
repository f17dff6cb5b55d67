package cloud

import (
	"net/http"
	"strings"
)

func (c *acsCall) recognize(req *request) (*response, func()) {
	o, bad := parseRecognize(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	sole := c.sole()
	c.mu.Unlock()
	switch {
	case o.target == "" && sole == nil:
		return refuse(badArgument("recognizeOptions.targetParticipant", "is missing: there are several"))
	case o.target == "":
		o.target = sole.id.rawID()
	default:
		if bad := c.present(o.target); bad != nil {
			return refuse(bad)
		}
	}
	leg := o.target
	to := []string{o.target}
	if sole != nil {
		leg, to = "", nil
	}
	work := &recognizing{c: c, o: o, began: -1}
	if len(o.prompts) > 0 {
		work.p = c.newPrompter(o.prompts, to, false)
	}
	if bad := c.mount(leg, o.interrupt, &act{name: "recognize", op: o.op, worker: work}); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusAccepted, nil), func() {}
}

// recognizing is the worker of recognize.
type recognizing struct {
	c *acsCall
	o recognizeOrder
	p *prompter // nil once the prompt is over

	began  int // slot in which listening began
	tones  []string
	spoken []string // phrases
	spoke  bool     // something was said, in words or not
	last   int      // slot of the last tone, or of the last that was said
}

// heardNow is what the target does in a slot.
type heardNow struct {
	keys  []string
	said  []utterance
	voice bool
}

// talkPower is the power of a voice, about -50 dBFS.
const talkPower = 10000

func (w *recognizing) listen(at moment) (h heardNow) {
	w.c.mu.Lock()
	p := w.c.party(w.o.target)
	w.c.mu.Unlock()
	if p == nil || p.speaker < 0 || p.speaker >= len(at.lines) {
		return h
	}
	for _, k := range at.keys {
		if k.speaker == p.speaker {
			h.keys = append(h.keys, strings.ToUpper(k.tone))
		}
	}
	l := at.lines[p.speaker]
	h.said, h.voice = l.said, l.saying != nil || power(l.samples) > talkPower
	return h
}

// step implements worker. What comes during the prompt counts only if it may
// interrupt that.
func (w *recognizing) step(at moment) bool {
	h := w.listen(at)
	if w.p != nil {
		heard := w.o.wantsTones && len(h.keys) > 0 || w.o.wantsSpeech && h.voice
		if w.p.begun && w.o.bargeIn && heard {
			w.p.cut(at.slot)
		} else {
			over, err := w.p.step(at.slot)
			if err != nil {
				result, index := resultOf(err)
				w.c.tell("RecognizeFailed", w.o.op, result, eventData{FailedPlaySourceIndex: index})
				return true
			}
			if !over {
				return false
			}
		}
		w.p = nil
	}
	if w.began < 0 {
		w.began = at.slot
	}
	if w.o.wantsTones {
		for _, key := range h.keys {
			if w.pressed(key, at.slot) {
				return true
			}
		}
	}
	if w.o.wantsSpeech && w.talked(h, at.slot) {
		return true
	}
	return w.timedOut(at.slot)
}

// pressed takes a key, and reports whether that was all.
func (w *recognizing) pressed(key string, slot int) bool {
	if w.o.input == "choices" {
		for _, c := range w.o.choices {
			if c.Tone == key {
				return w.complete(8533, "DTMF option matched.", eventData{RecognitionType: "choices", ChoiceResult: &choiceResult{Label: c.Label}})
			}
		}
		return w.failed(8534, "incorrect tone entered.")
	}
	w.last = slot
	for _, stop := range w.o.stopTones {
		// The stop tone is not part of the result: the documents do not say.
		if stop == key {
			return w.toned(8514, "stop tone was detected.")
		}
	}
	w.tones = append(w.tones, toneOf(key))
	if len(w.tones) == w.o.maxTones {
		return w.toned(8531, "max digits received.")
	}
	return false
}

func (w *recognizing) toned(subCode int, why string) bool {
	return w.complete(subCode, why, eventData{RecognitionType: "dtmf", DtmfResult: &tonesModel{Tones: append([]string{}, w.tones...)}})
}

// scriptConfidence is that of whoever reads from a script.
const scriptConfidence = 0.95

// talked takes what was said, and reports whether that was all.
func (w *recognizing) talked(h heardNow, slot int) bool {
	if h.voice {
		w.spoke, w.last = true, slot
	}
	for _, u := range h.said {
		if w.o.input != "choices" {
			w.spoken = append(w.spoken, u.text)
			continue
		}
		for _, c := range w.o.choices {
			for _, phrase := range c.Phrases {
				if sameWords(phrase, u.text) {
					return w.complete(8545, "speech option matched.", eventData{
						RecognitionType: "choices",
						ChoiceResult:    &choiceResult{Label: c.Label, RecognizedPhrase: phrase, Confidence: scriptConfidence},
					})
				}
			}
		}
		return w.failed(8547, "recognized phrase does not match a valid option.")
	}
	if !w.spoke || slot-w.last < w.o.endSilence {
		return false
	}
	if len(w.spoken) == 0 {
		return w.failed(8563, "speech could not be recognized.")
	}
	return w.complete(8569, "speech was recognized.", eventData{
		RecognitionType: "speech", SpeechResult: &speechResult{Speech: strings.Join(w.spoken, " "), Confidence: scriptConfidence},
	})
}

// timedOut ends the work if nothing, or nothing more, comes.
func (w *recognizing) timedOut(slot int) bool {
	switch {
	case len(w.tones) > 0:
		if slot-w.last >= w.o.interTone {
			return w.failed(8532, "inter-digit silence timeout reached.")
		}
	case w.o.wantsSpeech && w.spoke:
	case slot-w.began >= w.o.initialSilence:
		return w.failed(8510, "initial silence timeout reached.")
	}
	return false
}

func (w *recognizing) complete(subCode int, why string, data eventData) bool {
	w.c.tell("RecognizeCompleted", w.o.op, Result{200, subCode, "Action completed, " + why}, data)
	return true
}

func (w *recognizing) failed(subCode int, why string) bool {
	w.c.tell("RecognizeFailed", w.o.op, Result{400, subCode, "Action failed, " + why}, eventData{})
	return true
}

func (w *recognizing) fail(slot int, why Result) {
	if w.p != nil {
		w.p.cut(slot)
	}
	event := "RecognizeFailed"
	if why == resultCanceled {
		event = "RecognizeCanceled"
	}
	w.c.tell(event, w.o.op, why, eventData{})
}

// sameWords compares what was said, whatever its case and punctuation.
func sameWords(a, b string) bool {
	words := func(s string) string {
		return strings.ToLower(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
			return strings.ContainsRune(" \t\n.,;:!?\"'", r)
		}), " "))
	}
	return words(a) == words(b)
}
