package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sluice/controller/client"
)

// cniStarts are the ADDs of each plugin a round.
const cniStarts = 5

// cniDir is where Debian has the plugins of the CNI project.
const cniDir = "/usr/lib/cni"

// cniPlugin is a CNI plugin on the lab's first host.
type cniPlugin struct {
	binary string
	conf   map[string]any
}

// plugins compares sluice-cni with the CNI project's bridge plugin: each is called as runtimes do, and has
// returned when the container has its interface. With Sluice it has its flows then.
func (d *dockerRun) plugins(ctx context.Context) error {
	const tenant = "plugins"
	if _, err := d.api.CreateTenant(ctx, client.TenantSpec{Name: tenant, Subnets: []string{"10.30.0.0/16"}}); err != nil {
		return err
	}
	conf := func(kind string, more map[string]any) map[string]any {
		all := map[string]any{"cniVersion": "1.0.0", "name": "bench", "type": kind}
		for key, value := range more {
			all[key] = value
		}
		return all
	}
	ours := cniPlugin{filepath.Join(filepath.Dir(d.Binary), "sluice-cni"), conf("sluice-cni", map[string]any{
		"tenant": tenant, "socket": filepath.Join(d.Hosts[0].RunDir, "agent.sock"),
	})}
	bridge := cniPlugin{filepath.Join(cniDir, "bridge"), conf("bridge", map[string]any{
		"bridge": "bench-cni", "isGateway": true,
		"ipam": map[string]any{"type": "host-local", "subnet": "10.33.0.0/16", "dataDir": filepath.Join(d.Hosts[0].RunDir, "host-local")},
	})}
	more := *d.Run
	more.Rounds = d.Rounds * d.Size(cniStarts)
	samples, err := more.TakeTurns(ctx,
		Side{"sluice-cni", func(ctx context.Context) (float64, error) { return d.add(ctx, ours) }},
		Side{"CNI's bridge", func(ctx context.Context) (float64, error) { return d.add(ctx, bridge) }})
	if err != nil {
		return err
	}
	res := Compare("ms", samples[0], Other{"CNI's bridge plugin", nil, samples[1]})
	res.Params = map[string]any{"what": "CNI ADD", "at once": 1}
	res.Facts = []Fact{
		{Name: "p99", Value: quantile(samples[0], 0.99), Unit: "ms"},
		{Name: "p99 of bridge", Value: quantile(samples[1], 0.99), Unit: "ms"},
	}
	return d.Done(res)
}

// add calls ADD and then DEL for the container that pings none, and returns how long ADD took, in ms.
func (d *dockerRun) add(ctx context.Context, p cniPlugin) (float64, error) {
	seconds, err := timed(func() error { return d.call(ctx, p, "ADD", d.bare) })
	if err == nil {
		err = d.call(ctx, p, "DEL", d.bare)
	}
	return 1000 * seconds, err
}

func (d *dockerRun) call(ctx context.Context, p cniPlugin, command string, c container) error {
	text, err := json.Marshal(p.conf)
	if err != nil {
		return err
	}
	_, err = output(ctx, string(text), "nsenter", "--net=/run/netns/"+d.Hosts[0].NetNS, "--", "env", "CNI_COMMAND="+command,
		"CNI_CONTAINERID="+c.name, "CNI_NETNS=/run/netns/"+c.netns, "CNI_IFNAME=eth0", "CNI_PATH="+cniDir, p.binary)
	if err != nil {
		return fmt.Errorf("%s %s: %w", p.binary, command, err)
	}
	return nil
}
