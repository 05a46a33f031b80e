package store

import (
	"fmt"
	"iter"
	"time"
)

// KindDrain is {host}.
const KindDrain Kind = "drains"

// DrainKey is the key that tells that a gateway host is to have no tenants.
func DrainKey(host string) Key { return Key{Kind: KindDrain, Host: host} }

// Drain says that a gateway host is to have no tenants: the leader moves those that it has, and sends it no others.
type Drain struct {
	Since   time.Time `json:"since"`
	AtOnce  int       `json:"atOnce"`  // how many gateways move at one time
	Timeout int       `json:"timeout"` // seconds that connections may go on through the host
}

// Kind is KindDrain.
func (*Drain) Kind() Kind { return KindDrain }

var drainKind = &description[string, Drain, *Drain]{
	facts: facts{
		label:  "drain of a gateway host",
		parts:  []part{partHost},
		writer: "API", reader: "the leader of the controllers",
		refers: []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, Drain] { return &s.drains },
	id:    func(k Key) string { return k.Host },
}

// Drain is the drain of a host, or nil while it takes tenants.
func (s *State) Drain(host string) *Item[Drain] { return s.drains.items[host] }

// Drains walks all drains, sorted by host.
func (s *State) Drains() iter.Seq[*Item[Drain]] { return sorted(&s.drains) }

// Bounds and defaults of drains and moves.
const (
	// DefaultAtOnce is how many gateways move at one time where nobody says otherwise.
	DefaultAtOnce = 8
	// MaxAtOnce bounds what may be asked for: each move programs the gateway hosts and all senders of its tenant.
	MaxAtOnce = 100
	// DefaultDrainTimeout is how long connections may go on through the host before.
	DefaultDrainTimeout = time.Hour
	// MaxDrainTimeout bounds what may be asked for.
	MaxDrainTimeout = 7 * 24 * time.Hour
)

// checkTimeout refuses a time-out that is none. It is in seconds.
func checkTimeout(seconds int) error {
	if seconds < 0 || seconds > int(MaxDrainTimeout/time.Second) {
		return fmt.Errorf("%w: a time-out of %d s: give 0 s to %s", ErrInvalid, seconds, MaxDrainTimeout)
	}
	return nil
}

// DrainSpec asks that a gateway host gets rid of its tenants.
type DrainSpec struct {
	Host    string
	AtOnce  int // 0: DefaultAtOnce
	Timeout int // seconds
	Now     time.Time
}

// Needs are the paths that Propose looks at.
func (s DrainSpec) Needs() []string {
	return []string{Under(KindHost), Under(KindLiveHost), Under(KindDrain), Under(KindTenant), Under(KindGateway)}
}

// Validate refuses what no state would allow.
func (s DrainSpec) Validate() error {
	if err := ValidateName(s.Host); err != nil {
		return fmt.Errorf("host: %w: %w", ErrInvalid, err)
	}
	if s.AtOnce < 0 || s.AtOnce > MaxAtOnce {
		return fmt.Errorf("host %s: %w: %d moves at once: give 1 to %d", s.Host, ErrInvalid, s.AtOnce, MaxAtOnce)
	}
	if err := checkTimeout(s.Timeout); err != nil {
		return fmt.Errorf("host %s: %w", s.Host, err)
	}
	return nil
}

// Propose writes the drain. It is refused where the host's tenants have nowhere to go. A host that is drained
// already gets the new numbers.
func (s DrainSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	host := state.Host(s.Host)
	if host == nil {
		return Proposal{}, noSuchHost(s.Host)
	}
	if !host.Value.Gateway && state.ActiveVia(s.Host) == 0 {
		return Proposal{}, fmt.Errorf("host %s: %w: it is no gateway host, and no tenant leaves by it: there is nothing to drain", s.Host, ErrInvalid)
	}
	if n := state.ActiveVia(s.Host); n > 0 && !state.otherGatewayThan(s.Host) {
		return Proposal{}, fmt.Errorf("host %s: %w: %d tenants leave by it, and no other gateway host is ready: start an agent with --gateway on another, or undrain one",
			s.Host, ErrInUse, n)
	}
	drain := &Drain{Since: s.Now.UTC().Truncate(time.Second), AtOnce: s.AtOnce, Timeout: s.Timeout}
	if drain.AtOnce == 0 {
		drain.AtOnce = DefaultAtOnce
	}
	presumed := Presumption{Condition: Absent, Path: DrainKey(s.Host).String()}
	if before := state.Drain(s.Host); before != nil {
		drain.Since = before.Value.Since
		presumed = Presumption{Condition: Unchanged, Path: before.Key.String(), Revision: before.Modified}
	}
	return Proposal{
		Writes: []Event{{Key: DrainKey(s.Host), Object: drain}},
		Presumes: []Presumption{presumed,
			{Condition: CreatedAt, Path: HostKey(s.Host).String(), Revision: host.Created}},
	}, nil
}

// otherGatewayThan reports whether any other host could take tenants now.
func (s *State) otherGatewayThan(host string) bool {
	for h := range s.Hosts() {
		if h.Key.Host != host && s.WhyNoGateway(h.Key.Host) == nil {
			return true
		}
	}
	return false
}

// ProposeUndrain lets a host take tenants again. The state has its drain and its host.
func ProposeUndrain(s *State, host string) (Proposal, error) {
	drain := s.Drain(host)
	if drain == nil {
		if s.Host(host) == nil {
			return Proposal{}, noSuchHost(host)
		}
		return Proposal{}, fmt.Errorf("host %s: %w: it is not drained", host, ErrNotFound)
	}
	return ProposeRemoval(Event{Key: drain.Key, Object: drain.Value, Created: drain.Created, Modified: drain.Modified}), nil
}
