package browser

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

const (
	meeting = "Join the Teams meeting"
	byACS   = "Call the bot by Communication Services"
	byTeams = "Call the bot in Teams"
)

// person opens the page, writes a name, and makes a choice.
func (x *talk) person(name, choice, microphone string, more ...chromedp.ExecAllocatorOption) *tab {
	x.t.Helper()
	b := openTab(x.t, x.ready.Page, microphone, more...)
	b.awaitText("#server-text", "Emulator connected")
	b.write("#name", name)
	b.choose(choice)
	return b
}

// choose clicks on the choice of that title.
func (b *tab) choose(title string) {
	b.t.Helper()
	b.awaitText(".choice strong", title)
	b.do(chromedp.Click(chromedp.Search(`//strong[text()="` + title + `"]`)))
}

const (
	connected  = `document.querySelector("#call-state").textContent === "Connected"`
	botTalks   = `document.querySelector(".person[data-kind=bot][data-talking=true]")`
	iTalk      = `document.querySelector(".person[data-kind=me][data-talking=true]")`
	iTalkNever = `!` + iTalk
)

// TestTalkInMeeting is a person who joins the meeting that the bot is in, says
// something, hears the bot say it back, and leaves.
func TestTalkInMeeting(t *testing.T) {
	x := startTalk(t, "echo")
	said := signal.Speech(signal.June)
	b := x.person("June", meeting, microphone(t, said))
	b.click("#clean") // what the browser cleans is not to be compared
	b.click("#join-go")
	b.await("the meeting stands", connected)
	require.Equal(t, "Teams meeting", eval[string](b, `document.querySelector("#call-title").textContent`))
	require.Equal(t, "call-title", eval[string](b, `document.activeElement.id`), "a screen reader goes on at the call's title")
	require.Equal(t, []string{"June"}, x.live(x.ready.Meeting).names())
	b.await("June is seen to talk", iTalk)
	b.await("the bot is seen to answer", botTalks)
	b.picture("meeting")
	time.Sleep(duration(len(said)))
	b.click("#leave")
	b.awaitText("#notice", "You left after")
	x.eventually("June left the roster", func() bool { return len(x.live(x.ready.Meeting).names()) == 0 })
	b.requireClean(x.ready.Page)
	x.end()
	likeness := signal.Liken(said, x.recording("mixed-in.wav"))
	t.Logf("what the bot heard: %v", likeness)
	require.Greater(t, likeness.Share(), 0.7)
	echo := signal.Liken(said, x.recording("bot.wav"))
	t.Logf("what the bot said: %v", echo)
	require.Greater(t, echo.Share(), 0.7)
}

// TestMutedIsSilent: whoever is muted is not heard by the bot, and is heard
// again afterwards.
func TestMutedIsSilent(t *testing.T) {
	x := startTalk(t, "record")
	said := signal.Speech(signal.Carlo)
	b := x.person("Carlo", meeting, microphone(t, said))
	b.click("#join-go")
	b.await("Carlo is seen to talk", iTalk)
	b.click("#mute")
	b.awaitText("#mine-text", "Muted")
	require.Equal(t, "true", eval[string](b, `document.querySelector("#mute").ariaPressed`))
	b.await("Carlo is seen to be silent", iTalkNever)
	b.awaitText(".person[data-kind=me]", "muted")
	from := x.live(x.ready.Meeting).Slots
	x.eventually("two seconds pass", func() bool { return x.live(x.ready.Meeting).Slots > from+100 })
	b.click("#mute")
	b.await("Carlo is seen to talk again", iTalk)
	b.click("#leave")
	b.awaitText("#notice", "You left after")
	b.requireClean(x.ready.Page)
	x.end()
	require.Less(t, silence(said), time.Second, "Carlo pauses")
	heard := x.recording("mixed.wav")
	t.Logf("Carlo is silent for %v at most, and muted for %v of %v", silence(said), silence(heard), duration(len(heard)))
	require.Greater(t, silence(heard), 1800*time.Millisecond)
	require.Greater(t, signal.Level(heard), -45.0, "and else he is heard, cleaned by the browser")
}

func duration(samples int) time.Duration {
	return time.Duration(samples) * time.Second / signal.SampleRate
}

// silence is the longest time in which nothing at all is to be heard.
func silence(samples []int16) time.Duration {
	const frame = signal.SampleRate / 50
	longest, run := 0, 0
	for i := 0; i+frame <= len(samples); i += frame {
		run++
		if signal.Level(samples[i:i+frame]) > -75 {
			run = 0
		}
		longest = max(longest, run)
	}
	return duration(longest * frame)
}

