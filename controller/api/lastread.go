package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// lastRead is what a switch that has no session here held when all its flows were last read, by this controller or another
// one, with a problem that says so. away says why it cannot be read now.
func (s *server) lastRead(ctx context.Context, in *flowQuery, keep func(described) bool, away error) (*flowList, error) {
	list, at, err := s.Controller.LastDump(in.Host)
	if err != nil {
		return nil, s.refuse(err)
	}
	if access.From(ctx).Controller && at.IsZero() {
		return nil, s.refuse(fmt.Errorf("%w, and no dump of it is kept", away))
	}
	asked := s.askOthers(ctx, in)
	if best := asked.latest(); best != nil && best.at.After(at) {
		return s.theirs(in.Host, best), nil
	}
	if at.IsZero() {
		return nil, s.refuse(fmt.Errorf("%w; this controller has not read its flows since it started, so that no dump is kept here%s%s; --desired shows what it should hold",
			away, asked.said(anyError), asked.places()))
	}
	return s.ours(in.Host, at, asked.said(isUnreachable), s.describe(in.Host, held(list), keep)), nil
}

// ours is what this controller read last of a switch. silent says which others might have read it later.
func (s *server) ours(host string, at time.Time, silent string, list []client.Flow) *flowList {
	var why string
	s.Controller.View(func(state *store.State) { why = s.away(state, host) })
	age := time.Since(at).Round(time.Second)
	text := fmt.Sprintf("%s; this is what it held at %s, %s ago, when all its flows were last read here%s", why, at.Format(time.RFC3339), age, silent)
	return &flowList{Problems: []string{problemOf(host, text)}, Age: seconded(age), Body: list}
}

// theirs is what another controller told of a switch.
func (s *server) theirs(host string, a *reply) *flowList {
	var why string
	s.Controller.View(func(state *store.State) { why, _ = s.claimed(state, host) })
	text := fmt.Sprintf("%s; controller %s read these flows just now", why, a.by)
	if a.read.Age > 0 {
		text = fmt.Sprintf("%s; this is what it held at %s, %s ago, when controller %s last read all its flows", why, a.at.Format(time.RFC3339), a.read.Age, a.by)
	}
	return &flowList{Problems: []string{problemOf(host, text)}, Age: seconded(a.read.Age), Controller: a.by, Body: a.read.Flows}
}

func problemOf(host, text string) string {
	p := store.ProblemOf(store.HostKey(host), "%s", text)
	return p.Object + ": " + p.Text
}

// seconded is an age as the header says it; empty: just now.
func seconded(age time.Duration) string {
	if age < time.Second {
		return ""
	}
	return strconv.Itoa(int(age / time.Second))
}

// askTime bounds how long others are asked, all at once: a switch of 100,000 flows is read in a few seconds.
const askTime = 10 * time.Second

// reply is what another controller said of a switch.
type reply struct {
	by   string // its name
	api  string
	read client.FlowReading
	at   time.Time // when it was read, by this machine's clock
	err  error
}

type replies []reply

// errNotAsked says that a controller is not asked: without certificates neither could know the other.
var errNotAsked = errors.New("not asked")

// askOthers asks the other controllers for what they read of a switch. Whoever is asked by another controller asks nobody, so that
// no question goes round.
func (s *server) askOthers(ctx context.Context, in *flowQuery) replies {
	if access.From(ctx).Controller {
		return nil
	}
	var all replies
	s.Controller.View(func(state *store.State) {
		for c := range state.LiveControllers() {
			if c.Key.Name != s.Controller.Name() && c.Value.API != "" {
				all = append(all, reply{by: c.Key.Name, api: c.Value.API, err: errNotAsked})
			}
		}
	})
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() { s.ask(ctx, &all[i], in) })
	}
	wait.Wait()
	return all
}

// ask asks one controller, if both ends can prove who they are.
func (s *server) ask(ctx context.Context, a *reply, in *flowQuery) {
	if s.Identity == nil || !strings.HasPrefix(a.api, "https://") {
		return
	}
	c, err := client.Dial(a.api, client.WithTransport(&http.Transport{TLSClientConfig: s.Identity.ClientOfController(a.by), DisableKeepAlives: true}))
	if err == nil {
		a.read, err = c.ReadFlows(ctx, in.Host, in.FlowFilter)
	}
	a.at, a.err = time.Now().Add(-a.read.Age), err
}

// latest is the answer that was read last; nil: there is none.
func (all replies) latest() (best *reply) {
	for i, a := range all {
		if a.err == nil && (best == nil || a.at.After(best.at)) {
			best = &all[i]
		}
	}
	return best
}

func anyError(error) bool { return true }

func isUnreachable(err error) bool {
	var silent *client.UnreachableError
	return errors.As(err, &silent)
}

// said are the errors, of those that are to be told, with which controllers that were asked answered instead of flows.
func (all replies) said(told func(error) bool) (text string) {
	for _, a := range all {
		if a.err != nil && !errors.Is(a.err, errNotAsked) && told(a.err) {
			text += fmt.Sprintf("; controller %s: %v", a.by, a.err)
		}
	}
	return text
}

// places says where those can be asked that were not; empty: there are none.
func (all replies) places() string {
	var at []string
	for _, a := range all {
		if errors.Is(a.err, errNotAsked) {
			at = append(at, "--api "+a.api)
		}
	}
	if len(at) == 0 {
		return ""
	}
	return "; another controller may keep one: ask with " + strings.Join(at, " or ")
}
