package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

const (
	// dockerStarts are the starts of one container a round.
	dockerStarts = 2
	// dockerCrowd is how many containers are started at once, on all hosts.
	dockerCrowd = 100
	// overlayBound and bridgeBound are of the time of one start, to Docker's own drivers.
	overlayBound = 1.0
	bridgeBound  = 1.5
	// dockerImage is the lab's.
	dockerImage = "localhost/sluice-lab"
)

// Networks of the comparison, as Docker calls them.
const (
	dockerSluice  = "sluice"
	dockerBridge  = "bridge"
	dockerOverlay = "overlay"
	dockerNone    = "none"
)

func attachDockerCase() Case {
	return Case{
		Name: "attach-docker",
		About: "start a container by Docker, from docker run until it has returned, which with Sluice is when every host of the network has its " +
			"flows; beside Docker's own drivers bridge and overlay, and beside no network; 100 containers at once on three hosts; and sluice-cni beside CNI's bridge plugin",
		Ratio: "The sides take turns, with one image on one daemon; the ratio is the median of the rounds' ratios. After each start another container, " +
			"or for bridge the host, pings the new one. Of many at once, those with bridges come first, and stay while ours start. Overlay is compared where swarm mode starts; where it does not, a fact says so.",
		Needs: append([]string{"dockerd", "docker", "nsenter", "unshare"}, labPrograms...),
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) error {
				d := &dockerRun{labRun: l, networks: map[string]*dockerNetwork{}}
				if err := d.begin(ctx); err != nil {
					return err
				}
				return errors.Join(d.one(ctx), d.plugins(ctx), d.many(ctx))
			})
		},
	}
}

// dockerRun starts containers by Docker daemons, one on each of the lab's hosts.
type dockerRun struct {
	*labRun
	resident container // in the tenant's network, on the last host
	bare     container // of the CNI plugins
	networks map[string]*dockerNetwork
	without  string // why there is no overlay; empty: there is

	mu   sync.Mutex
	next int // of addresses and names
}

// dockerNetwork is a network of Docker's, on each daemon.
type dockerNetwork struct {
	prefix string   // the addresses' first two bytes, with dots; empty: it gives none
	from   []string // the command that runs another one where pings come from, by host
	// fromHost puts the daemon's own namespace there instead.
	fromHost bool
	pinged   []float64 // ms from docker run to the first answer
}

func (d *dockerRun) docker(ctx context.Context, host int, args ...string) (string, error) {
	out, err := output(ctx, "", append([]string{"docker", "--host", lab.DockerSocket(d.Hosts[host].Name)}, args...)...)
	return strings.TrimSpace(out), err
}

func (d *dockerRun) begin(ctx context.Context) error {
	if err := d.startDaemons(ctx); err != nil {
		return err
	}
	if err := d.makeNetworks(ctx); err != nil {
		return err
	}
	if err := d.makeOverlay(ctx); err != nil {
		d.without = strings.Join(strings.Fields(err.Error()), " ")
	}
	return nil
}

func (d *dockerRun) startDaemons(ctx context.Context) error {
	d.Step("starting Docker daemons")
	return sideBySide(ctx, len(d.Hosts), func(ctx context.Context, i int) error {
		// Swarm mode and live-restore exclude each other.
		dir := filepath.Join(d.Hosts[i].RunDir, "docker")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}\n"), 0o644); err != nil {
			return err
		}
		return lab.StartDocker(ctx, d.Hosts[i].Name)
	})
}

