package graph

import (
	"strings"

	"github.com/mixminus/mixminus/session"
)

// stateOf translates a callState: where the call stands, and what it does
// while it is connected.
func stateOf(state Enum) (session.CallState, session.CallPhase) {
	switch strings.ToLower(string(state)) {
	case "establishing", "ringing":
		return session.StateConnecting, session.PhaseActive
	case "established":
		return session.StateConnected, session.PhaseActive
	case "hold":
		return session.StateConnected, session.PhaseHold
	case "transferring":
		return session.StateConnected, session.PhaseTransferring
	case "transferaccepted":
		return session.StateConnected, session.PhaseTransferAccepted
	case "redirecting":
		return session.StateConnecting, session.PhaseRedirecting
	case "terminating":
		return session.StateDisconnecting, session.PhaseActive
	case "terminated":
		return session.StateDisconnected, session.PhaseActive
	}
	return session.StateNew, session.PhaseActive
}

// Connection is the call in the words of session.
func (c *Call) Connection() session.Connection {
	state, phase := stateOf(c.State)
	conn := session.Connection{
		CallID: c.ID, Key: Key(c.ID), State: state, Phase: phase,
		SelfID: c.MyParticipantID, GroupID: c.CallChainID, CorrelationID: c.CallChainID,
	}
	if c.Source != nil {
		conn.Source = c.Source.Identity.Party()
	}
	for i := range c.Targets {
		conn.Targets = append(conn.Targets, c.Targets[i].Identity.Party())
	}
	return conn
}

// Row is the participant in the words of session.
func (p *Participant) Row() session.Participant {
	row := session.Participant{
		ID: p.ID, SpeakerID: p.AudioSourceID(), Muted: p.IsMuted, InLobby: p.IsInLobby,
		Sequence: p.RosterSequenceNumber,
	}
	if p.Info != nil {
		row.Identity = p.Info.Identity.Party()
	}
	if p.RecordingInfo != nil {
		row.Recording = string(p.RecordingInfo.RecordingStatus)
	}
	if p.RemovedState != nil {
		row.Removed = p.RemovedState.Reason
		if row.Removed == "" {
			row.Removed = "removed"
		}
	}
	return row
}

// AudioSourceID is the media source id (MSI) of the participant's audio in
// decimal, "" if it has none.
func (p *Participant) AudioSourceID() string {
	for i := range p.MediaStreams {
		if p.MediaStreams[i].MediaType.is("audio") {
			return p.MediaStreams[i].SourceID
		}
	}
	return ""
}

// Rows translates a roster.
func Rows(participants []Participant) []session.Participant {
	rows := make([]session.Participant, 0, len(participants))
	for i := range participants {
		rows = append(rows, participants[i].Row())
	}
	return rows
}
