// Package metrics holds the names, help texts and labels of everything that Sluice
// exports to Prometheus, and nothing else: it is a leaf that any part may use.
//
// It must never compute: sums that have to survive restarts live with who counts them
// (the controller) and are collected from there at each scrape.
package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Description is one metric as users read it; docs/metrics.md is made of these.
type Description struct {
	Name, Type, Help string
	Labels           []string
}

// The metrics, in the order in which docs show them.
var (
	tenantBytes = Description{"sluice_tenant_bytes_total", "counter",
		"Bytes that passed the accounting tables of all hosts, Ethernet header included. Only the leader has it.",
		[]string{"tenant", "direction", "scope"}}
	tenantPackets = Description{"sluice_tenant_packets_total", "counter",
		"Packets that passed the accounting tables: out where a port sent them, in where a port got them. Only the leader has it.",
		[]string{"tenant", "direction", "scope"}}
	tenantGatewayBytes = Description{"sluice_tenant_gateway_bytes_total", "counter",
		"Bytes that left by a gateway host's kernel, or came from it for the tenant's containers, Ethernet header included: egress and published. There is a series of each host that the tenant ever left by. Only the leader has it.",
		[]string{"tenant", "host", "direction"}}
	tenantGatewayPackets = Description{"sluice_tenant_gateway_packets_total", "counter",
		"Packets of sluice_tenant_gateway_bytes_total. Only the leader has it.",
		[]string{"tenant", "host", "direction"}}
	tenantDrops = Description{"sluice_tenant_drops_total", "counter",
		"Packets refused, by reason. The tenant is empty where none could be told. Only the leader has it.",
		[]string{"tenant", "reason"}}
	tenantConnections = Description{"sluice_tenant_connections", "gauge",
		"Connections through gateway hosts that live now: in their switches, where each tenant has its limit, and in their kernels, where they live longer. Read every 15 s. Only the leader of the controllers has it.",
		[]string{"tenant", "where"}}
	tenantKernelDrops = Description{"sluice_tenant_kernel_drops_total", "counter",
		"Packets that would have opened a connection, and that a gateway host's kernel dropped by the tenant's limit. What the switches refused is in sluice_tenant_drops_total. Only the leader has it.",
		[]string{"tenant"}}
	tenantAttachesRefused = Description{"sluice_tenant_attaches_refused_total", "counter",
		"Attaches that were refused by a limit: ports, the tenant has as many as it may; new-ports, it made them too fast. Only the leader has it.",
		[]string{"tenant", "limit"}}
	tenantQuestionsRefused = Description{"sluice_tenant_questions_refused_total", "counter",
		"Questions for names that the resolvers of hosts refused or dropped since the tenant asked faster than it may. Only the leader has it.",
		[]string{"tenant"}}
	tenantRequests = Description{"sluice_tenant_http_requests_total", "counter",
		"HTTP requests that the entries of hosts answered for what the tenant publishes by host names, by class of status; 1xx: they opened a WebSocket. Only the leader has it.",
		[]string{"tenant", "code"}}
	leads = Description{"sluice_leader", "gauge",
		"1 on the leader of the controllers, else 0. Without one no gateway moves, and sums of tenants are not shown.",
		nil}
	summed = Description{"sluice_tenant_sums_read", "gauge",
		"1 where the leader read the sums of tenants from etcd for this answer; 0: it could not, and left out their bytes, packets and drops. Only the leader has it.",
		nil}
	flowCount = Description{"sluice_flows", "gauge",
		"Flows that this controller keeps on a host's switch.",
		[]string{"host", "table"}}
	hosts = Description{"sluice_hosts", "gauge",
		"Registered hosts that this controller programs, or none does, by state: realized, behind, unreachable, missing, refused, last-known (programmed by what was known when etcd went away) or down.",
		[]string{"state"}}
	realize = Description{"sluice_realize_seconds", "histogram",
		"Time from reading a revision to the barrier reply of the last switch that it touched.",
		nil}
	flowMods = Description{"sluice_flow_mods_total", "counter",
		"Flow mods that switches confirmed.",
		[]string{"command"}}
	refused = Description{"sluice_flow_mods_refused_total", "counter",
		"Flow mods that a switch refused; each is a problem in sluice status.",
		[]string{"host"}}
	drift = Description{"sluice_audit_drift_total", "counter",
		"Flows that an audit found missing, extra or changed on a switch, and mended.",
		[]string{"host", "kind"}}
	audits = Description{"sluice_audits_total", "counter",
		"Audits of switches: counted, nobody else changed its flows and their number is right; quick, its flows were read and are right; differs, they are not, and each was compared; whole, each was compared anyway.",
		[]string{"how"}}
	proved = Description{"sluice_isolation_proved", "gauge",
		"1 while it is proved, over the flows that the host's switch holds, that tenants are kept apart; 0 where a flow breaks a rule, or nothing was proved since the switch dialled in. Alert on 0, and on the age of the proof.",
		[]string{"host"}}
	provedAt = Description{"sluice_isolation_proof_timestamp_seconds", "gauge",
		"As of when the host's proof holds, in seconds since 1970: all flows were read and proved then, or those that had changed, or an audit found the flows to be what was proved. Left out where there was none. time() less this is the age of the proof.",
		[]string{"host"}}
	provedWhole = Description{"sluice_isolation_whole_proof_timestamp_seconds", "gauge",
		"When all flows of the host's switch were last read and proved one by one, in seconds since 1970: once an audit interval, and less often where there is much to prove. Left out where they never were.",
		[]string{"host"}}
	findings = Description{"sluice_isolation_findings", "gauge",
		"Flows of the host's switch that break a rule of the proof; sluice verify shows them.",
		[]string{"host"}}
	mended = Description{"sluice_taken_values_mended_total", "counter",
		"Numbers, names, MACs and addresses under alloc/ in etcd that the leader put right: restored to the object that has them, or freed since no object has.",
		[]string{"mended"}}
	gatewayLoad = Description{"sluice_gateway_load_bytes_per_second", "gauge",
		"What the tenants of a gateway host send and get through it, on the average over minutes (sluice gateway balance says how many). Only the leader has it.",
		[]string{"host"}}
	balanced = Description{"sluice_gateway_balance_moves_total", "counter",
		"Gateways that this controller moved by itself so that gateway hosts carry alike; each is in the log with its reason.",
		nil}
	noted = Description{"sluice_events_total", "counter",
		"What this controller noted for operators, by kind: sluice events shows it. An event that happens again counts again.",
		[]string{"event"}}
	lost = Description{"sluice_events_lost_total", "counter",
		"Events that this controller could not keep: too many waited for etcd.",
		nil}
	problems = Description{"sluice_problems", "gauge",
		"Objects that could not be programmed as they stand; sluice status names them.",
		nil}
	sessions = Description{"sluice_openflow_sessions", "gauge",
		"Switches connected to this controller, by role.",
		[]string{"role"}}
	impostors = Description{"sluice_impostors_total", "counter",
		"Switches that were refused: they said that they are this host's and showed another certificate than the host's.",
		[]string{"host"}}
	held = Description{"sluice_store_held", "gauge",
		"1 while this controller holds, since etcd does not hold the store that it serves; else 0.",
		nil}
	requests = Description{"sluice_host_requests", "gauge",
		"Hosts whose agent waits for a word of the operator's; sluice status says what for.",
		nil}
	unknown = Description{"sluice_unknown_switches", "gauge",
		"Switches connected to this controller that belong to no host; sluice status names the first.",
		nil}
	crowded = Description{"sluice_strangers_dropped_total", "counter",
		"Connections to the OpenFlow port that ended to make room: too many were of no known switch, and most of them from one address.",
		nil}
	certificate = Description{"sluice_certificate_expires_timestamp_seconds", "gauge",
		"When this controller's certificate ends, in seconds since 1970; left out where it has none. It is renewed a third of its life before.",
		nil}
	revision = Description{"sluice_revision", "gauge",
		"Revision of the state: seen, the last one read; realized, what all healthy hosts hold.",
		[]string{"what"}}
)

