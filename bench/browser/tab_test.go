package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that does not block: the machines
// that run this are small, and Chromium is not.
const patience = 30 * time.Second

// browserPath is Chromium's, or the test is skipped; where CI=true a missing
// browser is a fault.
func browserPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("chromium is not installed: apt-get install chromium")
	}
	t.Skip("chromium is not installed (apt-get install chromium): the page is not tried in a browser")
	return ""
}

// tab is the page as a person has it before them, who clicks and types.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string // of the console
	requests []string
}

// openTab opens the page in a browser of its own, whose microphone plays the
// file: "" is Chromium's own, which beeps.
func openTab(t *testing.T, address, microphone string, more ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.WindowSize(1280, 800),
	)
	if microphone != "" {
		options = append(options, chromedp.Flag("use-file-for-fake-audio-capture", microphone+"%noloop"))
	}
	parent, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, closeTab := chromedp.NewContext(parent)
	t.Cleanup(func() {
		closeTab()
		stop()
	})
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.heard))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				b.fault(fmt.Sprintf("%s (%s)", m, m.URL))
			}
		}
	}()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	b.do(chromedp.Navigate(address))
	return b
}

func (b *tab) heard(event any) {
	if sent, ok := event.(*network.EventRequestWillBeSent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests = append(b.requests, sent.Request.URL)
	}
}

func (b *tab) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, what)
}

// requireClean: the console has no errors, and nobody but the emulator was
// asked for anything.
func (b *tab) requireClean(address string) {
	b.t.Helper()
	want, err := url.Parse(address)
	require.NoError(b.t, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.faults, "console")
	require.NotEmpty(b.t, b.requests)
	for _, r := range b.requests {
		got, err := url.Parse(r)
		require.NoError(b.t, err)
		require.Equal(b.t, want.Host, got.Host, "an external request: %s", r)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	if err != nil {
		b.give()
	}
	require.NoError(b.t, err)
}

// give logs what is to be seen, for whoever reads a failure.
func (b *tab) give() {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Logf("the page shows (%v):\n%s\nconsole: %q", err, text, b.faults)
}

// eval returns what an expression is in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return v
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press types a key wherever the focus is.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// await waits until an expression is true in the page.
func (b *tab) await(what, expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !eval[bool](b, "!!("+expression+")") {
		if time.Now().After(deadline) {
			b.give()
			b.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitText waits until an element is shown and holds the text.
func (b *tab) awaitText(selector, text string) {
	b.t.Helper()
	b.await(fmt.Sprintf("%s says %q", selector, text),
		fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.textContent.includes(%q))`, selector, text))
}

// prefer sets what the person's system prefers.
func (b *tab) prefer(features ...string) {
	b.t.Helper()
	var media []*emulation.MediaFeature
	for _, f := range features {
		name, value, _ := strings.Cut(f, ":")
		media = append(media, &emulation.MediaFeature{Name: name, Value: value})
	}
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
		return err
	}))
}

// looks are how screenshots are taken: widths and colours.
var looks = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"desktop-light", 1280, 800, "light"},
	{"desktop-dark", 1280, 800, "dark"},
	{"phone-light", 360, 740, "light"},
	{"phone-dark", 360, 740, "dark"},
}

// picture keeps how the page looks, and checks what can be checked of it:
// nothing sticks out at the side.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("MIXMINUS_ARTEFACTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	for _, look := range looks {
		b.prefer("prefers-color-scheme:" + look.scheme)
		b.do(chromedp.EmulateViewport(look.width, look.height))
		// As high as what is on it, so that the dock is at its end.
		b.do(chromedp.EmulateViewport(look.width, max(look.height, eval[int64](b, `document.documentElement.scrollHeight`))))
		require.LessOrEqual(b.t, eval[int64](b, `document.documentElement.scrollWidth`), look.width, "%s: %s is cut", name, look.name)
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		cancel()
		require.NoError(b.t, err)
		file := filepath.Join(dir, name+"-"+look.name+".png")
		require.NoError(b.t, os.WriteFile(file, image, 0o644))
	}
	b.prefer()
	b.do(chromedp.EmulateViewport(1280, 800))
}
