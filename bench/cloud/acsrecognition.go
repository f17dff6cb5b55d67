package cloud

import (
	"fmt"
	"strings"
)

// recognizeRequest is RecognizeRequest of all versions.
type recognizeRequest struct {
	opModel
	RecognizeInputType          string            `json:"recognizeInputType"`
	PlayPrompt                  *playSource       `json:"playPrompt"`
	PlayPrompts                 []*playSource     `json:"playPrompts"` // from 2025 on
	InterruptCallMediaOperation bool              `json:"interruptCallMediaOperation"`
	RecognizeOptions            *recognizeOptions `json:"recognizeOptions"`
}

type recognizeOptions struct {
	InterruptPrompt       bool        `json:"interruptPrompt"`
	InitialSilenceTimeout *int        `json:"initialSilenceTimeoutInSeconds"`
	TargetParticipant     *identifier `json:"targetParticipant"`
	DtmfOptions           *struct {
		InterToneTimeout  *int     `json:"interToneTimeoutInSeconds"`
		MaxTonesToCollect *int     `json:"maxTonesToCollect"`
		StopTones         []string `json:"stopTones"`
	} `json:"dtmfOptions"`
	Choices       []choiceModel `json:"choices"`
	SpeechOptions *struct {
		EndSilenceTimeoutMS *int `json:"endSilenceTimeoutInMs"`
	} `json:"speechOptions"`
}

type choiceModel struct {
	Label   string   `json:"label"`
	Phrases []string `json:"phrases"`
	Tone    string   `json:"tone"`
}

// recognizeOrder is a recognizeRequest that has been checked. Times are slots.
type recognizeOrder struct {
	op             opModel
	input          string // dtmf, speech, speechOrDtmf or choices
	prompts        []promptSource
	interrupt      bool // what runs
	bargeIn        bool
	target         string // raw id; empty: the only other party
	initialSilence int
	interTone      int
	maxTones       int // 0: any number
	stopTones      []string
	choices        []choiceModel
	endSilence     int
	wantsTones     bool
	wantsSpeech    bool
}

// Defaults of the official clients, 5 s and 2 s, and the emulator's own for
// the end of speech.
const (
	defaultInitialSilence = 5 * 50
	defaultInterTone      = 2 * 50
	defaultEndSilence     = 50
)

func parseRecognize(version string, body []byte, insecure bool) (o recognizeOrder, bad *refusal) {
	var m recognizeRequest
	if bad := decodeBody(body, &m); bad != nil {
		return o, bad
	}
	inputs := []string{"dtmf", "speech", "speechOrDtmf", "choices"}
	if version < version2024 {
		inputs = inputs[:1]
	}
	if bad := checkEnum("recognizeInputType", m.RecognizeInputType, true, inputs); bad != nil {
		return o, bad
	}
	if bad := m.check(version, insecure); bad != nil {
		return o, bad
	}
	for _, name := range inputs {
		if strings.EqualFold(name, m.RecognizeInputType) {
			o.input = name
		}
	}
	o.op, o.interrupt = m.opModel, m.InterruptCallMediaOperation
	o.wantsTones, o.wantsSpeech = o.input != "speech", o.input != "dtmf"
	prompts, field := m.PlayPrompts, "playPrompts"
	if m.PlayPrompt != nil || version < version2025 {
		prompts, field = nil, "playPrompt"
		if m.PlayPrompt != nil {
			prompts = []*playSource{m.PlayPrompt}
		}
	}
	if o.prompts, bad = promptSources(version, field, prompts); bad != nil {
		return o, bad
	}
	if m.RecognizeOptions == nil {
		return o, badArgument("recognizeOptions", "is missing")
	}
	if bad := o.take(version, m.RecognizeOptions); bad != nil {
		return o, bad.within("recognizeOptions")
	}
	return o, nil
}

// take reads the options into o.
func (o *recognizeOrder) take(version string, m *recognizeOptions) *refusal {
	o.bargeIn = m.InterruptPrompt
	o.initialSilence, o.interTone, o.endSilence = defaultInitialSilence, defaultInterTone, defaultEndSilence
	switch {
	case m.TargetParticipant != nil:
		if bad := m.TargetParticipant.normalize("targetParticipant"); bad != nil {
			return bad
		}
		o.target = m.TargetParticipant.rawID()
	case version == version2022:
		return badArgument("targetParticipant", "is missing")
	}
	if bad := between("initialSilenceTimeoutInSeconds", m.InitialSilenceTimeout, 0, 300, 50, &o.initialSilence); bad != nil {
		return bad
	}
	if d := m.DtmfOptions; d != nil {
		if bad := between("dtmfOptions.interToneTimeoutInSeconds", d.InterToneTimeout, 1, 60, 50, &o.interTone); bad != nil {
			return bad
		}
		if bad := between("dtmfOptions.maxTonesToCollect", d.MaxTonesToCollect, 1, maxKeys, 1, &o.maxTones); bad != nil {
			return bad
		}
		for i, name := range d.StopTones {
			key := keyOf(name)
			if key == "" {
				return badArgument(fmt.Sprintf("dtmfOptions.stopTones[%d]", i), "%q is not a tone", name)
			}
			o.stopTones = append(o.stopTones, key)
		}
	}
	if m.SpeechOptions != nil {
		ms := 1000 * o.endSilence / 50
		if bad := between("speechOptions.endSilenceTimeoutInMs", m.SpeechOptions.EndSilenceTimeoutMS, 0, 300000, 1, &ms); bad != nil {
			return bad
		}
		o.endSilence = max(1, ms/20)
	}
	return o.takeChoices(m.Choices)
}

// between reads an optional number that must lie in a range.
func between(field string, value *int, least, most, unit int, to *int) *refusal {
	if value == nil {
		return nil
	}
	if *value < least || *value > most {
		return badArgument(field, "%d: want %d to %d", *value, least, most)
	}
	*to = *value * unit
	return nil
}

func (o *recognizeOrder) takeChoices(choices []choiceModel) *refusal {
	if o.input != "choices" {
		return nil
	}
	if len(choices) == 0 {
		return badArgument("choices", "is missing")
	}
	for i := range choices {
		c := &choices[i]
		field := fmt.Sprintf("choices[%d].", i)
		switch {
		case c.Label == "":
			return badArgument(field+"label", "is missing")
		case len(c.Phrases) == 0:
			return badArgument(field+"phrases", "is missing")
		case c.Tone != "" && keyOf(c.Tone) == "":
			return badArgument(field+"tone", "%q is not a tone", c.Tone)
		}
		c.Tone = keyOf(c.Tone)
	}
	o.choices = choices
	return nil
}
