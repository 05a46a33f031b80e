package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAHostAsks(t *testing.T) {
	offer := func(name, problem string) Offer {
		return Offer{Tenant: "alice", Network: "default", Name: name, Interface: "sl-x", Problem: problem}
	}
	for _, c := range []struct {
		name    string
		request Request
		says    []string
	}{
		{"nothing", Request{ID: "r"}, nil},
		{"it holds", Request{Held: "etcd holds no store"}, []string{"etcd holds no store: bring the right store back, or run `sluice host adopt h1`"}},
		{"one port", Request{Offered: []Offer{offer("a1", "")}}, []string{"1 port that this store lacks: alice/default/a1: `sluice host adopt h1` takes them back, `sluice host clean h1`"}},
		{"a conflict", Request{Offered: []Offer{offer("a1", "address 10.0.0.5 is taken")}}, []string{"alice/default/a1 (address 10.0.0.5 is taken)"}},
		{"many", Request{Offered: []Offer{offer("a1", ""), offer("a2", ""), offer("a3", ""), offer("a4", ""), offer("a5", ""), offer("a6", ""), offer("a7", "")}},
			[]string{"7 ports that this store lacks: alice/default/a1, alice/default/a2, alice/default/a3, alice/default/a4, alice/default/a5 and 2 more:"}},
		{"as many as are shown", Request{Strays: []string{"sl-1", "sl-2", "sl-3", "sl-4", "sl-5"}}, []string{"5 interfaces of no port, too many to be removed without a word: sl-1, sl-2, sl-3, sl-4, sl-5: `sluice host clean h1`"}},
		{"all of it", Request{Held: "x", Offered: []Offer{offer("a1", "")}, Strays: []string{"sl-1"}}, []string{"it holds", "1 port", "1 interface of"}},
	} {
		got := c.request.Asks("h1")
		if len(got) != len(c.says) {
			t.Errorf("%s: %q", c.name, got)
			continue
		}
		for i, want := range c.says {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q does not say %q", c.name, got[i], want)
			}
		}
	}
}

func TestProposeWord(t *testing.T) {
	registered := Event{Key: HostKey("h1"), Object: &Host{}, Created: 3, Modified: 3}
	asks := func(r Request) Event {
		r.ID = "r"
		return Event{Key: RequestKey("h1"), Object: &r, Created: 7, Modified: 9}
	}
	says := func(word string) Proposal {
		return Proposal{
			Writes:   []Event{{Key: WordKey("h1"), Object: &Word{Word: word, Request: "r"}}},
			Presumes: []Presumption{{Condition: Unchanged, Path: RequestKey("h1").String(), Revision: 9}},
		}
	}
	held, offered, strays := asks(Request{Held: "why"}), asks(Request{Offered: []Offer{{Name: "a1"}}}), asks(Request{Strays: []string{"sl-x"}})
	for _, c := range []struct {
		name  string
		state []Event
		word  string
		want  Proposal
		err   error
	}{
		{"a host that is not there", nil, WordAdopt, Proposal{}, ErrNotFound},
		{"a host that asks for nothing", []Event{registered}, WordAdopt, Proposal{}, nil},
		{"one that holds, where it is not registered", []Event{held}, WordAdopt, says(WordAdopt), nil},
		{"one that holds is to clean", []Event{registered, held}, WordClean, Proposal{}, ErrConflict},
		{"ports to take back", []Event{registered, offered}, WordAdopt, says(WordAdopt), nil},
		{"ports to remove", []Event{registered, offered}, WordClean, says(WordClean), nil},
		{"strays to take back", []Event{registered, strays}, WordAdopt, Proposal{}, ErrConflict},
		{"strays to remove", []Event{registered, strays}, WordClean, says(WordClean), nil},
	} {
		s := NewState()
		s.Apply(Batch{Revision: 9, Events: c.state})
		got, err := ProposeWord(s, "h1", c.word)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got, comparers...); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}
