package main

import (
	"strings"

	agentapi "sluice/hostagent/api"
	"sluice/store"
)

// publishedPort reads what a port is to publish itself, as Docker writes it: 8080:80, 53:53/udp, 8000-8009:80-89.
func publishedPort(text string) (agentapi.Publish, error) {
	ports, protocol, said := strings.Cut(text, "/")
	if !said {
		protocol = string(store.ProtocolTCP)
	}
	on, of, two := strings.Cut(ports, ":")
	if !two {
		of = on
	}
	first, count, err := store.ParsePortRange(of)
	if err != nil {
		return agentapi.Publish{}, usagef("--publish %s: %v", text, err)
	}
	at, many, err := store.ParsePortRange(on)
	switch {
	case err != nil:
		return agentapi.Publish{}, usagef("--publish %s: %v", text, err)
	case many != count:
		return agentapi.Publish{}, usagef("--publish %s: give as many ports of the gateway host as of the container", text)
	case protocol != string(store.ProtocolTCP) && protocol != string(store.ProtocolUDP):
		return agentapi.Publish{}, usagef("--publish %s: only tcp and udp can be published", text)
	}
	return agentapi.Publish{Protocol: protocol, Port: first, On: at, Count: count}, nil
}

// publishedPorts reads several.
func publishedPorts(texts []string) (list []agentapi.Publish, err error) {
	for _, text := range texts {
		p, err := publishedPort(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// publishedWords is what a port publishes itself, for people.
func publishedWords(p store.Port) string {
	list := make([]string, len(p.Publish))
	for i, one := range p.Publish {
		list[i] = one.String()
	}
	return strings.Join(list, ", ")
}
