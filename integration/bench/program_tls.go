package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"sluice/datapath"
	"sluice/datapath/ovsrun"
	"sluice/pki"
)

// programOfClear bounds the rate over TLS, of the rate in the clear.
const programOfClear = 0.8

// besideTLS sends the same flows to the same bridge over two sessions, one with TLS.
func (p *programmer) besideTLS(ctx context.Context, r *Run) error {
	r.Step("connecting over TLS")
	secure, stop, err := p.secured(ctx, r)
	if err != nil {
		return err
	}
	defer stop()
	var spent [2]float64 // processor time, in seconds
	over := func(s session, spent *float64) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			return p.rate(ctx, func() error {
				before := processorTime()
				err := s.Commit(ctx, &datapath.Bundle{Mods: p.mods})
				*spent += processorTime() - before
				return err
			})
		}
	}
	samples, err := r.TakeTurns(ctx, Side{"Sluice over TLS", over(secure, &spent[0])}, Side{"Sluice in the clear", over(p.session, &spent[1])})
	if err != nil {
		return err
	}
	rounds := float64(len(samples[0]))
	res := Compare("flows/s", samples[0], Other{"Sluice in the clear", AtLeast(programOfClear), samples[1]})
	res.Params = map[string]any{"flows": r.Size(programFlows), "what": "over TLS"}
	res.Facts = []Fact{
		{"processor time of sending over TLS", spent[0] / rounds, "s", nil},
		{"processor time of sending in the clear", spent[1] / rounds, "s", nil},
	}
	return r.Done(res)
}

// secured is one more session of the bridge, over TLS, kept until stop.
func (p *programmer) secured(ctx context.Context, r *Run) (s session, stop func(), err error) {
	server, err := p.certify(ctx, r)
	if err != nil {
		return session{}, nil, fmt.Errorf("certificates of the switch and its controller: %w", err)
	}
	l, target, err := p.listen()
	if err != nil {
		return session{}, nil, err
	}
	serving, cancel := context.WithCancel(ctx)
	b := &testbed{ovs: p.ovs, sessions: make(chan session), stop: cancel, served: make(chan error, 1), tls: server}
	go b.serve(serving, l, r.Log)
	ended := func() { cancel(); <-b.served }
	err = p.Change(ctx, func(c *ovsrun.Change) error {
		return errors.Join(
			c.Also("--id=@tls", "create", "controller", fmt.Sprintf("target=%q", "ssl:"+strings.TrimPrefix(target, "tcp:")),
				"connection_mode=out-of-band", "max_backoff=1000", "inactivity_probe=0"),
			c.Also("add", "bridge", bridge, "controller", "@tls"))
	})
	if err == nil {
		s, err = b.connected(ctx)
	}
	if err != nil {
		ended()
		return session{}, nil, err
	}
	return s, ended, nil
}

// certify makes an authority, and certificates of both sides, and gives the switch its own.
func (p *programmer) certify(ctx context.Context, r *Run) (*tls.Config, error) {
	dir := p.Path("pki")
	a, err := pki.CreateAuthority(dir)
	if err != nil {
		return nil, err
	}
	for _, who := range []pki.Identity{pki.Host("bench"), pki.Controller("bench")} {
		if err := a.Issue(dir, who, nil, pki.Lifetime); err != nil {
			return nil, err
		}
	}
	controller, err := pki.Open(dir, pki.Controller("bench"), r.Log)
	if err != nil {
		return nil, err
	}
	host, err := pki.Open(dir, pki.Host("bench"), r.Log)
	if err != nil {
		return nil, err
	}
	_, err = p.VSCtl(ctx, "set-ssl", host.File(), host.File(), host.AuthorityFile())
	return controller.Server(tls.RequireAndVerifyClientCert), err
}
