package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/stats"

	"sluice/store"
)

const (
	// judgeInterval is how often the store is judged while nothing points to a change: as often
	// as its chain gets a stamp.
	judgeInterval = time.Minute
	// witnessInterval is how long the client waits, after it wrote or saw something, before it writes
	// and keeps a witness of it.
	witnessInterval = time.Second
	// heldInterval is how often it is while the client holds.
	heldInterval = time.Second
)

// TrustOptions say how a client knows its store again.
type TrustOptions struct {
	File string // where its memory of the store is kept, in a directory that exists
	// Witness is a key of this client's own, by which it knows also what happened since the last stamp.
	Witness store.Key
	// Founds is for controllers: the first one gives a store its identity. A store that has neither a
	// host nor a stamp yet is not kept in File: it is seconds old, and may be a wrong address's.
	Founds bool
	// Decide is asked about a store that is not known to be right: of which nothing is remembered
	// (store.Unknown), or which is another than the one remembered. True: believe it, and remember
	// it from now on. An error is why it is not believed. unguarded reads and writes it as it is.
	Decide func(ctx context.Context, unguarded *Client, s store.Sight, j store.Judgement) (bool, error)
	// Leave is called before a store is believed that is not known to be the one that was served.
	// Where it fails the client goes on holding. nil: nothing is to be done.
	Leave func() error
	// Adopt is the operator's word at the start: believe the store that is found first, whatever
	// is remembered. It says nothing about a later one.
	Adopt bool
	// Help says what an operator can do, after the reason for which the client holds. Where that is
	// store.Newer, it is to run a newer program, and is said so.
	Help string
}

// Trust is whether a client believes what etcd holds. While it does not the client holds: all
// its requests fail with store.ErrHeld, and Watch yields nothing. While it does, each transaction
// compares the store's identity, its newest stamp that was seen and the schema that it asks for, so
// that not one is answered by, or written to, another store, or one that is for newer programs.
type Trust struct {
	TrustOptions
	unguarded *Client
	log       *slog.Logger
	links     *links
	doubts    chan struct{} // asks Run to judge now
	seen      atomic.Int64  // the highest revision that was written or seen
	witnessed atomic.Int64  // the one when the witness was written

	judging sync.Mutex // one judgement at a time; it guards memory
	memory  store.Memory

	mu      sync.Mutex
	state   TrustState
	link    int64 // the newest connection when the state was found
	proof   []guard
	changed chan struct{} // closed when the state changes
}

// TrustState is the last judgement and what it was about.
type TrustState struct {
	store.Judgement           // its Verdict is empty before the first
	Believed        bool      // false: the client holds, or has not judged yet
	Help            string    // what an operator can do where it holds
	Since           time.Time // when the store was found right, and has been since; zero: it is not known to be right
	Memory          store.Memory
	Sight           store.Sight
}

// Held reports whether the store was judged and is not believed.
func (s TrustState) Held() bool { return s.Verdict != "" && !s.Believed }

