package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProposeMove(t *testing.T) {
	s := batchState(Event{Key: HostKey("h2"), Created: 6, Modified: 7, Object: &Host{}},
		Event{Key: PortKey("h1", "batch", "db", "p"), Created: 7, Modified: 8, Object: &Port{UID: "p", Number: 9, MAC: MAC{2, 9}, Interface: "sl-p", Addresses: prefixes("10.0.0.5/24")}})
	m := PortMove{Key: PortKey("h1", "batch", "db", "p"), Host: "h2"}
	p, err := m.Propose(s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Writes {
		got = append(got, fmt.Sprint(e.Key.Short(), " ", e.Object == s.Port(m.Key).Value))
	}
	for _, pass := range p.Passes {
		got = append(got, pass.Dir+" "+pass.Value+" from "+pass.Owner.Short()+" to "+pass.To.Short())
	}
	for _, presumed := range p.Presumes {
		got = append(got, fmt.Sprintf("%s %s %d", presumed.Condition, presumed.Path, presumed.Revision))
	}
	want := []string{
		"ports/h1/batch/db/p false", "ports/h2/batch/db/p true",
		"ports batch/db/p from ports/h1/batch/db/p to ports/h2/batch/db/p", "port-numbers 9 from ports/h1/batch/db/p to ports/h2/batch/db/p",
		"macs batch/db/02:09:00:00:00:00 from ports/h1/batch/db/p to ports/h2/batch/db/p", "addresses batch/db/10.0.0.5 from ports/h1/batch/db/p to ports/h2/batch/db/p",
		"unchanged /sluice/v1/ports/h1/batch/db/p 8", "absent /sluice/v1/ports/h2/batch/db/p 0", "created at /sluice/v1/hosts/h2 6", "unchanged /sluice/v1/tenants/batch 5",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for name, tc := range map[string]struct {
		move PortMove
		more []Event
		want error
	}{
		"to where it is":          {PortMove{m.Key, "h1"}, nil, ErrExists},
		"a port that is not":      {PortMove{PortKey("h1", "batch", "db", "q"), "h2"}, nil, ErrNotFound},
		"to a host that is not":   {PortMove{m.Key, "h9"}, nil, ErrNotFound},
		"to a host not allowed":   {m, []Event{{Key: TenantKey("batch"), Created: 4, Modified: 9, Object: &Tenant{Number: 1, Hosts: []string{"h1"}}}}, ErrNotAllowed},
		"of a tenant that is not": {m, []Event{{Key: TenantKey("batch")}}, ErrNotFound},
	} {
		s.Apply(Batch{Revision: s.Revision() + 1, Events: tc.more})
		if _, err := tc.move.Propose(s); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		s.Apply(Batch{Revision: s.Revision() + 1, Events: []Event{{Key: TenantKey("batch"), Created: 4, Modified: 5, Object: &Tenant{Number: 1}}}})
	}
}