// realizeBuckets is how many buckets the one histogram has, but for the last, which takes the rest.
const realizeBuckets = 14

// extents are how many values each label has at most; 0: as many as there are such objects.
var extents = map[string]int{
	"tenant": 0, "host": 0, "direction": 2, "scope": 4, "reason": 17, "table": 22, "state": 7,
	"where": 2, "limit": 2, "command": 3, "kind": 3, "how": 4, "mended": 2, "role": 4, "what": 2, "code": 5, "event": 21,
}

// Series says how many time series the metric has at most: "hosts x 22". A series of a tenant or a
// table is left out while it is 0.
func (d Description) Series() string {
	var factors []string
	constant := 1
	if d.Type == "histogram" {
		constant = realizeBuckets + 3 // and the last bucket, the sum and the count
	}
	for _, label := range d.Labels {
		n, known := extents[label]
		switch {
		case !known:
			factors = append(factors, "?")
		case n == 0:
			factors = append(factors, label+"s")
		default:
			constant *= n
		}
	}
	if constant > 1 || len(factors) == 0 {
		factors = append(factors, strconv.Itoa(constant))
	}
	return strings.Join(factors, " x ")
}

// Descriptions lists every metric.
func Descriptions() []Description {
	return []Description{tenantBytes, tenantPackets, tenantGatewayBytes, tenantGatewayPackets, tenantDrops, tenantConnections, tenantKernelDrops, tenantAttachesRefused, tenantQuestionsRefused, tenantRequests, leads, summed, flowCount, hosts, realize,
		flowMods, refused, drift, audits, proved, provedAt, provedWhole, findings, mended, gatewayLoad, balanced, noted, lost, problems, sessions, impostors, unknown, crowded, held, requests, certificate, revision}
}

