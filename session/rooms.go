package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mixminus/mixminus/engine"
)

// Errors on which a caller can act.
var (
	// ErrUnknownRoom: no room of that name is open.
	ErrUnknownRoom = errors.New("session: unknown room")
	// ErrJoined: the call is in a room.
	ErrJoined = errors.New("session: call is in a room")
	// ErrRoomFull: the room takes no more calls.
	ErrRoomFull = errors.New("session: room is full")
)

// maxRoomName bounds a room's name, in bytes.
const maxRoomName = 256

// RoomSnapshot is a room at one moment.
type RoomSnapshot struct {
	Name    string           `json:"name"`
	Members []MemberSnapshot `json:"members"`
}

// MemberSnapshot is a call in a room.
type MemberSnapshot struct {
	// Call is our id of it.
	Call  string  `json:"call"`
	Gain  float32 `json:"gain"`
	Muted bool    `json:"muted"`
	engine.MemberStats
}

// Join lets a call hear and be heard in the room of that name, with whatever
// other calls are in it, of any cloud. The room is opened by the first and
// closes behind the last. From then on the room speaks for the call: what a bot
// writes to its leg is refused with engine.ErrJoined. The errors are ErrJoined,
// ErrRoomFull, ErrEnded, *FieldError for a name, and ErrClosed.
func (m *Manager) Join(room string, c *Call) (*engine.Member, error) {
	if room == "" || len(room) > maxRoomName {
		return nil, &FieldError{"room", excerpt([]byte(room)), fmt.Sprintf("want 1 to %d bytes", maxRoomName)}
	}
	leg := c.Leg()
	if leg == nil {
		return nil, fmt.Errorf("%w: %s has no media yet", ErrUnknownCall, c.ID())
	}
	for {
		r, err := m.openRoom(room)
		if err != nil {
			return nil, err
		}
		member, err := r.Join(leg)
		if errors.Is(err, engine.ErrClosed) && m.Room(room) != r {
			continue // it closed behind its last member just then
		}
		if err != nil {
			m.vacate(room, r)
			return nil, roomError(room, c, err)
		}
		c.log.Info("call joins a room", "room", room)
		m.wg.Go(func() {
			<-member.Left()
			c.log.Info("call leaves a room", "room", room)
			m.vacate(room, r)
		})
		return member, nil
	}
}

// roomError puts what the engine says into the words of this package.
func roomError(room string, c *Call, err error) error {
	for _, e := range []struct{ from, to error }{
		{engine.ErrJoined, ErrJoined}, {engine.ErrRoomFull, ErrRoomFull}, {engine.ErrClosed, ErrEnded},
	} {
		if errors.Is(err, e.from) {
			err = e.to
		}
	}
	return fmt.Errorf("%w: call %s, room %q", err, c.ID(), room)
}

// MemberChange changes what a call is in a room; what it leaves out stays.
type MemberChange struct {
	// Gain of what it says: 1 is as it is, 0 to 16.
	Gain  *float32 `json:"gain,omitempty"`
	Muted *bool    `json:"muted,omitempty"`
	// WhisperTo lets it be heard by that call only, by our id or the
	// cloud's; "" by all again.
	WhisperTo *string `json:"whisper_to,omitempty"`
}

// SetMember changes a call's place in a room, whole or not at all.
func (m *Manager) SetMember(room string, c *Call, change MemberChange) error {
	member, err := m.Member(room, c)
	if err != nil {
		return err
	}
	var to *engine.Member
	if w := change.WhisperTo; w != nil && *w != "" {
		other, err := m.Call(*w)
		if err == nil {
			to, err = m.Member(room, other)
		}
		if err != nil {
			return fmt.Errorf("whisper_to: %w", err)
		}
	}
	if g := change.Gain; g != nil {
		if !(*g >= 0 && *g <= 16) {
			return &FieldError{"gain", fmt.Sprint(*g), "want 0 to 16"}
		}
		member.SetGain(*g)
	}
	if change.Muted != nil {
		member.SetMuted(*change.Muted)
	}
	if change.WhisperTo != nil {
		member.Whisper(to)
	}
	return nil
}

// openRoom returns the room of that name, a new one if there is none.
func (m *Manager) openRoom(name string) (*engine.Room, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if r := m.rooms[name]; r != nil {
		return r, nil
	}
	r, err := m.engine.NewRoom(engine.RoomConfig{ID: name})
	if err != nil {
		return nil, fmt.Errorf("session: room %q: %w", name, err)
	}
	if m.rooms == nil {
		m.rooms = map[string]*engine.Room{}
	}
	m.rooms[name] = r
	if m.onRoom != nil {
		m.onRoom(r)
	}
	return r, nil
}

// vacate closes a room in which nobody is.
func (m *Manager) vacate(name string, r *engine.Room) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rooms[name] == r && len(r.Members()) == 0 {
		delete(m.rooms, name)
		r.Close()
	}
}

// Room returns the open room of that name, or nil.
func (m *Manager) Room(name string) *engine.Room {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rooms[name]
}

// Member returns the call's place in a room: ErrUnknownRoom, or ErrUnknownCall
// if it is not in it.
func (m *Manager) Member(room string, c *Call) (*engine.Member, error) {
	r := m.Room(room)
	if r == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownRoom, room)
	}
	for _, member := range r.Members() {
		if member.Leg() == c.Leg() {
			return member, nil
		}
	}
	return nil, fmt.Errorf("%w: %s is not in room %q", ErrUnknownCall, c.ID(), room)
}

// Rooms returns the open rooms by their names.
func (m *Manager) Rooms() []RoomSnapshot {
	m.mu.Lock()
	rooms := make(map[string]*engine.Room, len(m.rooms))
	for name, r := range m.rooms {
		rooms[name] = r
	}
	m.mu.Unlock()
	all := make([]RoomSnapshot, 0, len(rooms))
	for name, r := range rooms {
		s := RoomSnapshot{Name: name, Members: []MemberSnapshot{}}
		for _, member := range r.Members() {
			s.Members = append(s.Members, MemberSnapshot{
				Call: member.Leg().ID(), Gain: member.Gain(), Muted: member.Muted(), MemberStats: member.Stats(),
			})
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b RoomSnapshot) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
