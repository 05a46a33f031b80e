package store

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var comparers = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// example is an object and the JSON that etcd holds for it.
type example struct {
	key    Key
	object Object
	json   string
}

// examples are one of each kind at least.
var examples = []example{
	{TenantKey("alice"), &Tenant{Number: 1, Gateway: "h1", Limits: Limits{Ports: 9}},
		`{"number":1,"gateway":"h1","limits":{"ports":9}}`},
	{NetworkKey("alice", "default"), &Network{
		Number: 7, Segmentation: SegmentationVLAN, Segment: 42, Flood: FloodAuto,
		Subnets: []Subnet{{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParseAddr("10.0.0.1")}},
	}, `{"number":7,"segmentation":"vlan","segment":42,"subnets":[{"prefix":"10.0.0.0/24","gateway":"10.0.0.1"}],"flood":"auto"}`},
	{TenantKey("batch"), &Tenant{Number: 2, Gateway: "auto", TTL: Duration(2 * time.Hour)}, `{"number":2,"gateway":"auto","ttl":"2h0m0s"}`},
	{StickyKey("h1", "alice", "default", "a1"), &Sticky{MAC: MAC{2, 0, 0, 0, 0, 1}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}},
		`{"mac":"02:00:00:00:00:01","addresses":["10.0.0.5/24"]}`},
	{IdleKey("batch"), &Idle{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, `{"since":"2026-01-02T03:04:05Z"}`},
	{SchemaKey(), &Schema{Least: 2}, `{"least":2}`},
	{SettingsKey(), &Settings{Transit: netip.MustParsePrefix("198.18.0.0/15")}, `{"transit":"198.18.0.0/15"}`},
	{SettingsKey(), &Settings{Floating: []AddressRange{{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("203.0.113.9")}}}, `{"floating":["203.0.113.5-203.0.113.9"]}`},
	{PublicationKey("alice", "tcp-80"), &Publication{TenantCreated: 4, Network: "default", Port: "web", Protocol: ProtocolTCP, First: 80, On: 80, Count: 1, Address: netip.MustParseAddr("203.0.113.5")},
		`{"tenantCreated":4,"network":"default","port":"web","protocol":"tcp","first":80,"on":80,"count":1,"address":"203.0.113.5"}`},
	{HostKey("h2"), &Host{DatapathID: 0xa, Gateway: true, Subnets: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Encap: "gre"},
		`{"incarnation":"","datapathID":"000000000000000a","vteps":null,"subnets":["203.0.113.0/24"],"gateway":true,"encap":"gre","underlayMTU":0}`},
	{HostKey("h1"), &Host{Incarnation: "x", DatapathID: 0xa, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, Encap: "gre", UnderlayMTU: 1500},
		`{"incarnation":"x","datapathID":"000000000000000a","vteps":["172.30.0.1"],"addresses":["192.0.2.1","2001:db8::1"],"gateway":false,"encap":"gre","underlayMTU":1500}`},
	{PortKey("h1", "alice", "default", "a1"), &Port{UID: "u", Number: 3, MAC: MAC{2, 0, 0, 0, 0, 1}, Interface: "sl-u",
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}, AllowedPairs: []AddressPair{{Prefix: netip.MustParsePrefix("10.0.0.9/32")}}},
		`{"uid":"u","number":3,"mac":"02:00:00:00:00:01","addresses":["10.0.0.5/24"],"allowedPairs":[{"prefix":"10.0.0.9/32"}],"interface":"sl-u"}`},
	{GatewayKey("alice"), &Gateway{Active: "h1", Draining: []string{"h2"}, Epoch: 4}, `{"active":"h1","draining":["h2"],"epoch":4}`},
	{PeeringKey("alice", "bob"), &Peering{TenantCreated: 4, PeerCreated: 5, Networks: []string{"web"}, PeerNetworks: []string{"db"}, By: "local"},
		`{"tenantCreated":4,"peerCreated":5,"networks":["web"],"peerNetworks":["db"],"by":"local"}`},
	{PublicationKey("alice", "tcp-8080"), &Publication{TenantCreated: 4, Network: "default", Port: "web", Protocol: ProtocolTCP, First: 80, On: 8080, Count: 1, KeepSource: true, By: "local"},
		`{"tenantCreated":4,"network":"default","port":"web","protocol":"tcp","first":80,"on":8080,"count":1,"keepSource":true,"by":"local"}`},
	{PublicationKey("alice", "http-alice-example"), &Publication{TenantCreated: 4, Network: "default", Port: "web", Protocol: ProtocolTCP, First: 80, On: 64512, Count: 1, Route: Route{Host: "alice.example", Path: "/lab/", Strip: true, Shared: true}},
		`{"tenantCreated":4,"network":"default","port":"web","protocol":"tcp","first":80,"on":64512,"count":1,"route":{"host":"alice.example","path":"/lab/","strip":true,"shared":true}}`},
	{GatewayKey("bob"), &Gateway{Active: "h1", Standby: []string{"h3"}, Epoch: 4, Why: "moved by hand", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Move:   &Move{To: "h4", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Timeout: 60, Why: "h1 is drained", Chosen: true},
		Ending: map[string]Ending{"h2": {Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Until: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC), Quiet: true}}},
		`{"active":"h1","standby":["h3"],"epoch":4,"why":"moved by hand","since":"2026-01-02T03:04:05Z","move":{"to":"h4","since":"2026-01-02T03:04:05Z","timeout":60,"why":"h1 is drained","chosen":true},"ending":{"h2":{"since":"2026-01-02T03:04:05Z","until":"2026-01-02T04:04:05Z","quiet":true}}}`},
	{EmptiedKey("h1"), &Emptied{Tenants: map[string]uint64{"alice": 4}}, `{"tenants":{"alice":4}}`},
	{DrainKey("h1"), &Drain{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), AtOnce: 8, Timeout: 3600}, `{"since":"2026-01-02T03:04:05Z","atOnce":8,"timeout":3600}`},
	{MasterKey("h1"), &Master{Controller: "c1", Generation: 5}, `{"controller":"c1","generation":5}`},
	{LiveHostKey("h1"), &LiveHost{Incarnation: "x", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Program: Program{"v0.2.0", 2}},
		`{"incarnation":"x","since":"2026-01-02T03:04:05Z","version":"v0.2.0","schema":2}`},
	{LiveControllerKey("c1"), &LiveController{Incarnation: "x", OpenFlow: "192.0.2.1:6653", API: "http://192.0.2.1:8080",
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Etcd: []string{"192.0.2.11"}, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		`{"incarnation":"x","openflow":"192.0.2.1:6653","api":"http://192.0.2.1:8080","addresses":["192.0.2.1"],"etcd":["192.0.2.11"],"since":"2026-01-02T03:04:05Z"}`},
	{TokenKey("ci"), &Token{Role: RoleTenant, Tenant: "alice", TenantCreated: 4, Hash: "00ff", Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), By: "local"},
		`{"role":"tenant","tenant":"alice","tenantCreated":4,"hash":"00ff","expires":"2026-01-02T03:04:05Z","by":"local"}`},
	{TokenKey("root"), &Token{Role: RoleAdmin, Person: true}, `{"role":"admin","person":true}`},
	{StatusCountersKey("h1"), &StatusCounters{Counters: []Counter{{Tenant: 1, Direction: "in", Packets: 2, LastPackets: 2}}},
		`{"counters":[{"tenant":1,"direction":"in","packets":2,"lastPackets":2}]}`},
	{HappeningKey("0011223344556677-k4f0q1s0"), &Happening{What: GatewayMoved, Object: "tenant alice", Tenant: "alice", Hosts: []string{"h1", "h2"}, Text: "from h1 to h2", Detail: "moved by hand", Controller: "c1", Count: 2,
		First: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Last: time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC)},
		`{"kind":"gateway-moved","object":"tenant alice","tenant":"alice","hosts":["h1","h2"],"text":"from h1 to h2","detail":"moved by hand","controller":"c1","count":2,"first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:05:05Z"}`},
	{UsageKey("h1"), &Usage{Tenants: []TenantUsage{{7, Used{Connections: 3, KernelConnections: 4}}, {9, Used{KernelDrops: 5, PortsRefused: 6, NewPortsRefused: 7, QuestionsRefused: 8, Answers: Answers{1, 2, 0, 4, 5}}}}, Omitted: 1,
		Visits: []Visit{{"alice", "http-alice-example", 4, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}},
		`{"tenants":[{"tenant":7,"connections":3,"kernelConnections":4},{"tenant":9,"kernelDrops":5,"portsRefused":6,"newPortsRefused":7,"questionsRefused":8,"answers":[1,2,0,4,5]}],"omitted":1,"visits":[{"tenant":"alice","publication":"http-alice-example","created":4,"last":"2026-01-02T03:04:05Z"}]}`},
	{StatusControllerKey("c1"), &StatusController{Floor: 8, UnknownSwitches: UnknownSwitches{Unknown: []DatapathID{255}, UnknownShows: map[DatapathID]string{255: "the certificate of host:h2"}}}, `{"floor":8,"unknown":["00000000000000ff"],"unknownShows":{"00000000000000ff":"the certificate of host:h2"}}`},
	{StatusHostKey("h1"), &StatusHost{State: HostMissing, Realized: 8, Missing: []string{"ports/h1/alice/default/a1"}},
		`{"state":"missing","realized":8,"missing":["ports/h1/alice/default/a1"]}`},
	{EnrolmentKey("h1"), &Enrolment{NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), By: "alice", Since: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC)},
		`{"notBefore":"2026-01-02T03:04:05Z","by":"alice","since":"2026-01-02T04:04:05Z"}`},
	{InvitationKey("k7f2"), &Invitation{Host: "h1", SecretHash: "ab12", Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), By: "alice"},
		`{"host":"h1","secretHash":"ab12","expires":"2026-01-02T03:04:05Z","by":"alice"}`},
	{AllocKey("vlans", "42"), &Alloc{Owner: "networks/alice/default", Freed: true}, `{"owner":"networks/alice/default","freed":true}`},
	{IdentityKey(), &Identity{ID: "x", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, `{"id":"x","since":"2026-01-02T03:04:05Z"}`},
	{ChainKey(), &Chain{Newest: Stamp{Number: 65, Value: "y"}, Lasting: Stamp{Number: 64, Value: "x"}},
		`{"newest":{"number":65,"value":"y"},"lasting":{"number":64,"value":"x"}}`},
	{WitnessHostKey("h1"), &WitnessHost{Witness{Seen: 7}}, `{"seen":7}`},
	{WitnessControllerKey("c1"), &WitnessController{Witness{Seen: 7}}, `{"seen":7}`},
	{StampKey(64), &Stamp{Number: 64, Value: "x"}, `{"number":64,"value":"x"}`},
	{RequestKey("h1"), &Request{ID: "r", Held: "why", Leaves: "x", Strays: []string{"sl-u"},
		Offered: []Offer{{Tenant: "alice", Network: "default", Name: "a1", Interface: "sl-v", Addresses: []string{"10.0.0.5/24"}, Problem: "taken"}}},
		`{"id":"r","held":"why","leaves":"x","offered":[{"tenant":"alice","network":"default","name":"a1","interface":"sl-v","addresses":["10.0.0.5/24"],"problem":"taken"}],"strays":["sl-u"]}`},
	{WordKey("h1"), &Word{Word: WordAdopt, Request: "r"}, `{"word":"adopt","request":"r"}`},
	{FarewellKey("h1"), &Farewell{Incarnation: "x", Created: 7, At: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}, `{"incarnation":"x","created":7,"at":"2026-11-28T12:00:00Z"}`},
}

