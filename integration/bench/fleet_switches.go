package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"sluice/datapath/fake"
	"sluice/datapath/openflow"
	"sluice/datapath/ovsdb"
)

// fleetRequest is one line that the process of switches reads; it answers each with a
// fleetCounts.
type fleetRequest struct {
	Host int            // of Port
	Port *openflow.Port // to add; nil: only count
}

// fleetCounts are what the switches were asked to do since the process started.
type fleetCounts struct {
	Mods        []int64 // by host
	Flows       int     // held by all
	Refused     int64
	Commits     int64
	Dumps       int64
	LastBarrier time.Time
}

// mods is the sum over all hosts.
func (c *fleetCounts) mods() int64 {
	sum := int64(0)
	for _, n := range c.Mods {
		sum += n
	}
	return sum
}

// RunSwitches simulates the switches of a fleet, all dialling one controller, and answers
// requests from in on out until in or ctx ends.
func RunSwitches(ctx context.Context, size FleetSize, controller string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var all []*fake.Switch
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for h, ports := range newFleet(size).interfaces() {
		s := fake.New(fleetDatapath(h), ports...)
		s.Probe = ovsdb.InactivityProbe
		all = append(all, s)
		running.Go(func() { s.Run(ctx, "tcp", controller) })
	}
	requests, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var r fleetRequest
		if err := requests.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		if r.Port != nil {
			all[r.Host].SetPort(*r.Port)
		}
		if err := answers.Encode(countAll(all)); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func countAll(all []*fake.Switch) fleetCounts {
	var sum fleetCounts
	for _, s := range all {
		c := s.Counts()
		sum.Mods = append(sum.Mods, c.Mods())
		sum.Flows += s.Flows()
		sum.Refused += c.Refused
		sum.Commits += c.Commits
		sum.Dumps += c.Dumps
		if c.LastBarrier.After(sum.LastBarrier) {
			sum.LastBarrier = c.LastBarrier
		}
	}
	return sum
}
