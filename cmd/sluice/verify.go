package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/flows/verify"
	"sluice/store"
)

// verifyFlags say what to prove.
type verifyFlags struct {
	hosts, dumps []string
	state        string
}

func verifyCommand() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove over the flows that the switches hold that tenants are kept apart",
		Long: `Prove over the flows that the switches hold now, for all packets, that no packet reaches another
tenant, leaves by a way that the store does not allow, or speaks with an address that its port
was not given. Nothing is compiled for it. docs/proof.md says what is proved, from which
assumptions, and what is not.

Of each host the verdict is proved; false, with a counterexample: a packet, the hosts and tables
that it crosses, and the flow with its owner; unproved: a flow breaks a rule of the proof, and no
packet was found that uses it; or unread: the switch has no session with the controller that is
asked. All but proved exit 1.

--dump proves saved dumps instead: FILE is what sluice flows -o json wrote, or with HOST= before
it what ovs-ofctl --no-names dump-flows wrote of that host's switch. A dump that is cut short, or
has a flow that is not known, is refused. They are proved by the store as the API tells it now, or
as a FILE of --state tells it, which is what GET /v1/state answered.`,
		Example: `  sluice verify
  sluice verify --host h1 -o json
  sluice verify --dump flows.json
  sluice verify --dump h1=h1.flows --state state.json`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.hosts, "host", nil, "only this `HOST`; may be repeated (default all)")
	f.StringArrayVar(&o.dumps, "dump", nil, "prove this `[HOST=]FILE` instead of the switch; may be repeated")
	f.StringVar(&o.state, "state", "", "prove dumps by the store in this `FILE`, and ask no API")
	completeFlag(cmd, "host", hostNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		found, err := o.verify(cmd.Context(), c)
		if err != nil {
			return err
		}
		if err := out.print(cmd.OutOrStdout(), found, func(w io.Writer) { writeVerification(w, found) }); err != nil {
			return err
		}
		return verdictOf(found)
	})
}

func (o *verifyFlags) verify(ctx context.Context, c *client.Client) (client.Verification, error) {
	switch {
	case len(o.dumps) > 0:
		return o.verifyDumps(ctx, c)
	case o.state != "":
		return client.Verification{}, usagef("--state is for --dump: the switches are proved by the store as it is")
	}
	return o.verifySwitches(ctx, c)
}

// hostsAtOnce is for how many hosts one request asks: the answer to each has to come within a minute.
const hostsAtOnce = 16

func (o *verifyFlags) verifySwitches(ctx context.Context, c *client.Client) (all client.Verification, err error) {
	if err := checkParts(o.hosts...); err != nil {
		return all, err
	}
	hosts := o.hosts
	if len(hosts) == 0 {
		if hosts, err = hostNames(ctx, c); err != nil {
			return all, err
		}
	}
	all.Hosts = []client.VerifiedHost{}
	for some := range slices.Chunk(hosts, hostsAtOnce) {
		part, err := c.Verify(ctx, some...)
		if err != nil {
			return all, err
		}
		if len(part.Hosts) != len(some) {
			return all, fmt.Errorf("the API tells of %d of the %s that were asked for", len(part.Hosts), counted(len(some), "host"))
		}
		all.Revision, all.Hosts = part.Revision, append(all.Hosts, part.Hosts...)
	}
	return all, nil
}

// verifyDumps proves what was saved. The counterexamples cross only hosts of which there are dumps.
func (o *verifyFlags) verifyDumps(ctx context.Context, c *client.Client) (all client.Verification, err error) {
	snapshot, err := o.snapshot(ctx, c)
	if err != nil {
		return all, err
	}
	state, err := snapshot.State()
	if err != nil {
		return all, err
	}
	tables, err := o.tables(state, snapshot.Ports)
	if err != nil {
		return all, err
	}
	all = client.Verification{Revision: state.Revision(), Hosts: []client.VerifiedHost{}}
	for _, t := range tables {
		all.Hosts = append(all.Hosts, api.VerifyTables(state, t, tables))
	}
	return all, nil
}

func (o *verifyFlags) snapshot(ctx context.Context, c *client.Client) (verify.Snapshot, error) {
	if o.state == "" {
		return c.State(ctx)
	}
	var s verify.Snapshot
	text, err := os.ReadFile(o.state)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("state %s: it is not what GET /v1/state answers, or cut short: %w", o.state, err)
	}
	return s, nil
}

// tables are those of the dumps, by the hosts' names.
func (o *verifyFlags) tables(state *store.State, ports map[string]map[string]uint32) (list []prove.Tables, err error) {
	dumps, err := o.readDumps()
	if err != nil {
		return nil, err
	}
	for _, host := range slices.Sorted(maps.Keys(dumps)) {
		switch {
		case state.Host(host) == nil:
			return nil, fmt.Errorf("dump of host %s: no host of that name is in the store: see sluice host list", host)
		case ports[host] == nil:
			return nil, fmt.Errorf("dump of host %s: the numbers of its switch's ports are not known: ask the controller that has a session with it, with --api", host)
		}
		list = append(list, prove.Tables{Switch: flows.Switch{Host: host, OFPort: ports[host]}, Flows: dumps[host]})
	}
	return list, nil
}

