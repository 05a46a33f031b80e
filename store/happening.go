package store

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KindHappening is {name}. It lies below status/, so that no watch of the cluster's objects tells of it.
const KindHappening Kind = "status/events"

// HappeningKey is the key of something that happened.
func HappeningKey(name string) Key { return Key{Kind: KindHappening, Name: name} }

// What says which sort of thing happened.
type What string

// What may happen.
const (
	GatewayMoved      What = "gateway-moved"
	GatewayFailedOver What = "gateway-failed-over"
	GatewayStays      What = "gateway-stays"
	HostAdopted       What = "host-adopted"
	HostDeleted       What = "host-deleted"
	HostIsBehind      What = "host-" + What(HostBehind)
	HostIsDown        What = "host-" + What(HostDown)
	HostIsUnreachable What = "host-" + What(HostUnreachable)
	HostIsMissing     What = "host-" + What(HostMissing)
	HostIsRefused     What = "host-" + What(HostRefused)
	HostIsLastKnown   What = "host-" + What(HostLastKnown)
	HostBack          What = "host-back"
	AgentAway         What = "agent-away"
	AgentBack         What = "agent-back"
	DriftMended       What = "drift-mended"
	ProofViolated     What = "proof-violated"
	ProofWhole        What = "proof-whole"
	AttachRefused     What = "attach-refused"
	TrafficRefused    What = "traffic-refused"
	LimitsChanged     What = "limits-changed"
	Changed           What = "changed"
)

// Whats are all of them, in the order in which docs show them.
func Whats() []What {
	return []What{
		GatewayMoved, GatewayFailedOver, GatewayStays, HostAdopted, HostDeleted, HostIsBehind, HostIsDown, HostIsUnreachable, HostIsMissing, HostIsRefused,
		HostIsLastKnown, HostBack, AgentAway, AgentBack, DriftMended, ProofViolated, ProofWhole, AttachRefused, TrafficRefused, LimitsChanged, Changed,
	}
}

// warnings are those that an operator may have to do something about.
var warnings = []What{
	GatewayFailedOver, GatewayStays, HostIsBehind, HostIsDown, HostIsUnreachable, HostIsMissing, HostIsRefused, HostIsLastKnown, AgentAway, DriftMended,
	ProofViolated, AttachRefused, TrafficRefused,
}

// Warns reports whether an operator may have to do something about it.
func (w What) Warns() bool { return slices.Contains(warnings, w) }

// In reports whether it is of a kind, or of a group of kinds: host-down is in "host-down", and in "host".
func (w What) In(kind string) bool {
	return string(w) == kind || strings.HasPrefix(string(w), kind+"-")
}

// Happening is what people call an event: something that happened, once or several times. (An Event is a change
// of a key.) What happens again, and reads the same, within DampTime raises Count and Last alone.
type Happening struct {
	What    What     `json:"kind" example:"gateway-moved"`
	Object  string   `json:"object" doc:"what it happened to" example:"tenant alice"`
	Tenant  string   `json:"tenant,omitempty" doc:"whose it is; none: only who sees the whole cluster is shown it"`
	Hosts   []string `json:"hosts,omitempty" doc:"where it happened: the first 16"`
	Text    string   `json:"text" doc:"what happened" example:"from h1 to h2"`
	Detail  string   `json:"detail,omitempty" doc:"what is known of the last time"`
	Who     string   `json:"who,omitempty" doc:"who did it, as the audit log names them"`
	Warning bool     `json:"warning,omitempty" doc:"somebody may have to do something about it"`
	// Controller is who noted it.
	Controller string    `json:"controller,omitempty"`
	Count      int       `json:"count" doc:"how often it happened"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

const (
	// DampTime is how long after it happened last something that happens again is the same event.
	DampTime = 10 * time.Minute
	// MaxHappeningHosts bounds the hosts that an event names.
	MaxHappeningHosts = 16
	// maxHappeningText bounds each text of an event, in bytes.
	maxHappeningText = 400
)

// Bound cuts texts that are longer than an event may have.
func (h *Happening) Bound() {
	for _, text := range []*string{&h.Object, &h.Text, &h.Detail, &h.Who} {
		if len(*text) > maxHappeningText {
			*text = strings.ToValidUTF8((*text)[:maxHappeningText], "") + "..."
		}
	}
	h.Hosts = h.Hosts[:min(len(h.Hosts), MaxHappeningHosts)]
}

// Same is equal for what reads the same.
func (h *Happening) Same() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(h.What), h.Object, h.Who, h.Text}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Name is that of a new event's key.
func (h *Happening) Name() string {
	return h.Same() + "-" + strconv.FormatInt(max(h.First.UnixMilli(), 0), 36)
}

// Again is the event after the same thing happened again.
func (h *Happening) Again(o Happening) Happening {
	n := *h
	n.Count += o.Count
	n.Detail, n.Controller = o.Detail, o.Controller
	if o.Last.After(n.Last) { // clocks of controllers differ
		n.Last = o.Last
	}
	n.Hosts = slices.Clone(n.Hosts)
	for _, host := range o.Hosts {
		if !slices.Contains(n.Hosts, host) && len(n.Hosts) < MaxHappeningHosts {
			n.Hosts = append(n.Hosts, host)
		}
	}
	return n
}

// Kind is KindHappening.
func (*Happening) Kind() Kind { return KindHappening }

var happeningKind = &description[string, Happening, *Happening]{facts: facts{
	label:  "event",
	parts:  []part{partName},
	writer: "controllers; their leader deletes the oldest", reader: "controllers",
}}
