package lab

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// progress prints steps: on a terminal each is shown while it runs and ticked when it is
// done; in a pipe only what is done, one line each.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// step runs f under a title.
func (p *progress) step(title string, f func() error) error {
	p.running(title)
	if err := f(); err != nil {
		p.done(color.RedString("✗"), title)
		return fmt.Errorf("%s: %w", title, err)
	}
	p.done(color.GreenString("✓"), title)
	return nil
}

func (p *progress) running(title string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K… %s", title)
	}
}

func (p *progress) done(mark, title string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	} else {
		mark = map[bool]string{true: "ok", false: "FAILED"}[mark == color.GreenString("✓")]
	}
	fmt.Fprintf(p.out, "%s %s\n", mark, title)
}