// makeNetworks makes those of Sluice and of the bridge, on all daemons.
func (d *dockerRun) makeNetworks(ctx context.Context) error {
	const tenant = "docker"
	if _, err := d.api.CreateTenant(ctx, client.TenantSpec{Name: tenant, Subnets: []string{"10.30.0.0/16"}}); err != nil {
		return err
	}
	all, err := newContainers(ctx, 2)
	if err != nil {
		return err
	}
	d.resident, d.bare = all[0], all[1]
	at, err := d.attach(ctx, len(d.Hosts)-1, tenant, d.resident)
	if err == nil {
		err = d.realized(ctx, store.Revision(at.Revision), d.names())
	}
	if err != nil {
		return err
	}
	d.networks[dockerSluice] = &dockerNetwork{prefix: "10.30", from: []string{"ip", "netns", "exec", d.resident.netns}}
	d.networks[dockerBridge] = &dockerNetwork{prefix: "10.31", fromHost: true}
	d.networks[dockerNone] = &dockerNetwork{}
	return sideBySide(ctx, len(d.Hosts), func(ctx context.Context, host int) error {
		_, err1 := d.docker(ctx, host, "network", "create", "--driver", "sluice", "--ipam-driver", "sluice", "--subnet", "10.30.0.0/16",
			"--opt", "tenant="+tenant, "--ipam-opt", "tenant="+tenant, networkName(dockerSluice))
		_, err2 := d.docker(ctx, host, "network", "create", "--driver", "bridge", "--subnet", "10.31.0.0/16", networkName(dockerBridge))
		return errors.Join(err1, err2)
	})
}

func networkName(side string) string {
	if side == dockerNone {
		return side
	}
	return "bench-" + side
}

// overlayResident is the container of the last host that pings by the overlay.
const overlayResident = "bench-overlay-resident"

// makeOverlay makes a swarm of the first and the last host, and an overlay network in which a container of the
// last one pings. Its error says why a machine has none.
func (d *dockerRun) makeOverlay(ctx context.Context) error {
	d.Step("starting swarm mode")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	last := len(d.Hosts) - 1
	vtep := func(host int) string { return d.Hosts[host].VTEP.String() }
	if _, err := d.docker(ctx, 0, "swarm", "init", "--advertise-addr", vtep(0), "--listen-addr", vtep(0),
		"--data-path-port", "7789"); err != nil {
		return err
	}
	token, err := d.docker(ctx, 0, "swarm", "join-token", "--quiet", "worker")
	if err != nil {
		return err
	}
	if _, err := d.docker(ctx, last, "swarm", "join", "--token", token, "--advertise-addr", vtep(last), vtep(0)+":2377"); err != nil {
		return err
	}
	if _, err := d.docker(ctx, 0, "network", "create", "--driver", "overlay", "--attachable", "--subnet", "10.32.0.0/16", networkName(dockerOverlay)); err != nil {
		return err
	}
	if _, err := d.docker(ctx, last, "run", "--detach", "--name", overlayResident, "--network", networkName(dockerOverlay), dockerImage, "sleep", "infinity"); err != nil {
		return err
	}
	pid, err := d.docker(ctx, last, "inspect", "--format", "{{.State.Pid}}", overlayResident)
	if err != nil {
		return err
	}
	d.networks[dockerOverlay] = &dockerNetwork{prefix: "10.32", from: []string{"nsenter", "--net=/proc/" + pid + "/ns/net", "--"}}
	probe, err := d.start(ctx, 0, dockerOverlay)
	return errors.Join(err, d.remove(ctx, 0, probe))
}

// dockerStart is one container that was started.
type dockerStart struct {
	name, address string
	returned      float64 // ms that docker run took
}

// start starts a container and waits until it is pinged.
func (d *dockerRun) start(ctx context.Context, host int, side string) (s dockerStart, err error) {
	d.mu.Lock()
	d.next++
	n := d.next
	d.mu.Unlock()
	network := d.networks[side]
	s.name = fmt.Sprint("bench-", side, "-", n)
	args := []string{"run", "--detach", "--name", s.name, "--network", networkName(side)}
	if network.prefix != "" {
		s.address = fmt.Sprintf("%s.%d.%d", network.prefix, 100+n/200, 1+n%200)
		args = append(args, "--ip", s.address)
	}
	began := time.Now()
	if _, err := d.docker(ctx, host, append(args, dockerImage, "sleep", "infinity")...); err != nil {
		return s, err
	}
	s.returned = milliseconds(time.Since(began))
	if s.address == "" {
		return s, nil
	}
	from := network.from
	if network.fromHost {
		from = []string{"ip", "netns", "exec", d.Hosts[host].NetNS}
	}
	_, err = output(ctx, "", append(from[:len(from):len(from)], "ping", "-n", "-q", "-i", "0.01", "-c", "1", "-w", "20", s.address)...)
	d.mu.Lock()
	defer d.mu.Unlock()
	network.pinged = append(network.pinged, milliseconds(time.Since(began)))
	return s, err
}