// Set are the metrics that the controller counts as it goes.
type Set struct {
	Realize  prometheus.Histogram   // seconds
	FlowMods *prometheus.CounterVec // by command: add, modify, delete
	Refused  *prometheus.CounterVec // by host
	Drift    *prometheus.CounterVec // by host and kind: missing, extra, changed
	Audits   *prometheus.CounterVec // by how: counted, quick, differs, whole
	Mended   *prometheus.CounterVec // by what was done: restored, freed
	Crowded  prometheus.Counter
	Balanced prometheus.Counter // gateways that the leader moved by itself

	Noted *prometheus.CounterVec // events, by kind
	Lost  prometheus.Counter     // events

	Impostors *prometheus.CounterVec // by the host that they said to be
}

// New registers the Set and a collector that asks source at each scrape.
func New(reg prometheus.Registerer, source Source) (*Set, error) {
	s := &Set{
		Realize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: realize.Name, Help: realize.Help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, realizeBuckets),
		}),
		FlowMods: counterVec(flowMods),
		Refused:  counterVec(refused),
		Drift:    counterVec(drift),
		Audits:   counterVec(audits),
		Mended:   counterVec(mended),
		Crowded:  prometheus.NewCounter(prometheus.CounterOpts{Name: crowded.Name, Help: crowded.Help}),
		Balanced: prometheus.NewCounter(prometheus.CounterOpts{Name: balanced.Name, Help: balanced.Help}),

		Noted: counterVec(noted),
		Lost:  prometheus.NewCounter(prometheus.CounterOpts{Name: lost.Name, Help: lost.Help}),

		Impostors: counterVec(impostors),
	}
	for _, how := range []string{"restored", "freed"} {
		s.Mended.WithLabelValues(how)
	}
	for _, c := range []prometheus.Collector{s.Realize, s.FlowMods, s.Refused, s.Drift, s.Audits, s.Mended, s.Impostors, s.Crowded, s.Balanced, s.Noted, s.Lost, collector(source)} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// AddHost makes the series of a host at 0: of one that begins with its first event, Prometheus
// sees no increase. Those that the host has stay as they are.
func (s *Set) AddHost(host string) {
	s.Refused.WithLabelValues(host)
	s.Impostors.WithLabelValues(host)
	for _, kind := range []string{"missing", "extra", "changed"} {
		s.Drift.WithLabelValues(host, kind)
	}
}

// RemoveHost ends the series of a host.
func (s *Set) RemoveHost(host string) {
	for _, of := range []*prometheus.CounterVec{s.Refused, s.Drift, s.Impostors} {
		of.DeletePartialMatch(prometheus.Labels{"host": host})
	}
}

func counterVec(d Description) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
}

// Source hands a snapshot of what is collected at scrape time to a Snapshot's fields.
type Source func() Snapshot

// Snapshot is what the controller knows at one moment.
type Snapshot struct {
	Traffic  []Traffic
	Through  []Through
	Drops    []Drops
	Usage    []Usage
	Flows    []Flows
	Proofs   []Proof
	Gateways []GatewayLoad
	Hosts    map[string]int // by state
	Sessions map[string]int // by role
	Problems int
	Unknown  int  // switches that belong to no host
	Requests int  // hosts that wait for a word
	Held     bool // the controller holds
	Leads    bool // it is the leader
	Summed   bool // Traffic, Through and Drops were read

	Certificate time.Time // when the controller's ends; zero: it has none
	Seen        int64     // revision
	Realized    int64     // revision
}

// Traffic is one tenant's sum in one direction and scope.
type Traffic struct {
	Tenant, Direction, Scope string
	Packets, Bytes           uint64
}

// Through is one tenant's sum through one gateway host.
type Through struct {
	Tenant, Host, Direction string
	Packets, Bytes          uint64
}

// Drops is one tenant's sum for one reason.
type Drops struct {
	Tenant, Reason string
	Packets        uint64
}

