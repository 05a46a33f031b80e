package client

import (
	"context"
	"strconv"
	"time"

	"sluice/flows/trace/told"
	"sluice/store"
)

// Trace is what became of a packet, and over which tables.
type Trace struct {
	View string         `json:"view"`
	At   store.Revision `json:"at,omitempty"` // the revision over whose flows it goes; 0: now
	told.Answer
	Tables []TracedTables `json:"tables"` // of the hosts that packets entered
}

// TracedTables are one host's.
type TracedTables struct {
	Host    string    `json:"host"`
	Read    time.Time `json:"read"` // from its switch, or compiled
	Flows   int       `json:"flows"`
	Problem string    `json:"problem,omitempty"` // why they are not known, or not wholly right
}

// TraceQuery asks what becomes of a packet. From and To must be said.
type TraceQuery struct {
	From    string         `query:"from" required:"true" doc:"TENANT/NETWORK/PORT or TENANT/PORT; outside, or an address there" example:"alice/default/web-1"`
	To      string         `query:"to" required:"true" doc:"an address, or a port" example:"10.0.0.7"`
	Proto   string         `query:"proto" doc:"tcp, udp, icmp, arp (for IPv6: neighbour discovery), or a protocol's number" default:"icmp"`
	SrcPort uint16         `query:"sport" maximum:"65535" doc:"of tcp or udp; 0: 40000"`
	DstPort uint16         `query:"dport" maximum:"65535" doc:"of tcp or udp; 0: 80"`
	TTL     uint8          `query:"ttl" maximum:"255" doc:"0: 64"`
	State   string         `query:"state" enum:"new,established,reply,related,invalid" default:"new" doc:"what it is to its connection"`
	View    string         `query:"view" enum:"installed,desired" default:"installed" doc:"over the flows that the switches hold now, or those that they should"`
	At      store.Revision `query:"at" minimum:"0" doc:"over the flows that were desired at this revision, as far as etcd's history goes; 0: now" example:"4711"`
}

// Trace follows a packet through the switches.
func (c *Client) Trace(ctx context.Context, q TraceQuery) (Trace, error) {
	return get[Trace](ctx, c, "/v1/trace", query("from", q.From, "to", q.To, "proto", q.Proto, "sport", number(uint64(q.SrcPort)),
		"dport", number(uint64(q.DstPort)), "ttl", number(uint64(q.TTL)), "state", q.State, "view", q.View, "at", number(uint64(q.At))))
}

// number is a number's text; 0 has none.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
