package hostagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"sluice/hostagent/api"
	"sluice/hostagent/docker"
	"sluice/store"
)

// fields are a request to Docker's driver, or its answer.
type fields map[string]any

// plugin is Docker's driver, asked as dockerd asks.
type plugin struct {
	t       *testing.T
	handler http.Handler
}

func (h *host) docker(c *api.Client) plugin {
	h.t.Helper()
	if err := os.MkdirAll(h.path("state/docker"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	return plugin{h.t, docker.New(docker.Options{StateDir: h.path("state"), Agent: c, Log: h.log()}).Handler()}
}

// call asks one method; refusal is what Docker's user reads, empty where there is none.
func (p plugin) call(method string, request fields) (answer fields, refusal string) {
	p.t.Helper()
	var body bytes.Buffer
	if request != nil {
		if err := json.NewEncoder(&body).Encode(request); err != nil {
			p.t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, httptest.NewRequestWithContext(p.t.Context(), "POST", "/"+method, &body))
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		p.t.Fatalf("%s: %v: %s", method, err, w.Body)
	}
	if refused, _ := answer["Err"].(string); refused != "" || w.Code != http.StatusOK {
		return answer, refused
	}
	return answer, ""
}

func (p plugin) must(method string, request fields) fields {
	p.t.Helper()
	answer, refusal := p.call(method, request)
	if refusal != "" {
		p.t.Fatalf("%s %v: %s", method, request, refusal)
	}
	return answer
}

// with is a request with some other fields.
func (f fields) with(more fields) fields {
	f = maps.Clone(f)
	maps.Copy(f, more)
	return f
}

const (
	dockerMAC  = "02:42:0a:00:00:4d"
	dockerNet  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	dockerEnd  = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	alicesPool = "alice/default/10.0.0.0/24"
)

// What dockerd asks for one network and one container of it.
var (
	askPool    = fields{"AddressSpace": "sluice", "Pool": "10.0.0.0/24", "Options": fields{"tenant": "alice"}}
	askNetwork = fields{
		"NetworkID": dockerNet,
		"Options":   fields{"com.docker.network.enable_ipv6": false, "com.docker.network.generic": fields{"tenant": "alice"}},
		"IPv4Data":  []fields{{"AddressSpace": "sluice", "Pool": "10.0.0.0/24", "Gateway": "10.0.0.1/24"}},
	}
	askAddress  = fields{"PoolID": alicesPool, "Address": "", "Options": fields{"com.docker.network.endpoint.macaddress": dockerMAC}}
	askEndpoint = fields{
		"NetworkID": dockerNet, "EndpointID": dockerEnd,
		"Options":   fields{"com.docker.network.endpoint.exposedports": []any{}, "com.docker.network.portmap": []any{}},
		"Interface": fields{"Address": "10.0.0.77/24", "AddressIPv6": "", "MacAddress": dockerMAC},
	}
	endpoint = fields{"NetworkID": dockerNet, "EndpointID": dockerEnd}
)

// taken are the addresses of alice's default network that are taken, by whom.
func (h *host) taken() map[string]string {
	h.t.Helper()
	owners := map[string]string{}
	page, _, err := h.client.Allocs(h.t.Context(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, a := range page {
		if _, address, of := strings.Cut(a.Path, "addresses/alice/default/"); of {
			owners[address] = a.Owner
		}
	}
	return owners
}

// One container of Docker from its network to its end, with an agent that is started anew on the way.
func TestDockerContainer(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, stop := h.agent()
	empty := h.traces()
	p := h.docker(c)
	if diff := cmp.Diff(fields{"Implements": []any{"NetworkDriver", "IpamDriver"}}, p.must("Plugin.Activate", nil)); diff != "" {
		t.Errorf("Plugin.Activate: -want +got\n%s", diff)
	}
	pool := p.must("IpamDriver.RequestPool", askPool)
	want := fields{"PoolID": alicesPool, "Pool": "10.0.0.0/24", "Data": map[string]any{"com.docker.network.gateway": "10.0.0.1/24"}}
	if diff := cmp.Diff(want, pool); diff != "" {
		t.Errorf("pool: -want +got\n%s", diff)
	}
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	address := p.must("IpamDriver.RequestAddress", askAddress.with(fields{"Address": "10.0.0.77"}))["Address"]
	if address != "10.0.0.77/24" {
		t.Errorf("address %v, want what was asked for", address)
	}
	made := p.must("NetworkDriver.CreateEndpoint", askEndpoint)["Interface"].(map[string]any)
	if made["Address"] != "" || made["MacAddress"] != "" || !strings.HasPrefix(made["AddressIPv6"].(string), "fd00:a::") {
		t.Errorf("the driver tells of the interface %v: Docker knows all but the IPv6 address", made)
	}
	stop()
	_, c, _ = h.agent()
	p = h.docker(c)
	port := "docker-" + dockerEnd[:12]
	attached, err := c.Get(t.Context(), api.DetachRequest{Tenant: "alice", Name: port})
	if err != nil {
		t.Fatal(err)
	}
	end := api.HandedEnd(attached.Interface)
	// Its neighbours heard of both of its addresses, twice: it may be another container's successor.
	if link, err := netlink.LinkByName(attached.Interface); err != nil || link.Attrs().Statistics.RxPackets != 4 {
		t.Errorf("it sent other than 4 frames: %+v, %v", link, err)
	}
	joined := p.must("NetworkDriver.Join", endpoint.with(fields{"SandboxKey": "/var/run/docker/netns/x", "Options": fields{}}))
	want = fields{
		"InterfaceName": map[string]any{"SrcName": end, "DstPrefix": "eth"}, "Gateway": "10.0.0.1", "GatewayIPv6": "fd00:a::1",
		"StaticRoutes": nil, "DisableGatewayService": true,
	}
	if diff := cmp.Diff(want, joined); diff != "" {
		t.Errorf("join: -want +got\n%s", diff)
	}
	h.movesAway(end)
	info := p.must("NetworkDriver.EndpointOperInfo", endpoint)["Value"].(map[string]any)
	if info["tenant"] != "alice" || info["port"] != port {
		t.Errorf("EndpointOperInfo: %v", info)
	}
	p.must("NetworkDriver.Leave", endpoint)
	p.must("NetworkDriver.DeleteEndpoint", endpoint)
	p.must("NetworkDriver.DeleteEndpoint", endpoint)
	p.must("IpamDriver.ReleaseAddress", fields{"PoolID": alicesPool, "Address": "10.0.0.77"})
	p.must("NetworkDriver.DeleteNetwork", fields{"NetworkID": dockerNet})
	p.must("IpamDriver.ReleasePool", fields{"PoolID": alicesPool})
	if diff := cmp.Diff(empty, h.traces()); diff != "" || len(h.taken()) > 0 {
		t.Errorf("left are addresses %v and: -want +got\n%s", h.taken(), diff)
	}
	if _, refusal := p.call("NetworkDriver.CreateEndpoint", askEndpoint); !strings.Contains(refusal, "does not know Docker's network 0123456789ab") {
		t.Errorf("an endpoint of a network that is gone: %q", refusal)
	}
}

// Docker's late word of an endpoint does not remove the port of another one that has its name by now.
func TestDockerLateDelete(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	p := h.docker(c)
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	named := askEndpoint.with(fields{"Options": fields{"name": "shop"}})
	p.must("NetworkDriver.CreateEndpoint", named)
	shop := api.DetachRequest{Tenant: "alice", Name: "shop"}
	if err := c.Detach(t.Context(), shop); err != nil { // as when it waited too long
		t.Fatal(err)
	}
	later := strings.Repeat("5", len(dockerEnd))
	p.must("NetworkDriver.CreateEndpoint", named.with(fields{"EndpointID": later}))
	p.must("NetworkDriver.DeleteEndpoint", endpoint)
	if _, err := c.Get(t.Context(), shop); err != nil {
		t.Errorf("after the late delete: %v", err)
	}
	p.must("NetworkDriver.DeleteEndpoint", endpoint.with(fields{"EndpointID": later}))
	if _, err := c.Get(t.Context(), shop); !api.IsNotFound(err) {
		t.Errorf("after its own: %v", err)
	}
}

// movesAway looks at an end that waits in the host's namespace, and moves it as Docker does.
func (h *host) movesAway(end string) {
	h.t.Helper()
	waiting := h.run("ip", "addr", "show", "dev", end)
	expectIn(h.t, "waiting end", waiting, "state DOWN", dockerMAC, "mtu 1450")
	if strings.Contains(waiting, "inet") {
		h.t.Errorf("the waiting end has an address:\n%s", waiting)
	}
	box := newContainer(h.t)
	h.run("ip", "link", "set", end, "netns", strings.Split(box.netns(), "/")[2], "name", "eth0")
	expectIn(h.t, "offloads after the move", box.run("ethtool", "-k", "eth0"), "tx-checksumming: off")
}

// Docker's users read in one sentence what is wrong; nothing is left of what was refused.
func TestDockerRefusals(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	p := h.docker(c)
	h.attach(c, "alice", "a1")
	a1 := h.port("a1").Addresses[0].Addr().String()
	p.must("IpamDriver.RequestPool", askPool)
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	p.must("IpamDriver.RequestPool", askPool) // which the first network for bob tries to use
	before, addresses := h.traces(), h.taken()
	pool := func(more fields) fields { return askPool.with(more) }
	net := func(options fields) fields {
		return askNetwork.with(fields{"Options": fields{"com.docker.network.generic": options}})
	}
	for _, c := range []struct {
		method  string
		request fields
		says    string
	}{
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"sticky": "true"}}), "choose one with --ip and --mac-address"},
		{"IpamDriver.RequestPool", pool(fields{"Options": fields{}}), "--ipam-opt tenant=NAME is missing"},
		{"IpamDriver.RequestPool", pool(fields{"Options": fields{"tenent": "alice"}}), "--ipam-opt tenent: there is no such option: did you mean tenant?"},
		{"IpamDriver.RequestPool", pool(fields{"Options": fields{"tenant": "carol"}}), "tenant carol does not exist"},
		{"IpamDriver.RequestPool", pool(fields{"Pool": ""}), "--subnet is missing"},
		{"IpamDriver.RequestPool", pool(fields{"Pool": "ten"}), "--subnet ten: write it as"},
		{"IpamDriver.RequestPool", pool(fields{"Pool": "10.9.0.0/24"}), "it has: default 10.0.0.0/24 fd00:a::/64. Docker makes no networks in Sluice: sluice network create alice/NAME --subnet 10.9.0.0/24"},
		{"IpamDriver.RequestPool", pool(fields{"Options": fields{"tenant": "alice", "network": "web"}}), "tenant alice has no network web with subnet 10.0.0.0/24"},
		{"IpamDriver.RequestPool", pool(fields{"SubPool": "10.0.0.128/25"}), "--ip-range 10.0.0.128/25 is not possible"},
		{"NetworkDriver.CreateNetwork", net(fields{}), "-o tenant=NAME is missing"},
		{"NetworkDriver.CreateNetwork", net(fields{"tenant": "bob"}), "-o says network bob/default and --ipam-opt alice/default"},
		{"NetworkDriver.CreateNetwork", net(fields{"tenant": "alice", "netwok": "default"}), "-o netwok: there is no such option: did you mean network?"},
		{"NetworkDriver.CreateNetwork", net(fields{"tenant": "alice", "com.docker.network.driver.mtu": "1400", "colour": "red"}), "-o colour: there is no such option (tenant, network)"},
		{"NetworkDriver.CreateNetwork", askNetwork.with(fields{"IPv4Data": []fields{{"AddressSpace": "LocalDefault", "Pool": "10.0.0.0/24"}}}), "add --ipam-driver sluice"},
		{"NetworkDriver.CreateNetwork", askNetwork.with(fields{"Options": fields{"com.docker.network.internal": true}}), "--internal is not possible"},
		{"NetworkDriver.CreateNetwork", askNetwork.with(fields{"NetworkID": "../agent"}), "is none of Docker's"},
		{"NetworkDriver.AllocateNetwork", fields{}, "local scope"},
		{"IpamDriver.RequestAddress", askAddress.with(fields{"PoolID": "LocalDefault/10.0.0.0"}), "is none of this driver's"},
		{"IpamDriver.RequestAddress", askAddress.with(fields{"Address": a1}), "address " + a1 + ": taken by ports/h1/alice/default/a1"},
		{"IpamDriver.RequestAddress", askAddress.with(fields{"Address": "10.0.0.1"}), "but the router's 10.0.0.1"},
		{"IpamDriver.RequestAddress", fields{"PoolID": alicesPool, "Address": "10.0.0.9"}, "--aux-address 10.0.0.9 is not possible"},
		{"IpamDriver.RequestAddress", fields{"PoolID": alicesPool, "Address": "10.0.0.9", "Options": fields{"RequestAddressType": "com.docker.network.gateway"}}, "--gateway 10.0.0.9: the router of subnet 10.0.0.0/24 of network alice/default is 10.0.0.1"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"com.docker.network.portmap": []fields{{"Proto": 6, "Port": 80}}}}), "-p 80: say which port of the gateway host"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"com.docker.network.portmap": []fields{{"Proto": 17, "Port": 80, "HostPort": 4789}}}}), "is for the tunnels"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"nane": "web"}}), "--driver-opt nane: there is no such option: did you mean name?"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"name": "Web!"}}), "Web!"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Interface": fields{}}), "interface without address"},
		{"NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"NetworkID": "77"}), "does not know Docker's network 77"},
		{"NetworkDriver.Join", endpoint.with(fields{"EndpointID": "77"}), "endpoint 77 has no port"},
	} {
		if _, refusal := p.call(c.method, c.request); !strings.Contains(refusal, c.says) {
			t.Errorf("%s %v:\ngot  %q\nwant %q", c.method, c.request, refusal, c.says)
		}
	}
	if diff := cmp.Diff(before, h.traces()); diff != "" {
		t.Errorf("refused requests left: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(addresses, h.taken()); diff != "" {
		t.Errorf("refused requests took addresses: -want +got\n%s", diff)
	}
	router := p.must("IpamDriver.RequestAddress", fields{"PoolID": alicesPool, "Options": fields{"RequestAddressType": "com.docker.network.gateway"}})
	if router["Address"] != "10.0.0.1/24" {
		t.Errorf("the router's address is %v", router["Address"])
	}
}

