package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"sluice/hostagent/api"
)

// binding is what Docker says of one -p.
type binding struct {
	Proto       uint8  // IP's number of the protocol
	Port        uint16 // the container's
	HostIP      string
	HostPort    uint16
	HostPortEnd uint16 // any from HostPort on will do
}

// protocols are those that have ports and can be published, by IP's numbers.
var protocols = map[uint8]string{6: "tcp", 17: "udp"}

// publishOf reads what -p asks for, of the options of an endpoint.
func publishOf(options map[string]any) (list []api.Publish, err error) {
	said, there := options[keyPortMap]
	if !there || said == nil {
		return nil, nil
	}
	b, err := json.Marshal(said)
	if err != nil {
		return nil, fmt.Errorf("read published ports: %w", err)
	}
	var all []binding
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read published ports: %w", err)
	}
	for _, one := range all {
		p, err := one.publish()
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (b binding) publish() (api.Publish, error) {
	protocol, known := protocols[b.Proto]
	switch {
	case !known:
		return api.Publish{}, fmt.Errorf("-p %d: only TCP and UDP can be published", b.Port)
	case b.HostPort == 0:
		return api.Publish{}, fmt.Errorf("-p %d: say which port of the gateway host: -p PORT:%d/%s. Docker's own choice, and -P, would be one of this host, and the container is reached by its tenant's gateway host", b.Port, b.Port, protocol)
	case b.HostPortEnd > b.HostPort:
		return api.Publish{}, fmt.Errorf("-p %d-%d:%d: give one port of the gateway host for one of the container", b.HostPort, b.HostPortEnd, b.Port)
	}
	if err := anyAddress(b.HostIP); err != nil {
		return api.Publish{}, fmt.Errorf("-p %s:%d:%d: %w", b.HostIP, b.HostPort, b.Port, err)
	}
	return api.Publish{Protocol: protocol, Port: b.Port, On: b.HostPort}, nil
}

// anyAddress refuses an address of a host: which host it is follows from the tenant's gateway.
func anyAddress(text string) error {
	if a, err := netip.ParseAddr(text); text == "" || err == nil && a.Is4() && a.IsUnspecified() {
		return nil
	}
	return errors.New("give no address, or 0.0.0.0: the container is reached by the addresses of its tenant's gateway host, see sluice gateway list")
}
