package main

import (
	"log/slog"
	"strings"

	"sluice/pki"
)

// secure reads the host's certificate (nil: it has none), and refuses addresses where the agent or
// its switch would believe everybody.
func (o *agentFlags) secure(log *slog.Logger) (*pki.Source, error) {
	who := pki.Host(o.options.Host)
	s, err := o.pki.open(who, log)
	if err != nil {
		return nil, err
	}
	for _, target := range o.options.Controllers {
		if secure := strings.HasPrefix(target, "ssl:"); secure && s == nil {
			return nil, usagef("--controllers %s: the switch needs this host's certificate: give it with --pki", target)
		} else if secure {
			continue
		}
		if err := o.pki.clear(nil, who, "--controllers", target); err != nil {
			return nil, err
		}
	}
	for _, endpoint := range o.etcd.endpoints {
		if strings.HasPrefix(endpoint, "https://") {
			continue
		}
		if err := o.pki.clear(nil, who, "--etcd-endpoints", endpoint); err != nil {
			return nil, err
		}
	}
	return s, nil
}
