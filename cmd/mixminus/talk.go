package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/cloud/page"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/session/graph"
)

// talkReady is what demo --browser prints.
type talkReady struct {
	Page       string `json:"page"`
	Bot        string `json:"bot"`
	Meeting    string `json:"meeting"` // the bot's call
	Recordings string `json:"recordings"`
	Control    string `json:"control"` // API of the bot's host
	Admin      string `json:"admin"`   // API of the emulator
}

// runTalk lets people talk to a bot by a web page, until ctx is done.
func runTalk(ctx context.Context, f demoFlags, out io.Writer, log *slog.Logger) (err error) {
	b, err := botNamed(f.bot)
	if err != nil {
		return err
	}
	if f.out, err = recordingsFolder(f.out); err != nil {
		return err
	}
	t, err := openTalk(ctx, b, f, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	ready := talkReady{
		Page: t.emulator.AdminURL() + "/", Bot: f.bot, Recordings: f.out,
		Control: t.host.urls.HTTP, Admin: t.emulator.AdminURL(),
	}
	if ready.Meeting, err = t.joinMeeting(ctx, b.options); err != nil {
		return err
	}
	if f.json {
		err = json.NewEncoder(out).Encode(ready)
	} else {
		_, err = fmt.Fprintf(out, `Talk to the bot:  %s
  bot         %s, in a Teams meeting, and at both clouds for who calls it
  recordings  %s
It calls you:  mixminus call create --api %s --request '%s'
End with Ctrl-C.
`, ready.Page, ready.Bot, ready.Recordings, ready.Control, exampleRequest)
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-t.host.served:
		}
	}
	return err
}

// openTalk starts the emulator with its page, and a host of that bot.
func openTalk(ctx context.Context, b bot, f demoFlags, log *slog.Logger) (*stage, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secret := newSecret()
	urls, err := urlsOf("http://"+listener.Addr().String(), secret)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &stage{emulator: &cloud.Server{
		AdminAddr: f.admin, Page: page.New(), EventsURL: urls.Events, GraphEventsURL: urls.Graph, Insecure: true, Logger: log,
		OnCreate: takenByPeople,
	}}
	if err := s.emulator.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("--admin %s: %w; is another one running?", f.admin, err), listener.Close())
	}
	hosted, err := stageConfig(s.emulator, log)
	if err == nil {
		b.options.DTMF = true // there is a keypad
		hosted.acs.client.APIVersion = acs.Version2026
		hosted.rtp, hosted.bot = nil, func(string, session.Direction) bot { return b }
		hosted.listener, hosted.eventSecret, hosted.recordings = listener, secret, f.out
		s.host, err = startService(hosted)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close(), s.emulator.Close())
	}
	return s, nil
}

// takenByPeople has calls of the bot ring on the page. A meeting does not ring:
// it is there, and lasts as long as the bot stays.
func takenByPeople(d cloud.Dialled) cloud.Callee {
	if d.Cloud == "graph" && len(d.Targets) == 0 {
		return cloud.Callee{Script: cloud.Script{HangUp: cloud.Never}}
	}
	return cloud.Callee{Person: true}
}

// joinMeeting has the bot join a meeting that nobody is in yet.
func (s *stage) joinMeeting(ctx context.Context, o session.Options) (string, error) {
	tenant := s.emulator.GraphApps()[0].TenantID
	body, err := graph.Meeting{
		ChatInfo: graph.ChatInfo{ThreadID: "19:meeting_talk@thread.v2", MessageID: "0"}, TenantID: tenant,
		MeetingInfo: graph.MeetingInfo{
			ODataType: "#microsoft.graph.organizerMeetingInfo", AllowConversationWithoutHost: true,
			Organizer: &graph.IdentitySet{User: &graph.Identity{ID: "5810cede-f3cc-42eb-b2c1-e9bd5d53ec96", DisplayName: "Organizer", TenantID: tenant}},
		},
	}.Join("", "")
	if err != nil {
		return "", fmt.Errorf("meeting: %w", err)
	}
	c, err := s.host.manager.Create(ctx, "graph", body, o)
	if err != nil {
		return "", fmt.Errorf("meeting: %w", err)
	}
	return c.CallID(), nil
}
