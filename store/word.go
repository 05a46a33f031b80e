package store

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// Kinds by which a host's agent asks the operator for a word, and is told it.
const (
	KindRequest  Kind = "requests"  // {host}
	KindWord     Kind = "words"     // {host}
	KindFarewell Kind = "farewells" // {host}
)

// RequestKey is the key of what a host's agent asks for.
func RequestKey(host string) Key { return Key{Kind: KindRequest, Host: host} }

// WordKey is the key of the operator's word to a host's agent.
func WordKey(host string) Key { return Key{Kind: KindWord, Host: host} }

// FarewellKey is the key that tells a host's agent that the operator deleted its host.
func FarewellKey(host string) Key { return Key{Kind: KindFarewell, Host: host} }

// Request says what a host's agent does not do by itself, since it cannot be put back. It is
// under a lease: an agent that ended asks for nothing.
type Request struct {
	ID string `json:"id"` // random for each request: a Word answers one, once
	// Held says why the agent holds: this is not the store that it serves. Empty: it serves it.
	Held string `json:"held,omitempty"`
	// Leaves is the id of the store that it serves, and would leave.
	Leaves string `json:"leaves,omitempty"`
	// Offered are ports that the host has and this store lacks: their interfaces stay as they are.
	Offered []Offer `json:"offered,omitempty"`
	// Strays are interfaces of no port that anyone knows, too many to be removed without a word.
	Strays []string `json:"strays,omitempty"`
}

// Offer is a port that its host has and the store lacks.
type Offer struct {
	Tenant    string   `json:"tenant"`
	Network   string   `json:"network"`
	Name      string   `json:"name"`
	Interface string   `json:"interface"`
	Addresses []string `json:"addresses,omitempty"`
	Problem   string   `json:"problem,omitempty"` // why it could not be taken back
}

// Words of the operator.
const (
	WordAdopt = "adopt" // this store is the right one; take the offered ports into it
	WordClean = "clean" // remove what belongs to no port
)

// Word is the operator's answer to one Request. Its host's agent deletes it when it has heard it.
type Word struct {
	Word    string `json:"word"`
	Request string `json:"request"` // its ID
}

// Farewell says that the operator deleted a host, and which registration that was: an agent
// that finds its own cleans up. That its key is absent tells it nothing.
type Farewell struct {
	Incarnation string    `json:"incarnation"`
	Created     Revision  `json:"created"`     // of the registration
	At          time.Time `json:"at,omitzero"` // by the clock of the controller that was told
}

// Kind is KindRequest.
func (*Request) Kind() Kind { return KindRequest }

// Kind is KindWord.
func (*Word) Kind() Kind { return KindWord }

// Kind is KindFarewell.
func (*Farewell) Kind() Kind { return KindFarewell }

var requestKind = &description[string, Request, *Request]{
	facts: facts{
		label:  "request of a host",
		parts:  []part{partHost},
		writer: "the host's agent, under a lease", reader: "controllers, the host's agent",
		hostReads: ownObjects, hostWrites: ownObjects,
	},
	table: func(s *State) *table[string, Request] { return &s.requests },
	id:    func(k Key) string { return k.Host },
}

var wordKind = &description[string, Word, *Word]{facts: facts{
	label:  "word to a host",
	parts:  []part{partHost},
	writer: "the API; the host's agent deletes it", reader: "the host's agent",
	hostReads: ownObjects, hostWrites: ownObjects,
}}

var farewellKind = &description[string, Farewell, *Farewell]{facts: facts{
	label:  "farewell to a host",
	parts:  []part{partHost},
	writer: "the API; the host's agent deletes it, or the leader after 30 days", reader: "the host's agent, the leader",
	hostReads: ownObjects, hostWrites: ownObjects,
}}

// farewellTime is how long a farewell waits for a machine to come back. The agent of one that comes
// later asks what to do about its ports, as after a loss.
const farewellTime = 30 * 24 * time.Hour

// Spent reports whether a farewell has waited for long enough.
func (f *Farewell) Spent(now time.Time) bool { return !now.Before(f.At.Add(farewellTime)) }

// ProposeForget removes a farewell as it was read, while its host is not registered and has no ports:
// the leader needs it to know that these are to go.
func ProposeForget(farewell Event) Proposal {
	host := farewell.Key.Host
	p := ProposeRemoval(farewell)
	p.Presumes[0].Refusal = ErrConflict
	p.Presumes = append(p.Presumes,
		Presumption{Condition: Absent, Path: HostKey(host).String(), Refusal: ErrConflict},
		Presumption{Condition: NoneUnder, Path: Under(KindPort, host), InUse: usedByPorts})
	return p
}

// Request is what a host's agent asks for, or nil.
func (s *State) Request(host string) *Item[Request] { return s.requests.items[host] }

// Requests walks what hosts' agents ask for, sorted by host.
func (s *State) Requests() iter.Seq[*Item[Request]] { return sorted(&s.requests) }

// shownOffers is how many ports a request's text names.
const shownOffers = 5

// Asks says what a host's agent waits for and what the operator can do, a line each.
func (r *Request) Asks(host string) (lines []string) {
	if r.Held != "" {
		lines = append(lines, fmt.Sprintf("it holds, so it attaches and removes nothing: %s: bring the right store back, or run `sluice host adopt %s` if this is the one to serve from now on", r.Held, host))
	}
	var names []string
	for _, o := range r.Offered {
		name := strings.Join([]string{o.Tenant, o.Network, o.Name}, "/")
		if o.Problem != "" {
			name += " (" + o.Problem + ")"
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		lines = append(lines, fmt.Sprintf("it has %s that this store lacks: %s: `sluice host adopt %s` takes them back, `sluice host clean %s` removes them",
			many(len(names), "port"), someOf(names), host, host))
	}
	if len(r.Strays) > 0 {
		lines = append(lines, fmt.Sprintf("it has %s of no port, too many to be removed without a word: %s: `sluice host clean %s` removes them",
			many(len(r.Strays), "interface"), someOf(r.Strays), host))
	}
	return lines
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func someOf(names []string) string {
	if len(names) <= shownOffers {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shownOffers], ", "), len(names)-shownOffers)
}

// NeededToAnswer are the paths that ProposeWord looks at.
func NeededToAnswer(host string) []string {
	return []string{RequestKey(host).String(), HostKey(host).String()}
}

// ProposeWord answers what a host's agent asks for. A host that is registered and asks for
// nothing needs no word: nothing is proposed.
func ProposeWord(s *State, host, word string) (Proposal, error) {
	request := s.Request(host)
	switch {
	case request == nil && s.Host(host) == nil:
		return Proposal{}, fmt.Errorf("%w: no such host, nor does an agent of that name wait for a word: see sluice host list", ErrNotFound)
	case request == nil:
		return Proposal{}, nil
	case word == WordClean && request.Value.Held != "":
		return Proposal{}, fmt.Errorf("%w: it holds, so it removes nothing: run `sluice host adopt %s` first", ErrConflict, host)
	case word == WordAdopt && request.Value.Held == "" && len(request.Value.Offered) == 0:
		return Proposal{}, fmt.Errorf("%w: it has no port to take back, only interfaces of no port: `sluice host clean %s` removes them", ErrConflict, host)
	}
	answer := &Word{Word: word, Request: request.Value.ID}
	return Proposal{
		Writes:   []Event{{Key: WordKey(host), Object: answer}},
		Presumes: []Presumption{{Condition: Unchanged, Path: request.Key.String(), Revision: request.Modified}},
	}, nil
}