// readDumps reads all dumps. With --host only those of these hosts are wanted, and a file without a
// host's name is the only host's.
func (o *verifyFlags) readDumps() (map[string][]openflow.Flow, error) {
	all := map[string][]openflow.Flow{}
	for _, arg := range o.dumps {
		host, file, named := strings.Cut(arg, "=")
		if !named {
			host, file = "", arg
		}
		if !named && len(o.hosts) == 1 {
			host = o.hosts[0]
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		of, err := verify.Parse(host, string(text))
		if err != nil {
			return nil, fmt.Errorf("dump %s: %w", file, err)
		}
		for host, list := range of {
			if _, twice := all[host]; twice {
				return nil, usagef("--dump %s: there is another dump of host %s", arg, host)
			}
			all[host] = list
		}
	}
	return o.wanted(all)
}

func (o *verifyFlags) wanted(all map[string][]openflow.Flow) (map[string][]openflow.Flow, error) {
	for _, host := range o.hosts {
		if _, has := all[host]; !has {
			return nil, fmt.Errorf("host %s: no dump is of it", host)
		}
	}
	if len(o.hosts) > 0 {
		maps.DeleteFunc(all, func(host string, _ []openflow.Flow) bool { return !slices.Contains(o.hosts, host) })
	}
	return all, nil
}

// verdictOf is nil where every host is proved.
func verdictOf(v client.Verification) error {
	var not []string
	for _, h := range v.Hosts {
		if h.Verdict != verify.Proved {
			not = append(not, fmt.Sprintf("%s (%s)", h.Host, h.Verdict))
		}
	}
	switch {
	case len(v.Hosts) == 0:
		return errors.New("isolation is not proved: there is no host")
	case len(not) > 0:
		return fmt.Errorf("isolation is not proved on %d of %s: %s", len(not), counted(len(v.Hosts), "host"), strings.Join(not, ", "))
	}
	return nil
}

func writeVerification(w io.Writer, v client.Verification) {
	p := painterFor(w)
	g := columns("host", "verdict", "flows", "findings", "read")
	for _, h := range v.Hosts {
		g.row(h.Host, p.proved(h.Verdict == verify.Proved, string(h.Verdict)), positive(h.Flows), positive(len(h.Findings)+h.More), clock(h.Read))
	}
	g.write(w)
	for i := range v.Hosts {
		writeVerified(w, p, &v.Hosts[i])
	}
}

// clock is a time to the second, or nothing.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func writeVerified(w io.Writer, p painter, h *client.VerifiedHost) {
	if h.Why != "" {
		fmt.Fprintf(w, "\n%s %s is not looked at: %s\n%s\n", p.bad("Host"), h.Host, h.Why, lastProof(h))
	}
	for i := range h.Findings {
		writeFinding(w, p, h.Host, &h.Findings[i])
	}
	if h.More > 0 {
		fmt.Fprintf(w, "\nand %d more on host %s\n", h.More, h.Host)
	}
}

// lastProof says how old what is known of an unread host is.
func lastProof(h *client.VerifiedHost) string {
	switch {
	case h.Last.IsZero():
		return "Nothing was ever proved of it here"
	case h.Last.Equal(h.LastWhole):
		return "The last proof of it here is of " + clock(h.Last)
	}
	return fmt.Sprintf("The last proof of it here is of %s, and all its flows were last read at %s", clock(h.Last), clock(h.LastWhole))
}

func writeFinding(w io.Writer, p painter, host string, f *verify.Finding) {
	fmt.Fprintf(w, "\n%s on host %s: %s\n", p.bad(strings.ToUpper(string(f.Verdict[:1]))+string(f.Verdict[1:])), host, f.Text)
	facts(w, "  flow", f.Flow, "  owner", f.Owner, "  rule", f.Rule+": "+f.Asks, "  shadowed by", f.ShadowedBy)
	e := f.Counterexample
	if e == nil {
		fmt.Fprintln(w, "  no packet was found that this flow lets through")
		return
	}
	fmt.Fprintf(w, "  %s\n", e.Law)
	for _, s := range e.Sends {
		fmt.Fprintf(w, "  %s sends %s\n", s.From, s.Packet)
		writeWay(w, s.Steps, f.Flow)
	}
}

// writeWay writes a line a table, and marks the flow that is to blame.
func writeWay(w io.Writer, steps []verify.Crossing, blamed string) {
	for _, s := range steps {
		mark, flow := " ", brief(s.Flow)
		if s.Flow == blamed {
			mark = ">"
		}
		if s.Flow == "" {
			flow = "no flow matches"
		}
		fmt.Fprintf(w, "  %s %-4s %-12s %s", mark, s.Host, s.Table, flow)
		if s.Owner != "" {
			fmt.Fprintf(w, "  # %s", s.Owner)
		}
		fmt.Fprintln(w)
	}
}

// proved colours a verdict.
func (p painter) proved(holds bool, verdict string) string {
	if holds {
		return p.paint(verdict, color.FgGreen)
	}
	return p.paint(verdict, color.FgRed)
}