// An address that no container comes for is free again as soon as Docker says so. Docker may say so of
// an earlier container when the address is a later one's already.
func TestDockerReleasesAddresses(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	p := h.docker(c)
	p.must("IpamDriver.RequestPool", askPool)
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	fixed := askAddress.with(fields{"Address": "10.0.0.77"})
	release := fields{"PoolID": alicesPool, "Address": "10.0.0.77"}
	other := fixed.with(fields{"Options": fields{"com.docker.network.endpoint.macaddress": "02:42:0a:00:00:4e"}})
	own := func() string { return h.taken()["10.0.0.77"] }

	p.must("IpamDriver.RequestAddress", fixed)
	if _, refusal := p.call("IpamDriver.RequestAddress", other); !strings.Contains(refusal, "10.0.0.77: taken by ports/h1/alice/default/docker-02420a00004d") {
		t.Errorf("a reserved address: %q", refusal)
	}
	p.must("IpamDriver.ReleaseAddress", release)
	if own() != "" {
		t.Errorf("released, and %s has it", own())
	}
	p.must("IpamDriver.RequestAddress", fixed)
	p.must("NetworkDriver.CreateEndpoint", askEndpoint.with(fields{"Options": fields{"name": "web"}}))
	if own() != "ports/h1/alice/default/web" {
		t.Errorf("the address of port web belongs to %q", own())
	}
	p.must("NetworkDriver.DeleteEndpoint", endpoint)
	p.must("IpamDriver.RequestAddress", other)
	p.must("IpamDriver.ReleaseAddress", release)
	if own() != "ports/h1/alice/default/docker-02420a00004e" {
		t.Errorf("the release for an earlier container left the address to %q", own())
	}
	p.must("IpamDriver.ReleaseAddress", release)
	if own() != "" {
		t.Errorf("released by all, and %s has it", own())
	}
}

