package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

const (
	// ovnSteady is the tenant of OVN's that stays while processes end.
	ovnSteady ovnTenant = 4000
	// ovnDisturbed are the tenants of each kind that are present while processes end. With 200 and its probes each 100 ms, OVN's hosts did
	// not agree within five minutes of a restart: two processors carry all of them.
	ovnDisturbed = 50
	// settleAfter is how long pings go on once what was ended is back.
	settleAfter = 3 * time.Second
	// ovnDeath bounds the time without a way out to OVN's with probes as often.
	ovnDeath = 0.5
	// bothTunings is from which scale OVN is measured with its defaults too, by which it takes seconds to notice a death.
	bothTunings  = 0.1
	gatewayPlace = 2 // of the host by which both leave
)

// tunings are settings of OVN's, by what a result calls them.
var tunings = []struct {
	name  string
	death *Bound
	after time.Duration // pings go on after a death: longer than OVN takes
	nb    []string      // options of NB_Global
	wait  string        // ovn-ofctrl-wait-before-clear
}{
	{"defaults", nil, 10 * time.Second, nil, "0"},
	{"tuned", AtMost(ovnDeath), 5 * time.Second, []string{"options:bfd-min-rx=100", "options:bfd-min-tx=100", "options:bfd-mult=4"}, "8000"},
}

// disturbed ends processes of both while a tenant of each pings.
func (o *ovnRun) disturbed(ctx context.Context) error {
	if err := o.reach(ctx, o.Size(ovnDisturbed)); err != nil {
		return err
	}
	if err := o.own.begin(ctx); err != nil {
		return err
	}
	if _, err := o.nb(ctx, ovnSteady.objects()...); err != nil {
		return err
	}
	for host, c := range o.rival {
		if err := errors.Join(o.plug(ctx, host, ovnSteady, c, "eth0"), o.address(ctx, host, c, "eth0")); err != nil {
			return err
		}
	}
	if err := o.synced(ctx); err != nil {
		return err
	}
	wanted := tunings
	if o.Scale < bothTunings {
		wanted = tunings[1:]
	}
	for _, tuned := range wanted {
		for host := range o.Hosts {
			if _, err := o.Hosts[host].Switch().VSCtl(ctx, "set", "open_vswitch", ".", "external_ids:ovn-ofctrl-wait-before-clear="+tuned.wait); err != nil {
				return err
			}
		}
		if tuned.nb != nil {
			if _, err := o.nb(ctx, append([]string{"set", "nb_global", "."}, tuned.nb...)...); err != nil {
				return err
			}
		}
		if err := o.sync(ctx); err != nil {
			return err
		}
		if err := errors.Join(o.restarts(ctx, tuned.name), o.deaths(ctx, tuned.name, tuned.after, tuned.death)); err != nil {
			return err
		}
	}
	return nil
}

// restarts ends what writes flows on the first host, and counts the pings that are lost between the first two. Both take turns: they share a
// switch, and what one has it do holds up the other's packets.
func (o *ovnRun) restarts(ctx context.Context, name string) error {
	samples, err := o.TakeTurns(ctx,
		Side{"restart of Sluice's", func(ctx context.Context) (float64, error) {
			return o.restart(ctx, o.own.boxes[0], o.own.addresses[1], o.restartOwn)
		}},
		Side{"restart of OVN's with its " + name, func(ctx context.Context) (float64, error) {
			return o.restart(ctx, o.rival[0], ovnAddress(1), func(ctx context.Context) error {
				return errors.Join(o.restartAgent(ctx, 0), o.sync(ctx))
			})
		}})
	if err != nil {
		return err
	}
	own, theirs := samples[0], samples[1]
	res := Result{Series: NewSeries("pings lost", own), Against: "OVN", Ratio: quantile(own, 1) / max(1, quantile(theirs, 1)), Bound: Exactly(0)}
	reference := NewSeries("pings lost", theirs)
	res.Reference, res.Params = &reference, map[string]any{"what": "restart of who writes flows", "OVN": name, "present": o.present}
	return o.Done(res)
}