// Usage is what one tenant uses of its limits.
type Usage struct {
	Tenant            string
	Connections       int    // in switches
	KernelConnections int    // in kernels
	KernelDrops       uint64 // packets
	PortsRefused      uint64 // attaches
	NewPortsRefused   uint64 // attaches
	QuestionsRefused  uint64 // for names
	// Answers are HTTP requests by the first digit of their status, from 1 on.
	Answers [5]uint64
}

// series are those that are not 0.
func (u Usage) series(send func(d Description, v float64, labels ...string)) {
	for _, s := range []struct {
		of    Description
		value float64
		more  []string
	}{
		{tenantConnections, float64(u.Connections), []string{"switch"}},
		{tenantConnections, float64(u.KernelConnections), []string{"kernel"}},
		{tenantKernelDrops, float64(u.KernelDrops), nil},
		{tenantAttachesRefused, float64(u.PortsRefused), []string{"ports"}},
		{tenantAttachesRefused, float64(u.NewPortsRefused), []string{"new-ports"}},
		{tenantQuestionsRefused, float64(u.QuestionsRefused), nil},
	} {
		if s.value != 0 {
			send(s.of, s.value, append([]string{u.Tenant}, s.more...)...)
		}
	}
	for i, n := range u.Answers {
		if n != 0 {
			send(tenantRequests, float64(n), u.Tenant, strconv.Itoa(i+1)+"xx")
		}
	}
}

// Flows is how many flows one table of a host has.
type Flows struct {
	Host, Table string
	Count       int
}

// GatewayLoad is what a gateway host carries.
type GatewayLoad struct {
	Host  string
	Bytes float64 // a second
}

// Proof is what was proved of one host.
type Proof struct {
	Host     string
	Proved   bool
	Findings int
	At       time.Time // as of when that holds; zero: nothing was proved
	Whole    time.Time // when all flows were last proved
}

type collector Source

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []Description{tenantBytes, tenantPackets, tenantGatewayBytes, tenantGatewayPackets, tenantDrops, tenantConnections, tenantKernelDrops, tenantAttachesRefused, tenantQuestionsRefused, tenantRequests, leads, summed, flowCount, proved, provedAt, provedWhole, findings, gatewayLoad, hosts, problems, sessions, unknown, held, requests, certificate, revision} {
		ch <- d.desc()
	}
}

func (d Description) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	send := func(d Description, v float64, labels ...string) {
		kind := prometheus.GaugeValue
		if d.Type == "counter" {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(d.desc(), kind, v, labels...)
	}
	s := c()
	for _, t := range s.Traffic {
		send(tenantBytes, float64(t.Bytes), t.Tenant, t.Direction, t.Scope)
		send(tenantPackets, float64(t.Packets), t.Tenant, t.Direction, t.Scope)
	}
	for _, t := range s.Through {
		send(tenantGatewayBytes, float64(t.Bytes), t.Tenant, t.Host, t.Direction)
		send(tenantGatewayPackets, float64(t.Packets), t.Tenant, t.Host, t.Direction)
	}
	for _, d := range s.Drops {
		send(tenantDrops, float64(d.Packets), d.Tenant, d.Reason)
	}
	for _, u := range s.Usage {
		u.series(send)
	}
	for _, f := range s.Flows {
		send(flowCount, float64(f.Count), f.Host, f.Table)
	}
	for _, g := range s.Gateways {
		send(gatewayLoad, g.Bytes, g.Host)
	}
	for _, p := range s.Proofs {
		send(proved, map[bool]float64{true: 1}[p.Proved], p.Host)
		send(findings, float64(p.Findings), p.Host)
		if !p.At.IsZero() {
			send(provedAt, float64(p.At.UnixMilli())/1000, p.Host)
			send(provedWhole, float64(p.Whole.UnixMilli())/1000, p.Host)
		}
	}
	for state, n := range s.Hosts {
		send(hosts, float64(n), state)
	}
	for role, n := range s.Sessions {
		send(sessions, float64(n), role)
	}
	send(problems, float64(s.Problems))
	send(unknown, float64(s.Unknown))
	send(requests, float64(s.Requests))
	send(leads, map[bool]float64{true: 1}[s.Leads])
	if s.Leads {
		send(summed, map[bool]float64{true: 1}[s.Summed])
	}
	send(held, map[bool]float64{true: 1}[s.Held])
	if !s.Certificate.IsZero() {
		send(certificate, float64(s.Certificate.Unix()))
	}
	send(revision, float64(s.Seen), "seen")
	send(revision, float64(s.Realized), "realized")
}
