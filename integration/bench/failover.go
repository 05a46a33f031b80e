package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

const (
	// killsInARound is how often a gateway host loses its power in a round, with and without a controller.
	killsInARound = 2
	// pingEvery is between two pings of the outside; what is told is no finer.
	pingEvery = 20 * time.Millisecond
	// gapMedian and gapWorst bound the time without an answer, in milliseconds.
	gapMedian, gapWorst = 500, 1000
	// afterKill is how long pings go on after a kill: longer than any gap that holds, and shorter than the leader waits.
	afterKill = 3 * time.Second

	failOverTenant = "fail-over"
)

func failOverCase() Case {
	return Case{
		Name:  "fail-over",
		About: "a gateway host loses its power: how long pings of the outside, one each 20 ms, have no answer, from a third host and from the backup itself",
		Ratio: "Each round kills the gateway host's agent, switch and database twice with all controllers there, and twice with none and no etcd. " +
			"A sample is the longest time between two answers. The ratio is that of a third host's to that of the backup's, and nothing bounds it. " +
			"False alarms are fail-overs while nothing dies: of all switches that find another dead, over three minutes in which all processors are busy " +
			"twice over, all controllers end and come back, and switches with 100,000 flows lose all of them and get them again.",
		Needs: labPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) error { return (&failOverRun{labRun: l}).measure(ctx) })
		},
	}
}

// failOverRun kills gateway hosts of one tenant, which has a container on each host.
type failOverRun struct {
	*labRun
	boxes []container // by host
	// addresses of the boxes, once they are attached.
	addresses []string
}

func (f *failOverRun) measure(ctx context.Context) error {
	boxes, err := newContainers(ctx, len(f.Hosts))
	if err != nil {
		return err
	}
	f.boxes = boxes
	if err := f.begin(ctx); err != nil {
		return err
	}
	for _, alone := range []bool{false, true} {
		if err := f.kills(ctx, alone); err != nil {
			return err
		}
	}
	return f.alarms(ctx)
}

// begin has gateways fail over, and attaches the containers.
func (f *failOverRun) begin(ctx context.Context) error {
	if _, err := f.api.SetFailOver(ctx, client.FailOver{On: true}); err != nil {
		return err
	}
	if _, err := f.api.CreateTenant(ctx, client.TenantSpec{Name: failOverTenant}); err != nil {
		return err
	}
	for host, box := range f.boxes {
		a, err := f.attach(ctx, host, failOverTenant, box)
		if err != nil {
			return err
		}
		f.addresses = append(f.addresses, plainAddress(a))
	}
	return nil
}

// kills takes samples, with controllers there or none.
func (f *failOverRun) kills(ctx context.Context, alone bool) error {
	var third, backup []float64
	for round := range f.Rounds {
		for n := range killsInARound {
			f.Step("round %d of %d: kill %d, controllers dead: %t", round+1, f.Rounds, n+1, alone)
			a, b, err := f.kill(ctx, alone)
			if err != nil {
				return err
			}
			third, backup = append(third, a), append(backup, b)
		}
	}
	res := Compare("ms", third, Other{Name: "a container on the backup", Samples: backup})
	res.Params = map[string]any{"what": "no answer", "controllers": map[bool]string{false: "alive", true: "dead"}[alone]}
	res.Facts = []Fact{
		{Name: "median, a third host", Value: quantile(third, 0.5), Unit: "ms", Bound: AtMost(gapMedian)},
		{Name: "worst, a third host", Value: slices.Max(third), Unit: "ms", Bound: AtMost(gapWorst)},
		{Name: "median, the backup", Value: quantile(backup, 0.5), Unit: "ms", Bound: AtMost(gapMedian)},
		{Name: "worst, the backup", Value: slices.Max(backup), Unit: "ms", Bound: AtMost(gapWorst)},
	}
	return f.Done(res)
}

// kill takes one sample of each, and brings the lab back up.
func (f *failOverRun) kill(ctx context.Context, alone bool) (third, backup float64, err error) {
	g, err := f.ready(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.forget(context.WithoutCancel(ctx))) }()
	if alone {
		if err := lab.Kill(ctx, "controller"); err != nil {
			return 0, 0, err
		}
	}
	gaps := map[string]float64{}
	var pings []*pinger
	for host, box := range f.boxes {
		if name := f.Hosts[host].Name; name != g.Active {
			p, err := startPings(ctx, box, name, lab.InternetAddress.String())
			if err != nil {
				return 0, 0, err
			}
			defer p.stop()
			pings = append(pings, p)
		}
	}
	time.Sleep(time.Second)
	if err := lab.Kill(ctx, g.Active); err != nil {
		return 0, 0, err
	}
	time.Sleep(afterKill)
	for _, p := range pings {
		if gaps[p.from], err = p.gap(); err != nil {
			return 0, 0, err
		}
		if p.from != g.Backup {
			third = gaps[p.from]
		}
	}
	return third, gaps[g.Backup], nil
}