// restartOwn kills the first host's agent and the controller, and starts both again.
func (o *ovnRun) restartOwn(ctx context.Context) error {
	for _, target := range []string{"agent/" + o.Hosts[0].Name, "controller"} {
		if err := lab.Kill(ctx, target); err != nil {
			return err
		}
	}
	return o.raise(ctx)
}

// restart is how many pings are lost between two containers while something is done.
func (o *ovnRun) restart(ctx context.Context, from container, address string, do func(context.Context) error) (lost float64, err error) {
	if err := pingUntilAnswered(ctx, from.netns, address); err != nil {
		return 0, err
	}
	p, err := startPings(ctx, from, "", address)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := errors.Join(sleep(ctx, time.Second), do(ctx), sleep(ctx, settleAfter)); err != nil {
		return 0, err
	}
	return float64(p.lost()), nil
}

// deaths kills the gateway host of both at once.
func (o *ovnRun) deaths(ctx context.Context, name string, after time.Duration, bound *Bound) error {
	var own, theirs []float64
	for round := range o.Rounds {
		o.Step("OVN with its %s, round %d of %d: the gateway host dies", name, round+1, o.Rounds)
		a, b, err := o.death(ctx, after)
		if err != nil {
			return err
		}
		own, theirs = append(own, a), append(theirs, b)
	}
	res := Compare("ms", own, Other{Name: "OVN", Bound: bound, Samples: theirs})
	res.Params = map[string]any{"what": "the gateway host dies: no way out", "OVN": name, "present": o.present}
	return o.Done(res)
}

func (o *ovnRun) death(ctx context.Context, after time.Duration) (own, theirs float64, err error) {
	if err := o.leaveByThird(ctx); err != nil {
		return 0, 0, err
	}
	var pings []*pinger
	for i, box := range []container{o.own.boxes[0], o.rival[0]} {
		p, err := startPings(ctx, box, []string{"by Sluice", "by OVN"}[i], lab.InternetAddress.String())
		if err != nil {
			return 0, 0, err
		}
		defer p.stop()
		pings = append(pings, p)
	}
	time.Sleep(time.Second)
	if err := lab.Kill(ctx, o.Hosts[gatewayPlace].Name); err != nil {
		return 0, 0, err
	}
	o.agents[gatewayPlace].End()
	time.Sleep(after)
	own, err1 := pings[0].gap()
	theirs, err2 := pings[1].gap()
	return own, theirs, errors.Join(err1, err2, o.own.forget(ctx), o.prepareAgain(ctx))
}

// prepareAgain gives OVN its place on a host that came back.
func (o *ovnRun) prepareAgain(ctx context.Context) error {
	return errors.Join(o.prepare(ctx, gatewayPlace), o.startAgent(ctx, gatewayPlace), o.sync(ctx))
}

// leaveByThird waits until both leave by the last host, and have another one ready.
func (o *ovnRun) leaveByThird(ctx context.Context) error {
	third := o.Hosts[gatewayPlace].Name
	g, err := o.own.ready(ctx)
	if err == nil && g.Active != third {
		if _, err = o.api.MoveGateway(ctx, failOverTenant, client.GatewayMove{Host: third}); err == nil {
			g, err = o.own.ready(ctx)
		}
	}
	if err == nil && g.Active != third {
		err = fmt.Errorf("tenant %s leaves by %s, not %s", failOverTenant, g.Active, third)
	}
	if err != nil {
		return err
	}
	if err := pingUntilAnswered(ctx, o.rival[0].netns, lab.InternetAddress.String()); err != nil {
		return fmt.Errorf("OVN has no way out: %w", err)
	}
	return sleep(ctx, settleAfter) // OVN's probes have found each other
}