func milliseconds(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

func (d *dockerRun) remove(ctx context.Context, host int, s dockerStart) error {
	_, err := d.docker(ctx, host, "rm", "--force", s.name)
	return err
}

// one compares the start of one container.
func (d *dockerRun) one(ctx context.Context) error {
	sides := []string{dockerSluice, dockerBridge, dockerNone}
	if d.without == "" {
		sides = append(sides, dockerOverlay)
	}
	var turns []Side
	for _, side := range sides {
		turns = append(turns, Side{side, func(ctx context.Context) (float64, error) {
			s, err := d.start(ctx, 0, side)
			if err != nil {
				return 0, err
			}
			return s.returned, d.remove(ctx, 0, s)
		}})
	}
	more := *d.Run
	more.Rounds = d.Rounds * d.Size(dockerStarts)
	samples, err := more.TakeTurns(ctx, turns...)
	if err != nil {
		return err
	}
	others := []Other{{"Docker's bridge", AtMost(bridgeBound), samples[1]}, {"no network", nil, samples[2]}}
	if d.without == "" {
		others = append(others, Other{"Docker's overlay", AtMost(overlayBound), samples[3]})
	}
	res := Compare("ms", samples[0], others...)
	res.Params = map[string]any{"what": "docker run", "at once": 1}
	for i, side := range sides {
		res.Facts = append(res.Facts, Fact{Name: "p99 of " + side, Value: quantile(samples[i], 0.99), Unit: "ms"})
		if pinged := d.networks[side].pinged; len(pinged) > 0 {
			res.Facts = append(res.Facts,
				Fact{Name: "first ping answered, " + side, Value: quantile(pinged, 0.5), Unit: "ms"},
				Fact{Name: "first ping answered, p99 of " + side, Value: quantile(pinged, 0.99), Unit: "ms"})
		}
	}
	if d.without != "" {
		res.Facts = append(res.Facts, Fact{Name: "overlay is not compared: " + d.without, Value: 0})
	}
	return d.Done(res)
}

// many starts containers at once on all hosts, with Sluice and with bridges.
func (d *dockerRun) many(ctx context.Context) error {
	n := d.Size(dockerCrowd)
	var last [2]float64
	var returned [2][]float64
	failures := 0
	for i, side := range []string{dockerBridge, dockerSluice} { // those with bridges run still beside ours
		d.Step("%d at once: %s", n, side)
		took, failed, err := d.crowd(ctx, side, n)
		if err != nil {
			return err
		}
		last[1-i], returned[1-i], failures = took.last, took.returned, failed
	}
	res := Compare("ms", returned[0], Other{"Docker's bridge", nil, returned[1]})
	res.Ratio = quantile(returned[0], 0.5) / quantile(returned[1], 0.5) // one of ours is not the pair of one of theirs
	res.Params = map[string]any{"what": "docker run", "at once": n}
	res.Facts = []Fact{
		{Name: "starts that failed", Value: float64(failures), Bound: Exactly(0)},
		{Name: "p99", Value: quantile(returned[0], 0.99), Unit: "ms"},
		{Name: "p99 of bridge", Value: quantile(returned[1], 0.99), Unit: "ms"},
		{Name: "the last one answers a ping after", Value: last[0] / 1000, Unit: "s"},
		{Name: "the last one of bridges answers a ping after", Value: last[1] / 1000, Unit: "s"},
	}
	return d.Done(res)
}

// crowdTimes are the times of containers that were started at once.
type crowdTimes struct {
	returned []float64 // ms that each docker run took
	last     float64   // ms until the last answered a ping
}

func (d *dockerRun) crowd(ctx context.Context, side string, n int) (times crowdTimes, failed int, err error) {
	started := make([]dockerStart, n)
	began := time.Now()
	err = sideBySide(ctx, n, func(ctx context.Context, i int) error {
		s, err := d.start(ctx, i%len(d.Hosts), side)
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("a container did not start", "network", side, "err", err)
			d.mu.Lock()
			failed++
			d.mu.Unlock()
		}
		started[i] = s
		return ctx.Err()
	})
	times.last = milliseconds(time.Since(began))
	for _, s := range started {
		if s.returned > 0 {
			times.returned = append(times.returned, s.returned)
		}
	}
	return times, failed, err
}