// forget starts agents and controllers anew, and what else has ended: they remember which hosts died, and would use
// one that dies again and again ever later.
func (f *failOverRun) forget(ctx context.Context) error {
	targets := []string{"controller"}
	for _, name := range f.names() {
		targets = append(targets, "agent/"+name)
	}
	for _, target := range targets {
		_ = lab.Kill(ctx, target) // it may have been killed before
	}
	return f.raise(ctx)
}

// ready waits until the tenant has a backup, and all switches find all gateway hosts alive and ask for that.
func (f *failOverRun) ready(ctx context.Context) (g client.Gateway, err error) {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	err = until(ctx, func() error {
		if g, err = f.api.Gateway(ctx, failOverTenant); err != nil || g.Backup == "" || !g.Settled() {
			return errors.Join(err, fmt.Errorf("the gateway is %+v", g.Gateway))
		}
		for host := range f.Hosts {
			if err := f.probes(ctx, host, g); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return g, err
	}
	for _, box := range f.boxes {
		if err := pingUntilAnswered(ctx, box.netns, lab.InternetAddress.String()); err != nil {
			return g, err
		}
	}
	return g, nil
}

// probes fails where a host's switch does not find the others alive, or does not steer by it.
func (f *failOverRun) probes(ctx context.Context, host int, g client.Gateway) error {
	sw := f.Hosts[host].Switch()
	for _, other := range f.Hosts {
		if other.Name == f.Hosts[host].Name {
			continue
		}
		is, err := sw.VSCtl(ctx, "get", "interface", store.ProbeInterface(other.Name), "bfd_status:forwarding")
		if err == nil && strings.Trim(is, "\"\n") != "true" {
			err = fmt.Errorf("host %s does not find %s alive", f.Hosts[host].Name, other.Name)
		}
		if err != nil {
			return err
		}
	}
	if f.Hosts[host].Name == g.Active {
		return nil
	}
	text, err := sw.OFCtl(ctx, "dump-flows", store.BridgeName)
	if err == nil && !strings.Contains(text, "bundle_load(") {
		err = fmt.Errorf("host %s steers nothing", f.Hosts[host].Name)
	}
	return err
}

// pinger pings an address from a container until it is stopped.
type pinger struct {
	from string // a word for it in errors
	cmd  *exec.Cmd
	out  bytes.Buffer
	done bool
}

func startPings(ctx context.Context, box container, from, address string) (*pinger, error) {
	p := &pinger{from: from}
	p.cmd = exec.CommandContext(ctx, "ip", "netns", "exec", box.netns,
		"ping", "-n", "-D", "-i", fmt.Sprint(pingEvery.Seconds()), address)
	p.cmd.Stdout = &p.out
	return p, p.cmd.Start()
}

func (p *pinger) stop() {
	if !p.done {
		p.done = true
		_ = p.cmd.Process.Signal(os.Interrupt)
		_ = p.cmd.Wait() // it fails, since pings were lost
	}
}

// gap ends the pings and is the longest time between two answers, in milliseconds. Where the last is old they never came back.
func (p *pinger) gap() (float64, error) {
	p.stop()
	times, err := answerTimes(p.out.Bytes())
	if err != nil {
		return 0, err
	}
	if len(times) < 2 || float64(time.Now().UnixMilli())/1000-times[len(times)-1] > (afterKill/2).Seconds() {
		return 0, fmt.Errorf("pings from %s were not answered again in time", p.from)
	}
	longest := 0.0
	for n := range times[1:] {
		longest = max(longest, times[n+1]-times[n])
	}
	return math.Round(longest * 1000), nil
}

// lost ends the pings and is how many before the last answer had none.
func (p *pinger) lost() int {
	p.stop()
	answers, last := 0, 0
	for _, found := range sequenceIn.FindAllSubmatch(p.out.Bytes(), -1) {
		seq, _ := strconv.Atoi(string(found[1])) // digits
		answers, last = answers+1, max(last, seq)
	}
	return last - answers
}

var sequenceIn = regexp.MustCompile(`icmp_seq=(\d+) ttl=`)

// answerTimes are when answers came, in seconds, as ping -D prints them.
func answerTimes(text []byte) (times []float64, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		stamp, rest, is := strings.Cut(strings.TrimPrefix(lines.Text(), "["), "] ")
		if !is || !strings.Contains(rest, "bytes from") {
			continue
		}
		at, err := strconv.ParseFloat(stamp, 64)
		if err != nil {
			return nil, fmt.Errorf("ping says %q: %w", lines.Text(), err)
		}
		times = append(times, at)
	}
	return times, nil
}