func TestObjects(t *testing.T) {
	for _, tc := range examples {
		b, err := Encode(tc.object)
		if err != nil || string(b) != tc.json {
			t.Errorf("%s is written %s, want %s (%v)", tc.key, b, tc.json, err)
		}
		o, err := Decode(tc.key, []byte(tc.json))
		if err != nil {
			t.Errorf("%s: %v", tc.key, err)
		}
		if diff := cmp.Diff(tc.object, o, comparers...); diff != "" {
			t.Errorf("%s (-written +read):\n%s", tc.key, diff)
		}
		if o != nil && o.Kind() != tc.key.Kind {
			t.Errorf("%s is read as one of %s", tc.key, o.Kind())
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		key   Key
		value string
	}{
		"nothing":         {TenantKey("a"), ``},
		"null":            {TenantKey("a"), ` null `},
		"list":            {TenantKey("a"), `[]`},
		"torn":            {TenantKey("a"), `{"number":`},
		"two objects":     {TenantKey("a"), `{}{}`},
		"negative":        {TenantKey("a"), `{"number":-1}`},
		"too large":       {TenantKey("a"), `{"number":4294967296}`},
		"MAC":             {PortKey("h", "a", "n", "p"), `{"mac":"02:00:00:00:00"}`},
		"prefix":          {PortKey("h", "a", "n", "p"), `{"addresses":["10.0.0.5/33"]}`},
		"datapath id":     {HostKey("h"), `{"datapathID":"0x0000000000000a"}`},
		"short id":        {HostKey("h"), `{"datapathID":"a"}`},
		"spaced id":       {HostKey("h"), `{"datapathID":"               a"}`},
		"a kind derived":  {Key{Kind: KindPresence, Host: "h", Tenant: "a", Network: "n"}, `{}`},
		"a kind not ours": {Key{Kind: "else"}, `{}`},
	} {
		if o, err := Decode(tc.key, []byte(tc.value)); err == nil {
			t.Errorf("%s: %s is read %+v", name, tc.value, o)
		}
	}
}

// What can be read can be written, and is then read the same.
func FuzzDecode(f *testing.F) {
	for _, tc := range examples {
		f.Add(tc.key.String(), []byte(tc.json))
	}
	f.Add(TenantKey("a").String(), []byte("null"))
	f.Fuzz(func(t *testing.T, path string, value []byte) {
		key, err := ParseKey(path)
		if err != nil {
			return
		}
		o, err := Decode(key, value)
		if err != nil {
			return
		}
		b, err := Encode(o)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		again, err := Decode(key, b)
		if err != nil {
			t.Fatalf("%s is written %s, which cannot be read: %v", value, b, err)
		}
		if diff := cmp.Diff(o, again, comparers...); diff != "" {
			t.Errorf("%s (-first +second):\n%s", value, diff)
		}
	})
}

func TestMAC(t *testing.T) {
	m, err := ParseMAC("02:00:5E:00:01:04")
	if err != nil || m != KernelMAC || MACFromUint64(m.Uint64()) != m || m.String() != "02:00:5e:00:01:04" {
		t.Errorf("%v, %v", m, err)
	}
	if got, want := m.LinkLocal(), netip.MustParseAddr("fe80::5eff:fe00:104"); got != want {
		t.Errorf("link-local %s, want %s", got, want)
	}
	if m := MACFromUint64(0x020406080a0c); m.String() != "02:04:06:08:0a:0c" || m.Uint64() != 0x020406080a0c {
		t.Errorf("%s is the number %x", m, m.Uint64())
	}
	if got, want := (MAC{2, 4, 6, 8, 10, 12}).LinkLocal(), netip.MustParseAddr("fe80::4:6ff:fe08:a0c"); got != want {
		t.Errorf("link-local %s, want %s", got, want)
	}
	for _, s := range []string{"", "02:00:00:00:00", "02:00:00:00:00:00:00:01", "02-00-00-00-00-01x"} {
		if m, err := ParseMAC(s); err == nil {
			t.Errorf("%q is read %s", s, m)
		}
	}
}

func TestTransitAddresses(t *testing.T) {
	for slot, want := range map[uint32]string{1: "100.64.0.1", 256: "100.64.1.0", MaxSlot: "100.64.127.255"} {
		got := DefaultTransit.Address(slot)
		if got != netip.MustParseAddr(want) || !DefaultTransit.Contains(got) || got == DefaultTransit.Kernel() {
			t.Errorf("slot %d has %s, want %s", slot, got, want)
		}
	}
	if NATZone(MaxSlot) != 65534 || PolicyZone(MaxSlot) != 65535 {
		t.Error("the last slot's zones are not the last zones")
	}
}