// TestKeysArePressedOnce, by click and by keyboard, in a call of Communication
// Services.
func TestKeysArePressedOnce(t *testing.T) {
	x := startTalk(t, "record")
	b := x.person("Ann", byACS, "")
	b.click("#join-go")
	b.await("the bot answers", connected)
	require.Equal(t, "Communication Services call", eval[string](b, `document.querySelector("#call-title").textContent`))
	call := x.otherCall()
	b.click(`.key[data-tone="5"]`)
	x.eventually("5 is pressed", func() bool { return x.live(call).tones() == "5" })
	b.press("1")
	b.press("*")
	b.press("#")
	x.eventually("1*# are pressed", func() bool { return x.live(call).tones() == "51*#" })
	require.Equal(t, "51*#", eval[string](b, `document.querySelector("#keys-sent").value`))
	time.Sleep(time.Second)
	require.Equal(t, "51*#", x.live(call).tones(), "once each")
	b.picture("keys")
	b.click("#leave")
	b.awaitText("#notice", "You left after")
	x.eventually("the call is over", func() bool { return x.live(call).State == "disconnected" })
	b.requireClean(x.ready.Page)
}

// otherCall is the call that is not the meeting.
func (x *talk) otherCall() string {
	x.t.Helper()
	var calls []struct{ ID string }
	ask(x.t, "GET", x.ready.Admin+"/v1/calls", nil, &calls)
	for _, c := range calls {
		if c.ID != x.ready.Meeting {
			return c.ID
		}
	}
	x.t.Fatal("there is no other call")
	return ""
}

// TestLobby: one waits, another admits them.
func TestLobby(t *testing.T) {
	x := startTalk(t, "record")
	host := x.person("Hanna Host", meeting, "")
	host.click("#join-go")
	host.await("the host is in", connected)
	guest := x.person("Gus Guest", meeting, "")
	guest.click(".choice .lobby-wait input")
	guest.click("#join-go")
	guest.awaitText("#call-state", "You wait in the lobby")
	host.awaitText("#lobby-list", "Gus Guest")
	host.picture("lobby")
	host.click("#lobby-list button")
	guest.await("the guest is in", connected)
	host.await("the lobby is empty", `document.querySelector("#lobby").hidden`)
	require.Equal(t, []string{"Gus Guest", "Hanna Host"}, x.live(x.ready.Meeting).names())
	guest.click("#leave")
	host.await("the guest is gone", `document.querySelectorAll("#people-list .person").length === 2`)
	host.requireClean(x.ready.Page)
	guest.requireClean(x.ready.Page)
}

// TestTeamsRingsTheBot: a person calls the bot in Teams, and the bot hangs up.
func TestTeamsRingsTheBot(t *testing.T) {
	x := startTalk(t, "greet")
	b := x.person("Ann", byTeams, microphone(t, nil)) // a beep would interrupt the greeting
	b.click("#join-go")
	b.await("the bot answers", connected)
	b.await("the bot greets", botTalks)
	call := x.otherCall()
	ask(t, "DELETE", x.ready.Control+"/v1/calls/"+x.sessionOf(call), nil, nil)
	b.awaitText("#notice", "ended by the application")
	b.requireClean(x.ready.Page)
}

// sessionOf finds how the bot's host calls a call of the emulator.
func (x *talk) sessionOf(call string) string {
	x.t.Helper()
	var sessions struct {
		Calls []struct {
			ID     string
			CallID string `json:"call_id"`
		}
	}
	ask(x.t, "GET", x.ready.Control+"/v1/calls", nil, &sessions)
	for _, s := range sessions.Calls {
		if s.CallID == call {
			return s.ID
		}
	}
	x.t.Fatalf("the host knows nothing of %s: %v", call, sessions)
	return ""
}

// TestBotCallsPerson: the bot's call rings on the page, is declined once, and
// answered once.
func TestBotCallsPerson(t *testing.T) {
	x := startTalk(t, "greet")
	b := openTab(t, x.ready.Page, microphone(t, nil))
	b.write("#name", "Ann")
	create := object{"cloud": "acs", "media": object{"bidirectional": true}, "request": object{"targets": []object{{"kind": "communicationUser", "communicationUser": object{"id": "8:acs:callee"}}}}}
	ask(t, "POST", x.ready.Control+"/v1/calls", create, nil)
	b.awaitText("#rings", "The bot is calling")
	b.picture("ring")
	b.click("#rings .plain")
	b.await("the ring is gone", `!document.querySelector("#rings").children.length`)
	ask(t, "POST", x.ready.Control+"/v1/calls", create, nil)
	b.awaitText("#rings", "The bot is calling")
	b.click("#rings .main")
	b.await("the call stands", connected)
	b.await("the bot greets", botTalks)
	b.click("#leave")
	b.awaitText("#notice", "You left after")
	b.requireClean(x.ready.Page)
}

// TestEmulatorDiesInCall: the page says so, and where the call is.
func TestEmulatorDiesInCall(t *testing.T) {
	x := startTalk(t, "record")
	b := x.person("Ann", meeting, "")
	b.click("#join-go")
	b.await("the meeting stands", connected)
	require.NoError(t, x.cmd.Process.Kill())
	x.cmd.Wait()
	b.awaitText("#server-text", "Emulator gone")
	b.awaitText("#problem", "The emulator does not answer")
	b.click("#leave")
	b.awaitText("#notice", "You left after")
}
