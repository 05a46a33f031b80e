// Package demo tells what Sluice does, on a lab of its own, as a user would find out: two
// tenants with the same addresses on three hosts, what they reach and what they do not.
// Every line is something that was tried, with its verdict.
//
// It must leave nothing behind, whatever happens, and must not touch a lab that it did not
// start.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/fatih/color"

	"sluice/integration/lab"
)

// Options say where to show the demonstration and which sluice to use.
type Options struct {
	Binary string // the sluice binary
	Out    io.Writer
}

// hosts of the demonstration; each tenant has a container on each.
var hosts = []string{"h1", "h2", "h3"}

// cast is a tenant of the story.
type cast struct {
	name, segmentation string
	gateway, seen      string // its gateway host and that host's address
	first              int    // last number of its first container's address
}

var (
	alice = cast{"alice", "tunnel", "h1", "172.30.0.1", 11}
	bob   = cast{"bob", "vlan", "h2", "172.30.0.2", 21}
)

const subnet = "10.0.0.0/24"

func (c cast) container(host int) string { return fmt.Sprintf("%s-%s", c.name, hosts[host]) }

func (c cast) ip(host int) string { return fmt.Sprintf("10.0.0.%d", c.first+host) }

// show is a demonstration that runs.
type show struct {
	Options
	held, broken int
}

// Run shows everything and cleans up. It returns an error unless every step held.
func Run(ctx context.Context, o Options) (err error) {
	if _, err := lab.Load(ctx); !errors.Is(err, lab.ErrNotRunning) {
		return errors.New("a lab is running here, which may be in use: sluice lab down removes it")
	}
	s := &show{Options: o}
	began := time.Now()
	s.chapter("A cluster on this machine: 3 hosts with Open vSwitch, one controller with etcd, an internet")
	defer func() { err = errors.Join(err, s.cleanUp(ctx)) }()
	if err := lab.Up(ctx, lab.Options{Hosts: len(hosts), Binary: o.Binary, Out: o.Out}); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{
		s.populate, s.sameTenant, s.otherTenant, s.egress, s.table, s.counters, s.proof, s.deletion,
	} {
		if err := act(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.chapter("")
	if s.broken > 0 {
		return fmt.Errorf("%d of %d steps did not hold", s.broken, s.held+s.broken)
	}
	s.say("All %d steps held, in %.0f s.\n", s.held, time.Since(began).Seconds())
	return nil
}

// cleanUp also works after an interrupt.
func (s *show) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := lab.Down(ctx); err != nil {
		return fmt.Errorf("remove the lab: %w", err)
	}
	s.say("The lab is removed.\n")
	return nil
}

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

func (s *show) chapter(title string) {
	s.say("\n%s\n", color.New(color.Bold).Sprint(title))
}

// check tries one claim and prints its verdict.
func (s *show) check(claim string, try func() (detail string, err error)) {
	detail, err := try()
	if err != nil {
		s.broken++
		s.say("  %s %s: %v\n", color.RedString("✗"), claim, err)
		return
	}
	s.held++
	if detail != "" {
		detail = color.New(color.Faint).Sprint("  " + detail)
	}
	s.say("  %s %s%s\n", color.GreenString("✓"), claim, detail)
}

// sluice runs a command as a user would and returns what it printed.
func (s *show) sluice(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return stdout.String(), fmt.Errorf("sluice %s: %w", strings.Join(args, " "), err)
	}
	return stdout.String(), nil
}

// typed shows a command as it is typed, runs it, and ends the demonstration where it fails:
// nothing after it could hold.
func (s *show) typed(ctx context.Context, args ...string) error {
	s.say("  $ sluice %s\n", strings.Join(args, " "))
	_, err := s.sluice(ctx, args...)
	return err
}