// Trust makes the client judge which store it talks to. It is called once, before any request
// that is to be judged; Run keeps judging.
func (c *Client) Trust(o TrustOptions) (*Trust, error) {
	memory, err := readMemory(o.File)
	if err != nil {
		return nil, err
	}
	t := &Trust{
		TrustOptions: o, log: c.log, links: c.links, memory: memory,
		unguarded: &Client{etcd: c.etcd, log: c.log, endpoints: c.endpoints, compare: c.compare, settle: c.settle,
			links: c.links, problems: map[string]store.Problem{}},
		doubts: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	t.state.Memory = memory
	c.trust = t
	return t, nil
}

// Trusted is since when the store is known to be the right one, and whether it is. Whoever
// removes something because it is absent asks. A client without Trust believes everything.
func (c *Client) Trusted() (since time.Time, right bool) {
	if c.trust == nil {
		return time.Time{}, true
	}
	s := c.trust.State()
	return s.Since, !s.Since.IsZero()
}

// asItIs is a client that reads and writes whatever store etcd holds.
func (c *Client) asItIs() *Client {
	if c.trust == nil {
		return c
	}
	return c.trust.unguarded
}

// State is the last judgement.
func (t *Trust) State() TrustState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Changed is closed when State is about to say something else.
func (t *Trust) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// Run judges the store when a connection to etcd is new, when an answer casts doubt on it, and
// now and then, until ctx ends.
func (t *Trust) Run(ctx context.Context) error {
	tick := time.NewTicker(witnessInterval)
	defer tick.Stop()
	for due := time.Now(); ctx.Err() == nil; {
		if !time.Now().Before(due) {
			due = time.Now().Add(judgeInterval)
			if err := t.Judge(ctx); err != nil || !t.State().Believed {
				due = time.Now().Add(heldInterval) // an etcd that is away is said by those who need it
			}
		}
		select {
		case <-ctx.Done():
		case <-t.doubts:
			due = time.Now()
		case <-t.links.news:
			due = time.Now()
		case <-tick.C:
			t.keepWitness(ctx)
		}
	}
	return nil
}

// saw notes that something was written, or seen, at a revision of the store that is believed.
func (t *Trust) saw(at store.Revision) {
	if t == nil {
		return
	}
	for {
		high := t.seen.Load()
		if high >= int64(at) || t.seen.CompareAndSwap(high, int64(at)) {
			return
		}
	}
}

// keepWitness writes the witness of what happened since the last one, if anything did, and keeps
// it in the memory. What fails is tried again.
func (t *Trust) keepWitness(ctx context.Context) {
	seen := t.seen.Load()
	state := t.State()
	if seen <= t.witnessed.Load() || state.Since.IsZero() || t.Witness == (store.Key{}) {
		return
	}
	if t.unkept(state.Sight) { // it may have a stamp by now
		if err := t.Judge(ctx); err != nil || t.unkept(t.State().Sight) {
			return
		}
	}
	t.mu.Lock()
	proof := t.proof
	t.mu.Unlock()
	at, err := t.unguarded.putWitness(ctx, t.Witness, store.Revision(seen), proof)
	if err != nil {
		t.Doubt()
		return
	}
	t.judging.Lock()
	defer t.judging.Unlock()
	if t.memory.Store != state.Memory.Store || t.State().Since != state.Since {
		return // the store was left meanwhile
	}
	t.witnessed.Store(max(seen, int64(at)))
	t.memory.Witness, t.memory.WitnessAt = at, t.Witness.String()
	t.memory.Revision = max(t.memory.Revision, at)
	t.write()
}

// unkept reports whether a store is not worth to be kept in the file.
func (t *Trust) unkept(s store.Sight) bool {
	return t.Founds && s.Hosts == 0 && s.Chain.Newest.Number == 0
}

// write keeps the memory in the file.
func (t *Trust) write() {
	if err := writeMemory(t.File, t.memory); err != nil {
		t.log.Error("cannot keep which store is served: after a restart it would not be known again", "err", err)
	}
}

// Doubt has Run judge the store now.
func (t *Trust) Doubt() {
	select {
	case t.doubts <- struct{}{}:
	default:
	}
}

// Judge looks at the store and decides whether to believe it. It fails where etcd does not
// answer; the last judgement stands then.
func (t *Trust) Judge(ctx context.Context) error {
	t.judging.Lock()
	defer t.judging.Unlock()
	link := t.links.count.Load()
	s, err := t.unguarded.sight(ctx, t.memory)
	if err != nil {
		return err
	}
	j := t.memory.Judge(s)
	believed := j.Verdict == store.Right
	if !believed && j.Verdict != store.Newer { // nobody asks for, or hears, a word in a store that may not be written
		if s, believed, err = t.decide(ctx, s, &j); err != nil {
			return err
		}
	}
	var proof []guard
	if believed {
		if proof, err = t.unguarded.proofOf(ctx, s); err != nil {
			return err
		}
		t.remember(s)
	}
	t.note(TrustState{Judgement: j, Believed: believed, Memory: t.memory, Sight: s}, link, proof)
	return nil
}

// decide asks about a store that is not known to be right. One that is believed has its
// identity afterwards, if this client is to give it one.
func (t *Trust) decide(ctx context.Context, s store.Sight, j *store.Judgement) (store.Sight, bool, error) {
	believed, err := t.Adopt && t.State().Verdict == "", error(nil)
	if !believed {
		believed, err = t.Decide(ctx, t.unguarded, s, *j)
	}
	switch {
	case errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil:
		return s, false, err
	case err != nil:
		j.Why = err.Error()
		return s, false, nil
	case !believed:
		return s, false, nil
	}
	if t.Leave != nil {
		if err := t.Leave(); err != nil {
			j.Why += ": it is to be adopted, and: " + err.Error()
			return s, false, nil
		}
	}
	if j.Held() {
		t.log.Warn("adopted a store that is not the one that was served", "left", t.memory.Store, "store", s.Store, "why", j.Why)
		t.memory = store.Memory{}
		t.seen.Store(0)
		t.witnessed.Store(0)
	}
	if s.Store == "" && t.Founds {
		if err := t.unguarded.found(ctx, s); err != nil {
			return s, false, err
		}
		if s, err = t.unguarded.sight(ctx, t.memory); err != nil {
			return s, false, err
		}
	}
	*j = store.Judgement{Verdict: store.Right}
	if s.Store == "" {
		*j = store.Judgement{Verdict: store.Unknown, Why: "etcd holds no identity of a store yet: no controller of this version has started with it"}
	}
	return s, true, nil
}

// remember keeps what was seen of a store that is believed.
func (t *Trust) remember(s store.Sight) {
	before := t.memory
	t.memory = before.After(s)
	if t.memory != before && !t.unkept(s) {
		t.write()
	}
}

// note keeps a judgement, and says once when the client begins to hold, and when it ends.
func (t *Trust) note(s TrustState, link int64, proof []guard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.state
	s.Help = t.help(s.Verdict)
	if s.Believed && s.Verdict == store.Right {
		if s.Since = was.Since; s.Since.IsZero() {
			s.Since = time.Now()
		}
	}
	switch {
	case !s.Believed && (was.Believed || was.Why != s.Why):
		t.log.Error("holding: nothing is read from this etcd, written to it or removed because of it", "why", s.Why, "help", s.Help)
	case s.Believed && !was.Believed && was.Why != "":
		t.log.Info("this is the right store: going on", "store", s.Memory.Store)
	}
	if s.Held() && !was.Held() {
		t.Doubt() // from now on Run looks each heldInterval, whoever found it out
	}
	t.state, t.link, t.proof = s, link, proof
	close(t.changed)
	t.changed = make(chan struct{})
}

// helpNewer is what an operator can do where a program is older than its store asks for.
const helpNewer = "run a newer version here; to go back to this one, `sluice schema set` on a newer controller lets it write again"

// help is what an operator can do about a verdict.
func (t *Trust) help(v store.Verdict) string {
	if v == store.Newer {
		return helpNewer
	}
	return t.Help
}

// held is the error of all requests while the client holds.
func (t *Trust) held() error {
	return fmt.Errorf("%w: %s: %s", store.ErrHeld, t.State().Why, t.State().Help)
}

// proven are the conditions that every transaction has while the store is believed.
func (t *Trust) proven(ctx context.Context) ([]guard, error) {
	if t == nil {
		return nil, nil
	}
	for first := true; ; first = false {
		t.mu.Lock()
		proof, believed, judged := t.proof, t.state.Believed, t.state.Verdict != ""
		t.mu.Unlock()
		if believed {
			return proof, nil
		}
		if judged || !first {
			return nil, t.held()
		}
		if err := t.Judge(ctx); err != nil {
			return nil, err
		}
	}
}

// settled returns once the store is believed that the newest connection leads to, and the
// number of that connection. What came over it is as good until changedSince says otherwise.
func (t *Trust) settled(ctx context.Context) (link int64, err error) {
	if t == nil {
		return 0, nil
	}
	for {
		changed := t.Changed()
		t.mu.Lock()
		link, believed, judged := t.link, t.state.Believed, t.state.Verdict != ""
		t.mu.Unlock()
		switch fresh := judged && link == t.links.count.Load(); {
		case believed && fresh:
			return link, nil
		case !fresh:
			if err := t.Judge(ctx); err != nil {
				return 0, err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, fmt.Errorf("%w (%w)", t.held(), ctx.Err())
		}
	}
}

// changedSince reports whether a connection was made since settled told its number, so that what
// arrives may come from elsewhere, or the store is not believed any more.
func (t *Trust) changedSince(link int64) bool {
	return t != nil && (t.links.count.Load() != link || t.State().Held())
}

// links counts the connections to etcd that were made. Another store can only be behind a new
// one.
type links struct {
	count atomic.Int64
	news  chan struct{}
}

func newLinks() *links { return &links{news: make(chan struct{}, 1)} }

// HandleConn implements stats.Handler.
func (l *links) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); !begins {
		return
	}
	l.count.Add(1)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// TagConn implements stats.Handler.
func (l *links) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// TagRPC implements stats.Handler.
func (l *links) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (l *links) HandleRPC(context.Context, stats.RPCStats) {}
