package trace

import (
	"fmt"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// delivered is the end of a copy that a port or a kernel got.
func (d *describer) delivered(s *stage, at simulate.Delivery) End {
	e := End{Verdict: Delivered, Host: at.Host, Packet: packetText(&at.Packet)}
	if at.Kernel {
		e.Verdict = Left
		e.Text = fmt.Sprintf("left by gateway host %s: %s", at.Host, e.Packet)
		if s.iface == store.GatewayInterface { // the kernel itself sent the packet
			e.Verdict, e.Text = Answered, fmt.Sprintf("answered by the switch of %s: %s", at.Host, e.Packet)
		}
		return e
	}
	iface := s.ports[at.Host][at.Port]
	if iface == store.ResolverInterface {
		e.Text = fmt.Sprintf("delivered to the resolver of %s: %s", at.Host, e.Packet)
		return e
	}
	e.Port = d.portAt(at.Host, iface)
	if at.Host == s.host && iface == s.iface {
		e.Verdict, e.Text = Answered, fmt.Sprintf("answered by the switch of %s: %s", at.Host, e.Packet)
		return e
	}
	e.Text = fmt.Sprintf("delivered to %s on %s", e.Port, at.Host)
	return e
}

// lost is the end of a copy of which nothing more is known, or that left for nowhere. Its cause may
// name what only the cluster's operator sees.
func (d *describer) lost(s *stage, l simulate.Loss) End {
	host := s.walk.Hops[l.Hop].Host
	why, _, _ := strings.Cut(l.Err.Error(), "\n")
	e := End{Verdict: Lost, Host: host}
	switch {
	case !d.sees("") && l.Unknown:
		e.Verdict, why = Unknown, "what its switch holds is not known"
	case !d.sees(""):
		why = "it leads nowhere"
	case l.Unknown:
		e.Verdict = Unknown
	}
	if e.Verdict == Unknown {
		e.Text = fmt.Sprintf("not known what happens on %s: %s", host, why)
	} else {
		e.Text = fmt.Sprintf("lost on %s: %s", host, why)
	}
	return e
}

// drops are the ends of all copies that went no further in one switch.
func (d *describer) drops(hop simulate.Hop) (ends []End) {
	if hop.Result == nil {
		return nil
	}
	var refused *simulate.Step // by this step, until the drop table counted it
	for _, s := range hop.Result.Trace {
		e := End{Verdict: Dropped, Host: hop.Host, Table: flows.TableName(s.Table)}
		switch {
		case s.Flow == nil && refused == nil:
			e.Text = fmt.Sprintf("dropped on %s in table %s: no flow matches", hop.Host, e.Table)
		case s.Flow == nil || isDrop(s.Flow):
			e = d.refused(hop.Host, s, refused)
			refused = nil
		case len(s.Stopped) > 0:
			e.Text = fmt.Sprintf("dropped on %s in table %s: %s", hop.Host, e.Table, strings.Join(s.Stopped, ", "))
			e.Quiet = endsElsewhere(s)
		default:
			if _, refuses := flows.Refuses(s.Flow); refuses {
				refused = s
			}
			if goesOn(s.Flow.Actions) {
				continue
			}
			e.Text = fmt.Sprintf("dropped on %s in table %s: the flow of %s does no more with it", hop.Host, e.Table, d.ownerText(s.Flow))
			if back := isBack(s.Flow); back {
				e.Quiet, e.Text = true, fmt.Sprintf("not sent back to the port that sent it, on %s", hop.Host)
			}
		}
		ends = append(ends, e)
	}
	return ends
}

// endsElsewhere reports whether a flow sent other copies on.
func endsElsewhere(s *simulate.Step) bool { return len(s.Notes) > len(s.Stopped) }

// isDrop reports whether a flow is of the drop table, where refusals end.
func isDrop(f *of.Flow) bool {
	class, counts := flows.Account(f)
	return counts && class.Reason != ""
}

// isBack reports whether a flow ends a copy for the port that sent it, as base makes it.
func isBack(f *of.Flow) bool {
	return len(f.Actions) == 0 && len(f.Match) == 2 && flows.TableName(f.Table) == "account_in"
}

// refused is the end of what the drop table counted: by is what sent it there.
func (d *describer) refused(host string, at, by *simulate.Step) End {
	e := End{Verdict: Dropped, Host: host, Table: flows.TableName(at.Table)}
	if by == nil {
		e.Text = fmt.Sprintf("dropped on %s in table %s: without a reason", host, e.Table)
		return e
	}
	why, _ := flows.Refuses(by.Flow)
	e.Quiet = why.Name == flows.ReasonElsewhere
	e.Table, e.Reason, e.Allow = flows.TableName(by.Table), why.Name, why.Allow
	e.Text = fmt.Sprintf("dropped on %s in table %s: %s: %s", host, e.Table, why.Name, why.Text)
	return e
}

func (d *describer) ownerText(f *of.Flow) string {
	if !d.owns(f.Cookie) {
		return "the cluster"
	}
	owner := flows.Owner(d.state, f.Cookie)
	if strings.HasPrefix(owner, "unknown") {
		return "nobody that is known"
	}
	return owner
}

// goesOn reports whether actions send the packet anywhere.
func goesOn(actions []of.Action) bool {
	for _, a := range actions {
		switch a := a.(type) {
		case of.Output, of.OutputField, of.Resubmit, of.GotoTable:
			return true
		case of.CT:
			if a.Table != of.TableAll {
				return true
			}
		case of.Clone:
			if goesOn(a.Actions) {
				return true
			}
		}
	}
	return false
}
