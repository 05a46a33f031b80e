// Package dump keeps what each switch held when it was last read whole, for people who ask for a switch that cannot be
// read any more.
//
// It is beside the loop: sessions record what they read anyway, for the proof or for somebody who asked. Nothing is
// programmed or proved from it.
//
// It must never pass an old reading off as a new one, and never hold more memory than it is given: the oldest readings go.
package dump

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
	"time"

	"sluice/controller/cluster"
	"sluice/datapath/openflow"
	"sluice/store"
)

// most bounds the bytes of all dumps of one controller, which are compressed: a flow takes about 20.
const most = 256 << 20

// Shelf is the last dump of each host. It is safe for concurrent use.
type Shelf struct {
	most int

	mu    sync.Mutex
	dumps map[string]kept
	size  int
}

type kept struct {
	packed []byte
	at     time.Time
}

// New makes an empty shelf.
func New() *Shelf { return &Shelf{most: most, dumps: map[string]kept{}} }

// Observe forgets hosts that are deleted: another machine may get the name.
func (s *Shelf) Observe(u cluster.Update) {
	for _, e := range u.Batch.Events {
		if e.Key.Kind == store.KindHost && e.Object == nil {
			s.put(e.Key.Host, kept{})
		}
	}
}

// put replaces a host's dump; an empty one is none.
func (s *Shelf) put(host string, k kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(host)
	if len(k.packed) == 0 || len(k.packed) > s.most {
		return
	}
	s.dumps[host], s.size = k, s.size+len(k.packed)
	for s.size > s.most {
		s.drop(s.oldest())
	}
}

func (s *Shelf) drop(host string) {
	s.size -= len(s.dumps[host].packed)
	delete(s.dumps, host)
}

func (s *Shelf) oldest() (host string) {
	for name, k := range s.dumps {
		if host == "" || k.at.Before(s.dumps[host].at) {
			host = name
		}
	}
	return host
}

// Last is what a host's switch held when it was last read whole, and when that was; the zero time: it is not kept.
func (s *Shelf) Last(host string) ([]openflow.FlowStats, time.Time, error) {
	s.mu.Lock()
	k := s.dumps[host]
	s.mu.Unlock()
	if k.at.IsZero() {
		return nil, time.Time{}, nil
	}
	list, err := unpack(k.packed)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("dump of host %s: %w", host, err)
	}
	return list, k.at, nil
}

// Recorder takes one reading of a switch.
type Recorder struct {
	shelf  *Shelf
	host   string
	packed bytes.Buffer
	into   *flate.Writer
	buffer []byte
	err    error
}

// Record begins a reading of a host's switch. It is kept once Keep says that it is whole.
func (s *Shelf) Record(host string) *Recorder {
	r := &Recorder{shelf: s, host: host}
	r.into, r.err = flate.NewWriter(&r.packed, flate.BestSpeed)
	return r
}

// chunk is how much is compressed at once.
const chunk = 32 << 10

// Add takes one flow.
func (r *Recorder) Add(f *openflow.FlowStats) {
	if r.buffer = openflow.AppendFlowStats(r.buffer, f); len(r.buffer) >= chunk {
		r.flush()
	}
}

func (r *Recorder) flush() {
	if r.err == nil {
		_, r.err = r.into.Write(r.buffer)
	}
	r.buffer = r.buffer[:0]
}

// Keep says that the reading is whole, as of a time.
func (r *Recorder) Keep(at time.Time) error {
	r.flush()
	if r.err == nil {
		r.err = r.into.Close()
	}
	if r.err != nil {
		return fmt.Errorf("keep the dump of host %s: %w", r.host, r.err)
	}
	r.shelf.put(r.host, kept{bytes.Clone(r.packed.Bytes()), at})
	return nil
}

// unpack reads flows as Add wrote them, some at a time in a message as a switch would send it.
func unpack(packed []byte) (list []openflow.FlowStats, err error) {
	all, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	for len(all) > 0 {
		n := 0
		for n < len(all) && n < chunk {
			n += max(int(all[n])<<8|int(all[n+1]), 2) // each begins with its length
		}
		message := openflow.EndMessage(append(openflow.AppendFlowStatsReply(nil, 0, false), all[:n]...), 0)
		_, err := openflow.DecodeFlowStats(message, func(f *openflow.FlowStats) bool {
			list = append(list, *f)
			return true
		})
		if err != nil {
			return nil, err
		}
		all = all[n:]
	}
	return list, nil
}
