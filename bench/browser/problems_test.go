package browser

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The tests of this file: whatever goes wrong, the page says what, and what to
// do about it.

func TestNameIsAskedFor(t *testing.T) {
	s := newStub(t, nil, nil)
	b := openTab(t, s.URL, "")
	b.awaitText("#server-text", "Emulator connected")
	b.click("#join-go")
	b.awaitText("#name-error", "Write a name")
	require.Equal(t, "name", eval[string](b, `document.activeElement.id`), "the focus goes where something is to be done")
	require.Equal(t, "true", eval[string](b, `document.getElementById("name").getAttribute("aria-invalid")`))
	b.write("#name", "Ann")
	b.await("the error goes", `document.getElementById("name-error").hidden`)
	require.Empty(t, s.requests())
	b.requireClean(s.URL)
}

func TestNoMicrophone(t *testing.T) {
	s := newStub(t, []object{aMeeting}, nil)
	b := openTab(t, s.URL, "", chromedp.Flag("use-fake-device-for-media-stream", false))
	b.write("#name", "Ann")
	b.click("#join-go")
	b.awaitText("#problem", "No microphone found")
	b.awaitText("#problem", "Plug in")
	b.picture("no-microphone")
	b.requireClean(s.URL)
	b.click("#problem-close")
	b.await("it goes", `document.getElementById("problem").hidden`)
	require.Empty(t, s.requests())
}

func TestMicrophoneIsBlocked(t *testing.T) {
	s := newStub(t, []object{aMeeting}, nil)
	b := openTab(t, s.URL, "", chromedp.Flag("use-fake-ui-for-media-stream", false))
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "microphone"}, Setting: browser.PermissionSettingDenied,
		})
		return err
	}))
	b.write("#name", "Ann")
	b.click("#join-go")
	b.awaitText("#problem", "The microphone is blocked")
	b.awaitText("#problem", "Allow the microphone")
	b.requireClean(s.URL)
}

func TestAddressWithoutMicrophone(t *testing.T) {
	s := newStub(t, []object{aMeeting}, nil)
	address := strings.Replace(s.URL, "127.0.0.1", "emulator.test", 1)
	b := openTab(t, address, "", chromedp.Flag("host-resolver-rules", "MAP emulator.test 127.0.0.1"))
	b.write("#name", "Ann")
	b.click("#join-go")
	b.awaitText("#problem", "This address gets no microphone")
	b.awaitText("#problem", "Open "+s.URL)
	b.requireClean(address)
}

func TestEmulatorRefuses(t *testing.T) {
	s := newStub(t, []object{aMeeting}, nil)
	s.refuse(http.StatusConflict, "cloud: call takes nobody any more")
	b := openTab(t, s.URL, "")
	b.write("#name", "Ann Lee")
	b.awaitText(".choice", "Join the Teams meeting")
	b.click("#join-go")
	b.awaitText("#problem", "Call takes nobody any more.")
	b.awaitText("#join-title", "Join a call")
	require.Equal(t, []string{"POST /v1/calls/4f1a2b3c-1111-2222-3333-444455556666/people?name=Ann+Lee"}, s.requests())
	b.await("the microphone is closed", `!document.getElementById("join-go").disabled`)
}

func TestEmulatorGoesAndComesBack(t *testing.T) {
	s := newStub(t, nil, nil)
	b := openTab(t, s.URL, "")
	b.awaitText("#server-text", "Emulator connected")
	address, handler := s.Listener.Addr().String(), s.Config.Handler
	s.Listener.Close()
	s.CloseClientConnections()
	b.awaitText("#server-text", "Emulator gone")
	b.awaitText("#problem", "The emulator does not answer")
	b.picture("gone")
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	again := &http.Server{Handler: handler}
	go again.Serve(l)
	t.Cleanup(func() { again.Close() })
	b.awaitText("#server-text", "Emulator connected")
	b.await("the problem is solved", `document.getElementById("problem").hidden`)
}