// A port whose interface Docker never fetched goes after a while. One that a container has stays.
func TestDockerUnclaimed(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	driver := docker.New(docker.Options{
		Socket: h.path("plugins/sluice.sock"), StateDir: h.path("state"), Agent: c, Log: h.log(), Unclaimed: 100 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { driver.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	h.eventually("Docker's socket is there", func() bool { _, err := os.Stat(h.path("plugins/sluice.sock")); return err == nil })
	p := plugin{t, driver.Handler()}
	p.must("IpamDriver.RequestPool", askPool)
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	h.attach(c, "alice", "a1")
	p.must("NetworkDriver.CreateEndpoint", askEndpoint)
	h.eventually("the port that nobody came for is gone", func() bool {
		ports, _, err := h.client.List(t.Context(), store.KindPort)
		return err == nil && len(ports) == 1 && ports[0].Key.Name == "a1"
	})
}

// Two hundred containers of Docker come at once, and go at once.
func TestDockerCrowd(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	p := h.docker(c)
	p.must("IpamDriver.RequestPool", askPool)
	p.must("NetworkDriver.CreateNetwork", askNetwork)
	empty := h.traces()
	const crowd = 200
	addresses := make([]string, crowd)
	all := func(each func(i int, id fields) error) {
		t.Helper()
		var g errgroup.Group
		for i := range crowd {
			id := endpoint.with(fields{"EndpointID": fmt.Sprintf("%012d%s", i, dockerEnd[12:])})
			g.Go(func() error { return each(i, id) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	// So many at once wait long for the disk of this machine's etcd: one that had no answer in time asks again, as people do.
	ask := func(method string, request fields) (answer fields, err error) {
		for range 5 {
			var refusal string
			if answer, refusal = p.call(method, request); refusal == "" {
				return answer, nil
			}
			if err = fmt.Errorf("%s: %s", method, refusal); !strings.Contains(refusal, "etcd unavailable") {
				return nil, err
			}
		}
		return nil, err
	}
	all(func(i int, id fields) error {
		mac := fmt.Sprintf("02:42:0a:00:01:%02x", i)
		got, err := ask("IpamDriver.RequestAddress", askAddress.with(fields{"Options": fields{"com.docker.network.endpoint.macaddress": mac}}))
		if err != nil {
			return err
		}
		addresses[i] = got["Address"].(string)
		_, err = ask("NetworkDriver.CreateEndpoint", askEndpoint.with(id).with(fields{"Interface": fields{"Address": addresses[i], "MacAddress": mac}}))
		return err
	})
	if different := len(slices.Compact(slices.Sorted(slices.Values(addresses)))); different != crowd {
		t.Errorf("%d containers have %d addresses", crowd, different)
	}
	all(func(i int, id fields) error {
		_, err1 := ask("NetworkDriver.DeleteEndpoint", id)
		_, err2 := ask("IpamDriver.ReleaseAddress", fields{"PoolID": alicesPool, "Address": strings.TrimSuffix(addresses[i], "/24")})
		return errors.Join(err1, err2)
	})
	if diff := cmp.Diff(empty, h.traces()); diff != "" || len(h.taken()) > 0 {
		t.Errorf("left are addresses %v and: -want +got\n%s", h.taken(), diff)
	}
}
