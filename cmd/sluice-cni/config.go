package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"sluice/hostagent/api"
)

// runtimeName is what our ports say of who asked for them.
const runtimeName = "cni"

// Labels of our ports.
const (
	labelNetwork   = "cni-network" // the network configuration's name
	labelIfName    = "cni-ifname"
	labelNamespace = "pod-namespace"
	labelPod       = "pod"
)

// config is the network configuration of a plugin of type sluice.
type config struct {
	types.PluginConf
	Tenant  string `json:"tenant"`
	Network string `json:"network"` // empty: the tenant's default
	Socket  string `json:"socket"`  // of the agent; empty: api.DefaultSocket
	// Patience is how long a command waits for an agent that is away or not ready, such as "20s"; empty:
	// api.AttachPatience to attach, api.DetachPatience to detach.
	Patience string `json:"patience"`

	// Sticky names the port as the runtime names the container, and leaves MAC and addresses with that name when it goes.
	Sticky bool `json:"sticky"`

	// MTU of the container's interface, in bytes; 0: the network's. Routes of the container, instead of a default route
	// through the network's router; nil: that.
	MTU    int            `json:"mtu"`
	Routes []*types.Route `json:"routes"`

	// RuntimeConfig is what a runtime fills in for capabilities that the configuration declares.
	RuntimeConfig struct {
		IPs          []string      `json:"ips"` // addresses with prefix length
		MAC          string        `json:"mac"`
		PortMappings []portMapping `json:"portMappings"`
		Bandwidth    bandwidth     `json:"bandwidth"`
	} `json:"runtimeConfig"`

	// Args is the older way to say the same (CNI's conventions, "args").
	Args struct {
		CNI struct {
			IPs []string `json:"ips"`
		} `json:"cni"`
	} `json:"args"`
}

func parseConfig(stdin []byte) (*config, error) {
	var c config
	if err := json.Unmarshal(stdin, &c); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "read the network configuration", err.Error())
	}
	if c.Tenant == "" {
		return nil, types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("network configuration %q names no tenant", c.Name), `add "tenant": "NAME"`)
	}
	if c.Network == "" {
		c.Network = api.DefaultNetwork
	}
	return &c, nil
}

// patience is how long to wait for the agent where the configuration says nothing else.
func (c *config) patience(otherwise time.Duration) (time.Duration, error) {
	if c.Patience == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(c.Patience)
	if err != nil || d < 0 {
		return 0, types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("network configuration %q: patience %q: write it as 20s", c.Name, c.Patience), "")
	}
	return d, nil
}

// ownKeys are those of this plugin, commonKeys what CNI knows besides (section 1, and what libcni adds).
var (
	ownKeys    = []string{"tenant", "network", "socket", "patience", "mtu", "routes", "sticky"}
	commonKeys = []string{"cniVersion", "cniVersions", "name", "type", "args", "capabilities", "runtimeConfig", "prevResult", "dns", "ipam",
		"ipMasq", "disableCheck", "disableGC", "loadOnlyInlinedPlugins"}
)

// misspelt refuses keys that nobody reads: a container would come into another network than was meant. Keys
// with a domain, such as cni.dev/valid-attachments, are the runtime's.
func misspelt(stdin []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(stdin, &keys); err != nil {
		return types.NewError(types.ErrDecodingFailure, "read the network configuration", err.Error())
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if strings.Contains(key, "/") || slices.Contains(ownKeys, key) || slices.Contains(commonKeys, key) {
			continue
		}
		return types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("the network configuration has an unknown key %q: those of sluice-cni are %s", key, strings.Join(ownKeys, ", ")), "")
	}
	return nil
}

// podArgs are the CNI_ARGS that runtimes of Kubernetes pass, and the oldest way to ask for an
// address and a MAC, which podman still uses.
type podArgs struct {
	types.CommonArgs
	IP                types.UnmarshallableString
	MAC               types.UnmarshallableString
	K8S_POD_NAMESPACE types.UnmarshallableString //nolint:revive,staticcheck // the name is the variable's
	K8S_POD_NAME      types.UnmarshallableString //nolint:revive,staticcheck
}

func parseArgs(args string) (podArgs, error) {
	pod := podArgs{CommonArgs: types.CommonArgs{IgnoreUnknown: true}}
	if err := types.LoadArgs(args, &pod); err != nil {
		return pod, types.NewError(types.ErrInvalidEnvironmentVariables, "read CNI_ARGS", err.Error())
	}
	return pod, nil
}

// defaultIfName is what runtimes call a container's first interface.
const defaultIfName = "eth0"

// portName is what the runtime calls the container, and a hash of the attachment, which CNI identifies by
// container id and interface. A sticky one is what the runtime calls the container alone.
func portName(c *config, pod podArgs, containerID, ifName string) string {
	name := string(pod.K8S_POD_NAME)
	if name == "" {
		name = containerID[:min(12, len(containerID))]
	}
	if c.Sticky { // a hash of the id would be another one for each container
		if ifName != defaultIfName {
			name += "-" + ifName
		}
		if api.IsLabel(name) {
			return name
		}
		return api.PortName(name, name)
	}
	return api.PortName(name, containerID+"/"+ifName)
}

// attachRequest is what a command asks of the agent.
func attachRequest(c *config, args *skel.CmdArgs) (api.AttachRequest, error) {
	pod, err := parseArgs(args.Args)
	if err != nil {
		return api.AttachRequest{}, err
	}
	r := api.AttachRequest{
		Tenant: c.Tenant, Network: c.Network, Name: portName(c, pod, args.ContainerID, args.IfName),
		NetNS: args.Netns, IfName: args.IfName, MAC: cmp.Or(c.RuntimeConfig.MAC, string(pod.MAC)),
		ContainerID: args.ContainerID, Runtime: runtimeName, MTU: c.MTU, Routes: askedRoutes(c),
		Sticky: c.Sticky,
		Labels: map[string]string{labelNetwork: c.Name, labelIfName: args.IfName},
	}
	if pod.K8S_POD_NAME != "" {
		r.Labels[labelNamespace], r.Labels[labelPod] = string(pod.K8S_POD_NAMESPACE), string(pod.K8S_POD_NAME)
	}
	for _, asked := range askedAddresses(c, pod) {
		address, _, _ := strings.Cut(asked, "/")
		if _, err := netip.ParseAddr(address); err != nil {
			return r, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("address %q is no IP address", address), "")
		}
		r.Addresses = append(r.Addresses, address)
	}
	return r, nil
}

// askedRoutes are those of the configuration; nil: it has none.
func askedRoutes(c *config) []api.Route {
	if c.Routes == nil {
		return nil
	}
	routes := []api.Route{}
	for _, r := range c.Routes {
		asked := api.Route{Destination: r.Dst.String()}
		if r.GW != nil {
			asked.Gateway = r.GW.String()
		}
		routes = append(routes, asked)
	}
	return routes
}

// askedAddresses are those of the newest way in which any is asked for.
func askedAddresses(c *config, pod podArgs) []string {
	switch {
	case len(c.RuntimeConfig.IPs) > 0:
		return c.RuntimeConfig.IPs
	case len(c.Args.CNI.IPs) > 0:
		return c.Args.CNI.IPs
	case pod.IP != "":
		return strings.Split(string(pod.IP), ",")
	}
	return nil
}
