package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sluice/controller/client"
	"sluice/store"
)

// balanceFlags are what `sluice gateway balance` is told.
type balanceFlags struct {
	dryRun                    bool
	auto                      string
	timeout, window, coolDown time.Duration
	atOnce, perHour           int
}

func gatewayBalance() *cobra.Command {
	f := balanceFlags{timeout: store.BalanceDrainTimeout}
	cmd := &cobra.Command{
		Use:   "balance",
		Short: "Move gateways so that their hosts carry alike",
		Long: "Moves the gateways of tenants from hosts that carry much for their weight to those that carry little, without loss, once. Loads are\n" +
			"what tenants send and get through their gateway hosts, on the average over minutes. Moves end where no host carries more than\n" +
			"1.1 times its share, or where one tenant is larger than that. Tenants whose policy is central or names a host stay, as do those that\n" +
			"move or drain; hosts that are drained, not ready or not reached have no part. --dry-run shows the loads and the moves alone.\n" +
			"With --auto on the leader of the controllers does it by itself, whenever a host carries more than 1.2 times its share and 10 Mbit/s;\n" +
			"--window, --cool-down, --moves-an-hour and --at-once change how.",
		Example: `  sluice gateway balance --dry-run
  sluice gateway balance
  sluice gateway balance --auto on --moves-an-hour 20`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show the moves and the loads before and after them, and move nothing")
	cmd.Flags().StringVar(&f.auto, "auto", "", "`on|off`: whether the leader moves gateways by itself; nothing is moved now")
	cmd.Flags().DurationVar(&f.timeout, "timeout", f.timeout, "how long connections may go on through the host before: a `DURATION` such as 10m")
	cmd.Flags().IntVar(&f.atOnce, "at-once", store.DefaultBalanceAtOnce, "`NUMBER` of gateways that move at one time")
	cmd.Flags().IntVar(&f.perHour, "moves-an-hour", store.DefaultBalancePerHour, "`NUMBER` of moves an hour that the leader makes at most")
	cmd.Flags().DurationVar(&f.window, "window", store.DefaultBalanceWindow, "`DURATION` over which loads are averaged")
	cmd.Flags().DurationVar(&f.coolDown, "cool-down", store.DefaultBalanceCoolDown, "`DURATION` that the leader leaves a gateway where it is after a move")
	_ = cmd.RegisterFlagCompletionFunc("auto", cobra.FixedCompletions([]string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp))
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		order, changes, err := f.order(cmd)
		switch {
		case err != nil:
			return err
		case changes && f.dryRun:
			return usagef("--dry-run changes nothing: leave out --auto, --moves-an-hour, --window and --cool-down")
		case changes:
			return setBalance(cmd, c, out, order)
		}
		return f.balance(cmd, c, out)
	})
}

// order is what the flags change of the settings, if they change any.
func (f *balanceFlags) order(cmd *cobra.Command) (order client.BalanceOrder, changes bool, err error) {
	seconds := func(name string, d time.Duration) *int {
		if n := int(d / time.Second); cmd.Flags().Changed(name) {
			changes = true
			return &n
		}
		return nil
	}
	order.Window, order.CoolDown = seconds("window", f.window), seconds("cool-down", f.coolDown)
	if cmd.Flags().Changed("moves-an-hour") {
		if f.perHour < 1 || f.perHour > store.MaxBalancePerHour {
			return order, false, usagef("--moves-an-hour %d: give 1 to %d", f.perHour, store.MaxBalancePerHour)
		}
		order.PerHour, changes = &f.perHour, true
	}
	if f.auto != "" || cmd.Flags().Changed("auto") {
		on := f.auto == "on"
		if !on && f.auto != "off" {
			return order, false, usagef("--auto %q: give on or off", f.auto)
		}
		order.Auto, changes = &on, true
	}
	if cmd.Flags().Changed("at-once") {
		if f.atOnce < 1 || f.atOnce > store.MaxAtOnce {
			return order, false, usagef("--at-once %d: give 1 to %d", f.atOnce, store.MaxAtOnce)
		}
		if changes { // else it is for this time alone
			order.AtOnce = &f.atOnce
		}
	}
	return order, changes, nil
}

func setBalance(cmd *cobra.Command, c *client.Client, out *format, order client.BalanceOrder) error {
	is, err := c.SetBalance(cmd.Context(), order)
	if err != nil {
		return err
	}
	return out.print(cmd.OutOrStdout(), is, func(w io.Writer) { writeBalanceSettings(w, is) })
}

