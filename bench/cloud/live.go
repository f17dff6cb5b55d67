package cloud

import (
	"math"
	"slices"
)

const (
	// levelSlots is over how many slots levels are taken, and noLevel that of
	// silence, in dBFS.
	levelSlots = 5
	noLevel    = -100.0
	// maxLive bounds the keys and the transcripts that are shown.
	maxLive = 100
)

// liveState is what of a call is kept for who watches it. It is guarded by
// Call.mu.
type liveState struct {
	keys        []liveKey
	transcripts []liveTranscript
}

type liveKey struct {
	Slot  int    `json:"slot"`
	Tone  string `json:"tone"`
	RawID string `json:"raw_id"`
}

// liveTranscript is what the bot understood: the emulator understands nothing.
type liveTranscript struct {
	Slot  int    `json:"slot"`
	RawID string `json:"raw_id"`
	Text  string `json:"text"`
	Final bool   `json:"final"`
	Key   string `json:"key"`
}

// liveCall is a call as it is now.
type liveCall struct {
	ID           string           `json:"id"`
	Cloud        string           `json:"cloud"`
	Kind         string           `json:"kind"`
	Direction    Direction        `json:"direction"`
	State        string           `json:"state"`
	Ended        bool             `json:"ended"`
	Result       Result           `json:"result"`
	Media        string           `json:"media"`
	Transport    string           `json:"transport"`
	Slots        int              `json:"slots"`
	BotInLobby   bool             `json:"bot_in_lobby"`
	Participants []liveRow        `json:"participants"`
	People       []personView     `json:"people"`
	Keys         []liveKey        `json:"keys"`
	Transcripts  []liveTranscript `json:"transcripts"`
}

// watch returns the call as it is now.
func (c *Call) watch() liveCall {
	c.mu.Lock()
	l := liveCall{
		ID: c.id, Direction: c.direction, State: stateNames[c.state], Ended: c.state == stateEnded, Result: c.result,
		Slots: c.media.slots, Participants: []liveRow{}, People: []personView{},
		Keys: append([]liveKey{}, c.live.keys...), Transcripts: append([]liveTranscript{}, c.live.transcripts...),
	}
	if c.state == stateRinging {
		l.State = "ringing"
	}
	var told Log
	c.side.describe(&told)
	l.Cloud, l.Kind = told.Cloud, told.Kind
	if m := c.asked; m != nil {
		c.media.describe(&told)
		l.Transport, l.Media = told.Transport, map[bool]string{true: "mixed", false: "unmixed"}[m.mixed]
	}
	guests := slices.Clone(c.guests)
	for _, r := range c.withBot(c.side.rows()) {
		r.Level = c.level(&r)
		for _, p := range guests {
			if p.actor == r.speaker {
				r.PID = p.id
			}
		}
		l.BotInLobby = l.BotInLobby || r.Bot && r.Lobby
		l.Participants = append(l.Participants, r)
	}
	c.mu.Unlock()
	for _, p := range guests {
		l.People = append(l.People, p.view())
	}
	return l
}

// withBot adds the bot where no roster has it: in a call of two, and where the
// bot called under no name. Called with Call.mu held.
func (c *Call) withBot(rows []liveRow) []liveRow {
	if c.state != stateConnected || slices.ContainsFunc(rows, func(r liveRow) bool { return r.Bot }) {
		return rows
	}
	return append(rows, liveRow{ID: "bot", Bot: true, speaker: -1})
}

// level is how loud somebody is of late, who is heard. Called with Call.mu
// held.
func (c *Call) level(r *liveRow) float64 {
	if r.speaker < 0 && !r.Bot || c.mutes[r.speaker] || c.state != stateConnected {
		return noLevel
	}
	total := 0.0
	for slot := max(0, c.media.slots-levelSlots); slot < c.media.slots; slot++ {
		if r.Bot {
			total += power(c.heardOf(slot, true, func(PromptLog) bool { return true }))
		} else {
			total += power(c.stage.actors[r.speaker].at(slot))
		}
	}
	dbfs := 10 * math.Log10(total/levelSlots/(math.MaxInt16*math.MaxInt16))
	return max(noLevel, math.Round(10*dbfs)/10)
}

// still is l without what changes all the time: levels and counts.
func (l liveCall) still() liveCall {
	l.Slots = 0
	l.Participants, l.People = slices.Clone(l.Participants), slices.Clone(l.People)
	for i := range l.Participants {
		l.Participants[i].Level = 0
	}
	for i := range l.People {
		p := &l.People[i]
		p.Received, p.Lost, p.Late, p.Sent, p.Dropped = 0, 0, 0, 0, 0
	}
	return l
}

// levels are those of the participants, by id.
func (l *liveCall) levels() map[string]float64 {
	all := map[string]float64{}
	for _, r := range l.Participants {
		all[r.ID] = r.Level
	}
	return all
}

// notePress keeps a key for who watches.
func (c *Call) notePress(slot int, k keyPress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := ""
	if k.speaker < len(c.stage.actors) {
		id = c.stage.actors[k.speaker].ID
	}
	c.live.keys = lastOf(append(c.live.keys, liveKey{slot, k.tone, id}))
}

// transcribed keeps what the bot understood, in the place of what had its key.
func (c *Call) transcribed(t liveTranscript) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Slot = c.media.slots
	for i := range c.live.transcripts {
		if old := &c.live.transcripts[i]; t.Key != "" && old.Key == t.Key {
			t.Slot = old.Slot
			*old = t
			return
		}
	}
	c.live.transcripts = lastOf(append(c.live.transcripts, t))
}

func lastOf[T any](all []T) []T {
	if len(all) > maxLive {
		return slices.Clone(all[len(all)-maxLive:])
	}
	return all
}
