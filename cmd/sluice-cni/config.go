package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

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

	// RuntimeConfig is what a runtime fills in for capabilities that the configuration declares.
	RuntimeConfig struct {
		IPs          []string          `json:"ips"` // addresses with prefix length
		MAC          string            `json:"mac"`
		PortMappings []json.RawMessage `json:"portMappings"`
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

// portName is a DNS label that tells people the container and is its alone: what the
// runtime calls it, and a hash of the attachment, which CNI identifies by container id and
// interface.
func portName(pod podArgs, containerID, ifName string) string {
	readable := string(pod.K8S_POD_NAME)
	if readable == "" {
		readable = containerID[:min(12, len(containerID))]
	}
	readable = label(readable, 50)
	return strings.TrimLeft(readable+"-"+attachmentHash(containerID, ifName), "-")
}

// attachmentHash is 8 hexadecimal digits that stand for one attachment.
func attachmentHash(containerID, ifName string) string {
	sum := sha256.Sum256([]byte(containerID + "/" + ifName))
	return hex.EncodeToString(sum[:4])
}

// label keeps of a text what a DNS label may hold.
func label(text string, length int) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text)
	return strings.Trim(kept[:min(length, len(kept))], "-")
}

// attachRequest is what a command asks of the agent.
func attachRequest(c *config, args *skel.CmdArgs) (api.AttachRequest, error) {
	pod, err := parseArgs(args.Args)
	if err != nil {
		return api.AttachRequest{}, err
	}
	r := api.AttachRequest{
		Tenant: c.Tenant, Network: c.Network, Name: portName(pod, args.ContainerID, args.IfName),
		NetNS: args.Netns, IfName: args.IfName, MAC: cmp.Or(c.RuntimeConfig.MAC, string(pod.MAC)),
		ContainerID: args.ContainerID, Runtime: runtimeName,
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
