package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"sluice/hostagent/api"
)

// portMapping is an element of the capability portMappings (CNI's conventions, "Dynamic Plugin specific fields").
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"` // empty: tcp
	HostIP        string `json:"hostIP"`
}

// published is what the runtime asks to be published.
func published(c *config) (list []api.Publish, err error) {
	for _, m := range c.RuntimeConfig.PortMappings {
		p, err := m.publish()
		if err != nil {
			return nil, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("port mapping %d:%d/%s: %v", m.HostPort, m.ContainerPort, m.Protocol, err), "")
		}
		list = append(list, p)
	}
	return list, nil
}

func (m portMapping) publish() (api.Publish, error) {
	protocol := strings.ToLower(cmp.Or(m.Protocol, "tcp"))
	address, err := netip.ParseAddr(m.HostIP)
	switch {
	case protocol != "tcp" && protocol != "udp":
		return api.Publish{}, fmt.Errorf("only tcp and udp can be published")
	case m.HostPort < 1 || m.HostPort > 65535 || m.ContainerPort < 1 || m.ContainerPort > 65535:
		return api.Publish{}, fmt.Errorf("give a port of the gateway host and one of the container, from 1 to 65535: the runtime's own choice would be one of this host")
	case m.HostIP != "" && (err != nil || !address.Is4() || !address.IsUnspecified()):
		return api.Publish{}, fmt.Errorf("host address %s: give none, or 0.0.0.0: the container is reached by the addresses of its tenant's gateway host", m.HostIP)
	}
	return api.Publish{Protocol: protocol, Port: uint16(m.ContainerPort), On: uint16(m.HostPort)}, nil
}
