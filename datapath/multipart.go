package datapath

import (
	"context"
	"fmt"
	"math"

	"sluice/datapath/openflow"
)

// requestsAhead is how many multipart requests of one call are under way at once.
const requestsAhead = 64

// Port is a port of the switch.
type Port = openflow.Port

// Ports reads all ports, the local one too (OpenFlow 1.3, A.3.5.7).
func (s *Switch) Ports(ctx context.Context) ([]Port, error) {
	var ports []Port
	request := func(b []byte, xid uint32, _ int) []byte { return openflow.AppendPortDescRequest(b, xid) }
	_, err := s.multipart(ctx, 1, request, func(message []byte) (more, stop bool, err error) {
		part, more, err := openflow.DecodePortDesc(message)
		ports = append(ports, part...)
		return more, false, err
	})
	if err != nil {
		return nil, fmt.Errorf("switch %016x: read ports: %w", s.id, err)
	}
	return ports, nil
}

// Flows reads the flows that carry exactly one of these cookies, or with nil every flow,
// and yields them as they come, until yield returns false. Who yields slowly slows the whole
// session down, and is cut off with an error after Options.Timeout without progress. Cookie
// 0 is that of Open vSwitch's own flows, in table 254, too.
func (s *Switch) Flows(ctx context.Context, cookies []uint64, yield func(*openflow.FlowStats) bool) error {
	return s.flows(ctx, cookies, decoding(yield))
}

// WireFlows reads flows as Flows does, and yields them undecoded: each only until yield
// returns.
func (s *Switch) WireFlows(ctx context.Context, cookies []uint64, yield func(*openflow.WireFlow) bool) error {
	return s.flows(ctx, cookies, undecoded(yield))
}

// Dump is every flow of a switch, asked for and not yet read.
type Dump struct{ x *exchange }

// AskFlows asks for every flow. The switch gathers them while the caller does something
// else, but not for as long as Options.Timeout; then Each reads them. Close must follow.
func (s *Switch) AskFlows(ctx context.Context) (*Dump, error) {
	x, err := s.begin(1)
	if err != nil {
		return nil, err
	}
	err = x.send(ctx, 0, func(b []byte, xid uint32) []byte {
		return openflow.AppendFlowStatsRequest(b, xid, openflow.FlowQuery{Table: openflow.TableAll})
	})
	if err != nil {
		x.end()
		return nil, fmt.Errorf("switch %016x: ask for flows: %w", s.id, err)
	}
	return &Dump{x}, nil
}

// Each yields the flows undecoded, each only until yield returns, until yield returns false.
func (d *Dump) Each(ctx context.Context, yield func(*openflow.WireFlow) bool) error {
	if _, err := d.x.collect(ctx, 1, nil, undecoded(yield)); err != nil {
		return fmt.Errorf("switch %016x: read flows: %w", d.x.s.id, err)
	}
	return nil
}

// Close forgets the dump, where there is one: what still comes of it is discarded.
func (d *Dump) Close() {
	if d != nil {
		d.x.end()
	}
}

func undecoded(yield func(*openflow.WireFlow) bool) decodePart {
	return func(message []byte) (more, stop bool, err error) {
		more, err = openflow.DecodeWireFlows(message, func(w *openflow.WireFlow) bool {
			stop = !yield(w)
			return !stop
		})
		return more, stop, err
	}
}

// decodePart reads a part of a flow statistics reply. It says whether more parts follow, and
// whether nobody wants to know.
type decodePart func(message []byte) (more, stop bool, err error)

func decoding(yield func(*openflow.FlowStats) bool) decodePart {
	return func(message []byte) (more, stop bool, err error) {
		more, err = openflow.DecodeFlowStats(message, func(f *openflow.FlowStats) bool {
			stop = !yield(f)
			return !stop
		})
		return more, stop, err
	}
}

func (s *Switch) flows(ctx context.Context, cookies []uint64, decode decodePart) error {
	queries := len(cookies)
	query := func(at int) openflow.FlowQuery {
		return openflow.FlowQuery{Table: openflow.TableAll, Cookie: cookies[at], CookieMask: math.MaxUint64}
	}
	if cookies == nil {
		queries = 1
		query = func(int) openflow.FlowQuery { return openflow.FlowQuery{Table: openflow.TableAll} }
	}
	at, err := s.dump(ctx, queries, query, decode)
	if err != nil {
		return fmt.Errorf("switch %016x: read flows%s: %w", s.id, cookieText(cookies, at), err)
	}
	return nil
}

func cookieText(cookies []uint64, at int) string {
	if at >= len(cookies) {
		return ""
	}
	return fmt.Sprintf(" of cookie %#x", cookies[at])
}

// TableFlows reads the flows of one table, as Flows does.
func (s *Switch) TableFlows(ctx context.Context, table uint8, yield func(*openflow.FlowStats) bool) error {
	query := func(int) openflow.FlowQuery { return openflow.FlowQuery{Table: table} }
	if _, err := s.dump(ctx, 1, query, decoding(yield)); err != nil {
		return fmt.Errorf("switch %016x: read the flows of table %d: %w", s.id, table, err)
	}
	return nil
}

func (s *Switch) dump(ctx context.Context, queries int, query func(at int) openflow.FlowQuery, decode decodePart) (at int, err error) {
	request := func(b []byte, xid uint32, at int) []byte {
		return openflow.AppendFlowStatsRequest(b, xid, query(at))
	}
	return s.multipart(ctx, queries, request, decode)
}

// multipart sends count requests, some ahead of the replies, and gives each part of a reply
// to part until the last one or until it says stop. A reply that cannot be read ends the
// session. at is the request that an error is about; count when it is about none.
func (s *Switch) multipart(ctx context.Context, count int, request func(b []byte, xid uint32, at int) []byte,
	part decodePart,
) (at int, err error) {
	if count == 0 {
		return 0, nil
	}
	x, err := s.begin(count)
	if err != nil {
		return count, err
	}
	defer x.end()
	return x.collect(ctx, 0, request, part)
}

// collect reads the replies to the requests of which that many are sent already. A reply that
// part was given is overwritten by a later one.
func (x *exchange) collect(ctx context.Context, sent int, request func(b []byte, xid uint32, at int) []byte, part decodePart) (at int, err error) {
	count := int(x.count)
	finished := make([]bool, count)
	for done := 0; done < count; {
		if sent, err = x.sendAhead(ctx, sent, done, request); err != nil {
			return count, err
		}
		r, ok, err := x.next(ctx)
		if err != nil {
			return count, err
		}
		if !ok {
			if at, err := x.firstErr(0, count); err != nil {
				return at, err
			}
			continue
		}
		more, stop, err := part(r.message)
		x.release(r.message)
		if err == nil && finished[r.at] {
			err = fmt.Errorf("%w: a multipart reply goes on after its last part", openflow.ErrMalformed)
		}
		switch {
		case err != nil:
			x.s.Close(err)
			return int(r.at), err
		case stop:
			return count, nil
		case !more:
			finished[r.at] = true
			done++
		}
	}
	return count, nil
}

// sendAhead sends further requests. It waits for a full queue only where no reply is
// outstanding: else a switch that reads no more until its replies are taken would wait for
// us, and we for it.
func (x *exchange) sendAhead(ctx context.Context, sent, done int, request func(b []byte, xid uint32, at int) []byte) (int, error) {
	for sent < int(x.count) && sent-done < requestsAhead {
		encode := func(b []byte) []byte { return request(b, x.xid(sent), sent) }
		if sent > done {
			if !x.s.out.tryPut(encode) {
				return sent, nil
			}
		} else if err := x.s.out.put(ctx, encode); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}
