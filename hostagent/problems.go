package hostagent

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// problems are what the agent could not do at its last try, each under the name of what was tried.
type problems struct {
	log   *slog.Logger
	mu    sync.Mutex
	texts map[string]string
}

func newProblems(log *slog.Logger) *problems {
	return &problems{log: log, texts: make(map[string]string)}
}

// report keeps a failure for Status and logs it when it is new, and when it is over.
func (p *problems) report(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, had := p.texts[what]
	switch {
	case err == nil && had:
		delete(p.texts, what)
		p.log.Info("recovered", "what", what)
	case err != nil && before != err.Error():
		p.texts[what] = err.Error()
		p.log.Error("failed, will try again", "what", what, "err", err)
	}
}

// tell keeps a failure for Status that somebody else logs; nil: it is over.
func (p *problems) tell(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.texts, what)
		return
	}
	p.texts[what] = err.Error()
}

// forget drops what was said of something that is not tried any more.
func (p *problems) forget(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.texts, what)
}

// first is that of the first of some that has one, with its name; empty: none has.
func (p *problems) first(names ...string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, what := range names {
		if text, has := p.texts[what]; has {
			return what + ": " + text
		}
	}
	return ""
}

// text is what was said of one thing; empty: nothing.
func (p *problems) text(what string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts[what]
}

// list is one line for each, sorted by name.
func (p *problems) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(p.texts)) {
		lines = append(lines, what+": "+p.texts[what])
	}
	return lines
}

// brief is the list for one line: what fails since etcd does not do its part is named with that
// reason once, as nearly all is at the same time.
func (p *problems) brief() string {
	var causes []string
	waits := make(map[string][]string)
	for _, line := range p.list() {
		what, text, _ := strings.Cut(line, ": ")
		if i := strings.Index(": "+text, ": etcd "); i >= 0 {
			text = text[i:]
		}
		if waits[text] == nil {
			causes = append(causes, text)
		}
		waits[text] = append(waits[text], what)
	}
	var lines []string
	for _, cause := range causes {
		lines = append(lines, strings.Join(waits[cause], ", ")+": "+cause)
	}
	return strings.Join(lines, "; ")
}
