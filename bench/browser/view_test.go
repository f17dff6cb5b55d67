package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// inCall joins the stub's call.
func inCall(t *testing.T) (*stub, *tab) {
	s := newStub(t, []object{aMeeting}, nil)
	s.show(aCall())
	b := openTab(t, s.URL, "")
	b.write("#name", "Jane Doe")
	b.awaitText(".choice", "Join the Teams meeting")
	b.click("#join-go")
	b.await("the call is shown", connected)
	return s, b
}

func TestCallIsShown(t *testing.T) {
	s, b := inCall(t)
	require.Equal(t, []string{"Jane Doe", "Bot", "Allison Example-Featherstonehaugh", "+14255550100"},
		eval[[]string](b, `[...document.querySelectorAll("#people-list strong")].map((e) => e.textContent)`))
	b.awaitText(".person[data-kind=voice]", "Emulated · muted")
	b.awaitText(".person[data-kind=voice]", "on hold")
	b.awaitText("#lobby-list", "Bob Miller")
	b.awaitText("#transcript-log", "Please say or type your account number")
	b.picture("call")
	live := aCall()
	live["transcripts"] = []object{{"slot": 200, "raw_id": "8:orgid:1", "text": "It is one two three.", "final": true, "key": "k"}}
	live["people"] = []object{{"pid": "me-1", "id": "1", "name": "Jane Doe", "state": "in"}}
	s.show(live)
	b.awaitText("#transcript-log", "It is one two three.")
	require.Equal(t, int64(3), eval[int64](b, `document.querySelectorAll("#transcript-log p").length`), "a sentence grows where it is")
	b.await("the lobby goes", `document.querySelector("#lobby").hidden`)
	b.awaitSaid("Bob Miller left.")
	b.requireClean(s.URL)
}

// awaitSaid waits until a screen reader is told.
func (b *tab) awaitSaid(text string) {
	b.t.Helper()
	b.await("it is said: "+text, `document.querySelector("#said").textContent.includes("`+text+`")`)
}

func TestWhatIsDoneIsAsked(t *testing.T) {
	s, b := inCall(t)
	b.click("#lobby-list button")
	b.click("#mute")
	b.click("#words summary")
	b.write("#words-text", "yes please 5"+kb.Enter)
	b.click("#leave")
	b.awaitText("#notice", "You left after 00:0")
	b.await("the form is back", `document.querySelector("#join-form").checkVisibility()`)
	require.Equal(t, []string{
		"POST /v1/calls/4f1a2b3c-1111-2222-3333-444455556666/people?name=Jane+Doe",
		"POST /v1/calls/call-1/people/guest/admit",
		`POST /v1/calls/call-1/people/me-1/mute {"on":true}`,
		`POST /v1/calls/call-1/people/me-1/says {"text":"yes please 5"}`,
		"DELETE /v1/calls/call-1/people/me-1",
	}, s.requests())
	b.requireClean(s.URL)
}

func TestCallEnds(t *testing.T) {
	s, b := inCall(t)
	live := aCall()
	live["ended"], live["result"] = true, object{"code": 200, "subCode": 7000, "message": "The call was ended by the application."}
	s.show(live)
	b.awaitText("#notice", "The call was ended by the application.")
	b.awaitSaid("The call was ended by the application.")
	b.requireClean(s.URL)
}

// TestPageIsCalled: who waits for a call of the bot is rung, and answers.
func TestPageIsCalled(t *testing.T) {
	s := newStub(t, nil, nil)
	s.show(aCall())
	b := openTab(t, s.URL, "")
	b.write("#name", "Jane Doe")
	b.choose("Wait for the bot to call me")
	b.click("#join-go")
	b.awaitText("#notice", "Waiting. Have your bot make a call")
	b.awaitText("#join-go", "Stop waiting")
	s.ring(aRing)
	b.awaitText("#rings", "By Communication Services, for +14255550100")
	b.awaitSaid("The bot is calling.")
	b.picture("ring")
	b.click("#rings .plain")
	require.Eventually(t, func() bool { return len(s.requests()) == 2 }, patience, patience/300)
	s.ring()
	b.await("it does not ring any more", `!document.querySelector("#rings").children.length`)
	s.ring(aRing)
	b.click("#rings .main")
	b.await("the call is shown", connected)
	b.click("#leave")
	b.awaitText("#join-go", "Stop waiting")
	b.click("#join-go")
	b.awaitText("#join-go", "Wait for a call")
	require.Equal(t, []string{
		`PUT /v1/callee {"person":true}`,
		"DELETE /v1/ringing/ring-1",
		"POST /v1/ringing/ring-1?name=Jane+Doe",
		"DELETE /v1/calls/call-1/people/me-1",
		`PUT /v1/callee {"script":"one-callee"}`,
	}, s.requests())
	b.requireClean(s.URL)
}

func TestClosedPageLeaves(t *testing.T) {
	s, b := inCall(t)
	b.do(chromedp.Navigate("about:blank"))
	require.Eventually(t, func() bool {
		all := s.requests()
		return all[len(all)-1] == "DELETE /v1/calls/call-1/people/me-1"
	}, patience, patience/300)
}

func TestAccessibleCall(t *testing.T) {
	text := axe(t)
	_, b := inCall(t)
	b.awaitText("#transcript-log", "account number")
	b.requireAccessible(text, "the call")
	b.click("#mute")
	b.click("#words summary")
	b.requireAccessible(text, "the call, muted")
}

func TestCallByKeyboard(t *testing.T) {
	_, b := inCall(t)
	b.awaitText("#transcript-log", "account number")
	b.requireNamed()
	order := []string{
		"Admit Bob Miller", "transcript-log", "1", "2", "3", "4", "5", "6", "7", "8", "9", "star", "0", "hash",
		"words-title", "mute", "leave",
	}
	require.Equal(t, order, b.tabThrough(30))
	b.do(chromedp.EmulateViewport(360, 740))
	require.Equal(t, order, b.tabThrough(30), "on a phone")
	b.press("7")
	require.Equal(t, "7", eval[string](b, `document.querySelector("#keys-sent").value`))
	b.click("#words summary")
	b.write("#words-text", "12")
	require.Equal(t, "7", eval[string](b, `document.querySelector("#keys-sent").value`), "digits in a field are text")
}

func TestMotionIsReduced(t *testing.T) {
	_, b := inCall(t)
	moves := `getComputedStyle(document.querySelector("#mine-level")).transitionDuration`
	require.NotEqual(t, "0s", eval[string](b, moves))
	b.prefer("prefers-reduced-motion:reduce")
	require.Equal(t, "0s", eval[string](b, moves))
}
