package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sluice/integration/lab"
	"sluice/store"
)

// proof proves the cluster, writes one hostile flow by hand, has it named, and waits until it is mended.
func (s *show) proof(ctx context.Context) error {
	s.chapter("Isolation is proved over what the switches hold, for every packet")
	s.check("on all hosts", func() (string, error) { return "sluice verify", s.proved(ctx) })
	port, err := s.ofport(ctx, "h1", bob)
	if err != nil {
		return err
	}
	flow := "table=10,priority=60000 actions=output:" + port
	s.say("  $ ovs-ofctl add-flow br-int '%s'   # on h1: everything goes to bob\n", flow)
	st, err := lab.Load(ctx)
	if err != nil {
		return err
	}
	if _, err := st.Hosts[0].Switch().OFCtl(ctx, "add-flow", store.BridgeName, flow); err != nil {
		return err
	}
	s.say("  $ sluice verify --host h1\n")
	text, err := s.sluice(ctx, "verify", "--host", "h1")
	s.say("%s", text)
	s.check("the flow is named, with a packet that crosses", func() (string, error) {
		if err == nil || !strings.Contains(text, "False on host h1") || !strings.Contains(text, "priority=60000") {
			return "", fmt.Errorf("it is not: %w", err)
		}
		return "", nil
	})
	s.check("the audit mends it, and isolation is proved again", func() (string, error) {
		return "", settles(ctx, func() error { return s.proved(ctx) })
	})
	return nil
}

func (s *show) proved(ctx context.Context) error {
	_, err := s.sluice(ctx, "verify")
	return err
}

var output = regexp.MustCompile(`actions=output:(\d+)`)

// ofport is the number of the port that a tenant's container has on a host.
func (s *show) ofport(ctx context.Context, host string, c cast) (string, error) {
	text, err := s.sluice(ctx, "flows", "--host", host, "--tenant", c.name, "--table", "deliver", "-o", "json")
	if err != nil {
		return "", err
	}
	var flows []struct{ Text string }
	if err := json.Unmarshal([]byte(text), &flows); err != nil {
		return "", err
	}
	for _, f := range flows {
		if m := output.FindStringSubmatch(f.Text); m != nil {
			return m[1], nil
		}
	}
	return "", errors.New("no flow delivers to " + c.name + " on " + host)
}