func writeBalanceSettings(w io.Writer, is client.BalanceSettings) {
	if !is.Auto {
		fmt.Fprintln(w, "the leader moves no gateways by itself: sluice gateway balance moves them once")
		return
	}
	fmt.Fprintf(w, "the leader moves gateways by itself: by loads of %s, %d at one time, %d an hour at most, each again after %s at the earliest\n",
		time.Duration(is.Window)*time.Second, is.AtOnce, is.PerHour, time.Duration(is.CoolDown)*time.Second)
}

// balance shows what is proposed, and does it.
func (f *balanceFlags) balance(cmd *cobra.Command, c *client.Client, out *format) error {
	b, err := c.Balance(cmd.Context())
	if err != nil {
		return err
	}
	if f.dryRun {
		return out.print(cmd.OutOrStdout(), b, func(w io.Writer) { writeBalance(w, b, nil) })
	}
	results, err := f.moveAll(cmd.Context(), c, b)
	printErr := out.print(cmd.OutOrStdout(), balanced{b, results}, func(w io.Writer) { writeBalance(w, b, results) })
	return cmp.Or(err, printErr)
}

// balanced is what was proposed and what became of each move.
type balanced struct {
	client.GatewayBalance
	Results []string `json:"results"`
}

// moveAll makes the moves in their order, some at one time, and says what became of each. One that is refused holds up no other.
func (f *balanceFlags) moveAll(ctx context.Context, c *client.Client, b client.GatewayBalance) ([]string, error) {
	results := make([]string, len(b.Moves))
	seconds := int(f.timeout / time.Second)
	var mu sync.Mutex
	var failed []string
	var g errgroup.Group
	g.SetLimit(f.atOnce)
	for n, m := range b.Moves {
		g.Go(func() error {
			order := client.GatewayMove{Host: m.To, Timeout: &seconds, Balance: fmt.Sprintf("%s carries %.2f times its share of traffic", m.From, b.Before)}
			_, err := c.MoveGateway(ctx, m.Tenant, order)
			if err == nil {
				_, err = awaitMove(ctx, c, m.Tenant, m.To)
			}
			if results[n] = "moved"; err != nil {
				results[n] = err.Error()
				mu.Lock()
				failed = append(failed, results[n])
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // each says its own error
	if len(failed) > 0 {
		return results, fmt.Errorf("%d of %s could not be made: the first: %s", len(failed), counted(len(results), "move"), failed[0])
	}
	return results, nil
}

func writeBalance(w io.Writer, b client.GatewayBalance, results []string) {
	h := columns("host", "weight", "tenants", "mbit/s", "then", "has no part")
	for _, host := range b.Hosts {
		h.row(host.Host, fmt.Sprint(host.Weight), fmt.Sprint(host.Tenants), megabits(host.Load), megabits(host.Then), host.Out)
	}
	h.write(w)
	if len(b.Moves) > 0 {
		fmt.Fprintln(w)
		writeGatewaySteps(w, b.Moves, results)
	}
	fmt.Fprintln(w)
	for _, line := range balanceWords(b) {
		fmt.Fprintln(w, line)
	}
}

func writeGatewaySteps(w io.Writer, moves []client.GatewayStep, results []string) {
	header := []string{"tenant", "from", "to", "mbit/s"}
	if results != nil {
		header = append(header, "result")
	}
	g := columns(header...)
	for n, m := range moves {
		row := []string{m.Tenant, m.From, m.To, megabits(m.Load)}
		if results != nil {
			row = append(row, results[n])
		}
		g.row(row...)
	}
	g.write(w)
}

// balanceWords say in sentences how hosts stand.
func balanceWords(b client.GatewayBalance) (lines []string) {
	switch {
	case b.Measured == 0:
		return []string{"nothing is measured yet: ask again in half a minute"}
	case len(b.Moves) == 0:
		lines = append(lines, fmt.Sprintf("the hottest host carries %.2f times its share: nothing is to move", b.Before))
	default:
		lines = append(lines, fmt.Sprintf("the hottest host carries %.2f times its share, and %.2f times after %s", b.Before, b.After, counted(len(b.Moves), "move")))
	}
	if b.Measured < b.Settings.Window {
		lines = append(lines, fmt.Sprintf("loads are those of the last %s alone: this controller began then", time.Duration(b.Measured)*time.Second))
	}
	if len(b.TooLarge) > 0 {
		lines = append(lines, fmt.Sprintf("more than one host's share by itself, so that no move helps: %s", strings.Join(b.TooLarge, ", ")))
	}
	return lines
}

// megabits are bytes a second as people say them.
func megabits(bytes float64) string { return fmt.Sprintf("%.1f", bytes*8/1e6) }
