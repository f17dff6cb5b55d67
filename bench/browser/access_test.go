package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// axe is axe-core, which npm brings; "" if it did not, so that the test skips.
// npm test wants it.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err == nil {
		return string(text)
	}
	if os.Getenv("MIXMINUS_AXE") != "" {
		t.Fatalf("%v: npm ci brings it", err)
	}
	t.Skip("axe-core is not installed: cd bench/browser && npm ci && npm test")
	return ""
}

type violation struct {
	ID     string   `json:"id"`
	Help   string   `json:"help"`
	Impact string   `json:"impact"`
	Nodes  []string `json:"nodes"`
}

// requireAccessible has axe look at the page as it is, in both colours: WCAG 2.2
// A and AA, and axe's own best practices.
func (b *tab) requireAccessible(axe, what string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.prefer("prefers-color-scheme:" + scheme)
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]violation](axe+`;
			axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) =>
				({id: v.id, help: v.help, impact: v.impact, nodes: v.nodes.map((n) => n.html + " " + n.failureSummary)})))`,
			chromedp.EvalAwaitPromise))
		cancel()
		require.NoError(b.t, err)
		for _, v := range found {
			b.t.Errorf("%s, %s: %s (%s): %s\n  %s", what, scheme, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n  "))
		}
	}
	b.prefer()
}

// requireNamed: what can be operated has a name that is read out.
func (b *tab) requireNamed() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	controls := 0
	b.do(chromedp.Func(func(context.Context, *chromedp.Target) error {
		tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return err
		}
		for _, n := range tree.Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}
			switch role := strings.Trim(string(n.Role.Value), `"`); role {
			case "button", "textbox", "radio", "checkbox", "link", "DisclosureTriangle", "log", "group", "radiogroup", "region":
				controls++
				if n.Name == nil || strings.Trim(string(n.Name.Value), `" `) == "" {
					return fmt.Errorf("a %s has no name: %s", role, n.Name.Value)
				}
			}
		}
		return nil
	}))
	require.Greater(b.t, controls, 5)
}

// focused describes what has the focus, and whether one sees that it has.
const focused = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return {name: "", seen: true, inside: true};
	const shown = (x) => x && getComputedStyle(x).outlineStyle !== "none" && parseFloat(getComputedStyle(x).outlineWidth) >= 2;
	const r = e.getBoundingClientRect();
	const dock = document.querySelector(".dock");
	const free = dock.checkVisibility() && !dock.contains(e) ? dock.getBoundingClientRect().top : innerHeight;
	return {
		name: e.id || e.getAttribute("aria-label") || e.dataset.tone || e.value || e.textContent.trim(),
		seen: shown(e) || shown(e.closest(".choice")),
		inside: r.width > 0 && r.bottom > 0 && r.top < innerHeight && Math.min(r.bottom, r.top + 40) <= free + 1,
	};
})()`

type focus struct {
	Name   string `json:"name"`
	Seen   bool   `json:"seen"`
	Inside bool   `json:"inside"`
}

// tabThrough goes through the page by Tab until the focus leaves it, and
// returns what had it, in order. Each must be seen to have it.
func (b *tab) tabThrough(limit int) []string {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any](`document.activeElement.blur()`))
		return err
	}))
	var names []string
	for range limit {
		b.press(kb.Tab)
		f := eval[focus](b, focused)
		if f.Name == "" || len(names) > 0 && f.Name == names[0] {
			return names
		}
		require.True(b.t, f.Seen, "%s has the focus, and nobody sees it", f.Name)
		require.True(b.t, f.Inside, "%s has the focus where it is not seen", f.Name)
		names = append(names, f.Name)
	}
	b.t.Fatalf("the focus does not leave the page: %q", names)
	return nil
}

func TestAccessibleForm(t *testing.T) {
	text := axe(t)
	s := newStub(t, []object{aMeeting}, []object{aRing})
	s.refuse(http.StatusBadGateway, "cloud: the bot did not take the call")
	b := openTab(t, s.URL, "")
	b.awaitText("#rings", "The bot is calling")
	b.requireAccessible(text, "the form")
	b.click("#join-go")
	b.awaitText("#name-error", "Write a name")
	b.requireAccessible(text, "the form with an error")
	b.write("#name", "Ann")
	b.click("#join-go")
	b.awaitText("#problem", "That did not work")
	b.requireAccessible(text, "the form with a problem")
}

func TestFormByKeyboard(t *testing.T) {
	s := newStub(t, []object{aMeeting}, []object{aRing})
	s.refuse(http.StatusBadGateway, "cloud: the bot did not take the call")
	b := openTab(t, s.URL, "")
	b.awaitText("#rings", "The bot is calling")
	b.requireNamed()
	require.Equal(t, []string{"Answer", "Decline", "name", "join-" + aMeeting["id"].(string), "on", "clean", "join-go"}, b.tabThrough(20))
	b.do(chromedp.Focus(chromedp.CSS("#name")))
	b.press("Ann" + kb.Tab + kb.ArrowDown)
	require.Equal(t, "Call the bot", eval[string](b, `document.getElementById("join-go").textContent`))
	b.press(kb.Enter)
	b.await("Enter submits", `document.getElementById("problem").checkVisibility()`)
	require.Equal(t, []string{"POST /v1/people?cloud=acs&name=Ann"}, s.requests())
}
