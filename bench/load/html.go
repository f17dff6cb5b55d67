package load

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// WriteHTML writes a report as one page that loads nothing. With a search, it
// is of that, and rep may be nil: then it shows the run at the last good
// number of calls.
func WriteHTML(w io.Writer, rep *Report, s *Search) error {
	if rep == nil && s != nil {
		rep = s.best()
	}
	if rep == nil {
		return errors.New("load: no report to write: nothing was measured")
	}
	// Marshal escapes what could end the script element.
	data, err := json.Marshal(struct {
		Report *Report `json:"report"`
		Search *Search `json:"search,omitempty"`
	}{rep, s.light()})
	if err != nil {
		return err
	}
	// Of the texts put in, only data is not ours: it goes in last, so that
	// nothing in it is taken for a place to fill.
	head, tail, _ := strings.Cut(strings.NewReplacer("{{css}}", pageCSS, "{{js}}", pageJS).Replace(pageHTML), "{{data}}")
	_, err = io.WriteString(w, head+string(data)+tail)
	return err
}

// best is the run at the last good number of calls, else the last one.
func (s *Search) best() (rep *Report) {
	for _, st := range s.Steps {
		if rep = st.Report; st.Calls == s.Good && st.Verdict.Result == Pass {
			break
		}
	}
	return rep
}

// light is the search without the seconds of its runs, which the page does not
// show.
func (s *Search) light() *Search {
	if s == nil {
		return nil
	}
	out := *s
	out.Steps = nil
	for _, st := range s.Steps {
		rep := *st.Report
		rep.Timeline, rep.Histogram = nil, nil
		out.Steps = append(out.Steps, Step{st.Calls, st.Verdict, &rep})
	}
	return &out
}
