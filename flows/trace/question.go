package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows/trace/told"
	"sluice/store"
)

// Outside is From for the internet behind the gateway hosts.
const Outside = "outside"

// State is what the packet is to its connection.
type State = told.State

// States.
const (
	StateNew         = told.StateNew
	StateEstablished = told.StateEstablished
	StateReply       = told.StateReply
	StateRelated     = told.StateRelated
	StateInvalid     = told.StateInvalid
)

// States are all of them.
func States() []State {
	return []State{StateNew, StateEstablished, StateReply, StateRelated, StateInvalid}
}

// Question asks what becomes of a packet. Only From and To must be said.
type Question struct {
	From  string // a port, as TENANT/NETWORK/PORT or TENANT/PORT; or Outside, or an address there
	To    string // a port, or an address
	Proto string // tcp, udp, icmp, arp (for IPv6: neighbour discovery) or a number; none: icmp
	// SrcPort and DstPort are of TCP or UDP; 0: 40000 and 80 (53 of the resolver), or 80 and 40000 of an answer.
	SrcPort, DstPort uint16
	TTL              uint8 // 0: 64
	State            State // none: StateNew
}

// Defaults of a Question.
const (
	defaultClientPort = 40000
	defaultServerPort = 80
	resolverPort      = 53 // where To is the resolver
	defaultTTL        = 64
)

// defaultOutside is an address of nobody (RFC 5737), which stands for the internet.
var defaultOutside = netip.MustParseAddr("203.0.113.1")

// Protocols with names.
const (
	protoICMP   = of.ProtoICMP
	protoTCP    = of.ProtoTCP
	protoUDP    = of.ProtoUDP
	protoICMPv6 = of.ProtoICMPv6
)

// asked is a Question that was read, before its names are looked up.
type asked struct {
	Question
	from, to place
	proto    uint8 // of IP; 0: ARP
}

// place is From or To: the name of a port, or an address.
type place struct {
	tenant, network, port string // network may be empty: whichever has the port
	address               netip.Addr
	outside               bool
}

// Check refuses a Question that means nothing, whatever the cluster is.
func (q Question) Check() error {
	_, err := q.read()
	return err
}

func (q Question) read() (a asked, err error) {
	a.Question = q
	if a.proto, err = protocol(q.Proto); err != nil {
		return a, err
	}
	if a.from, err = readFrom(q.From); err != nil {
		return a, err
	}
	if a.to, err = readPlace("to", q.To); err != nil {
		return a, err
	}
	if err := a.checkPorts(); err != nil {
		return a, err
	}
	a.fill()
	return a, a.checkState()
}

// fill gives what was not said.
func (a *asked) fill() {
	a.TTL = cmp.Or(a.TTL, defaultTTL)
	a.State = cmp.Or(a.State, StateNew)
	client, server := &a.SrcPort, &a.DstPort
	if a.isAnswer() {
		client, server = server, client
	}
	if a.hasPorts() {
		port := uint16(defaultServerPort)
		if a.to.address == store.Resolver4 || a.to.address == store.Resolver6 {
			port = resolverPort
		}
		*client, *server = cmp.Or(*client, defaultClientPort), cmp.Or(*server, port)
	}
}

// isAnswer reports whether To opened the connection: from outside nobody else can have.
func (a *asked) isAnswer() bool {
	return a.State == StateReply || a.from.outside && (a.State == StateEstablished || a.State == StateRelated)
}

func (a *asked) hasPorts() bool { return a.proto == protoTCP || a.proto == protoUDP }

func (a *asked) checkPorts() error {
	if !a.hasPorts() && (a.SrcPort != 0 || a.DstPort != 0) {
		return invalid("only tcp and udp have ports: say --proto tcp or --proto udp")
	}
	return nil
}

func (a *asked) checkState() error {
	switch a.State {
	case StateNew:
		return nil
	case StateEstablished, StateReply, StateRelated:
		if a.proto == 0 {
			return invalid("state %s: arp has no connections", a.State)
		}
		return nil
	case StateInvalid:
		if a.proto != protoTCP && a.proto != protoICMP && a.proto != protoICMPv6 {
			return invalid("state invalid: only a packet of tcp or icmp can be of no connection and unable to open one")
		}
		return nil
	}
	return invalid("state %q: it is one of %s", a.State, words(States()))
}

func words(states []State) string {
	texts := make([]string, len(states))
	for i, s := range states {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

func protocol(text string) (uint8, error) {
	switch text {
	case "", "icmp":
		return protoICMP, nil
	case "tcp":
		return protoTCP, nil
	case "udp":
		return protoUDP, nil
	case "arp":
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n == 0 {
		return 0, invalid("protocol %q: it is tcp, udp, icmp, arp or a number from 1 to 255", text)
	}
	return uint8(n), nil
}

func readFrom(text string) (place, error) {
	if text == Outside {
		return place{outside: true, address: defaultOutside}, nil
	}
	p, err := readPlace("from", text)
	p.outside = p.address.IsValid()
	if p.outside && !p.address.Is4() {
		return p, invalid("from %s: egress is IPv4 only, so nothing comes in by IPv6", text)
	}
	return p, err
}

// readPlace reads a port's name, or an address.
func readPlace(what, text string) (place, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return place{}, invalid("%s %s: write the address without a zone", what, text)
		}
		return place{address: a.Unmap()}, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) != 2 && len(parts) != 3 {
		return place{}, invalid("%s %q: write a port as TENANT/PORT or TENANT/NETWORK/PORT, or an address", what, text)
	}
	for _, part := range parts {
		if err := store.ValidateName(part); err != nil {
			return place{}, invalid("%s %q: %v", what, text, err)
		}
	}
	p := place{tenant: parts[0], port: parts[len(parts)-1]}
	if len(parts) == 3 {
		p.network = parts[1]
	}
	return p, nil
}

func (p place) String() string {
	switch {
	case p.outside:
		return Outside + " " + p.address.String()
	case p.address.IsValid():
		return p.address.String()
	case p.network == "":
		return p.tenant + "/" + p.port
	}
	return p.tenant + "/" + p.network + "/" + p.port
}

// refusal is why a question has no answer: kind is store.ErrInvalid or store.ErrNotFound.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

func invalid(format string, args ...any) error {
	return &refusal{store.ErrInvalid, fmt.Sprintf(format, args...)}
}

func absent(format string, args ...any) error {
	return &refusal{store.ErrNotFound, fmt.Sprintf(format, args...)}
}
