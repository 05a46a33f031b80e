package flows

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Owner names the object that a cookie belongs to, such as "port alice/default/a1".
func Owner(s *store.State, cookie uint64) string {
	if name := ownerName(s, Slice(cookie)); name != "" {
		return name
	}
	return fmt.Sprintf("unknown 0x%x", cookie)
}

// ownerName is empty where no object has that slice.
func ownerName(s *store.State, sl Slice) string {
	switch sl.kind() {
	case kindBase:
		return "base"
	case kindPeer:
		for _, h := range s.HostsByHash(sl.object()) {
			return "peer " + h.Key.Host
		}
	case kindTenant:
		if t := s.TenantByNumber(sl.Tenant()); t != nil {
			return "tenant " + t.Key.Tenant
		}
	case kindNetwork:
		if n := s.NetworkByNumber(sl.object()); n != nil {
			return "network " + n.Key.NetworkName().String()
		}
	case kindPort:
		if p := s.PortByNumber(sl.object()); p != nil {
			return "port " + p.Key.NetworkName().String() + "/" + p.Key.Name
		}
	}
	return ""
}

// Line is one flow as `sluice flows` shows it.
type Line struct {
	Owner string // as Owner gives it
	Table string // the table's name
	Text  string // in ovs-ofctl's syntax
	Note  string // what it counts, or why it refuses; empty for most
}

// Annotate says of a flow whose it is, what its table is called and what it is for.
func Annotate(s *store.State, f *of.Flow) Line {
	return Line{Owner: Owner(s, f.Cookie), Table: TableName(f.Table), Text: f.String(), Note: note(f)}
}

func note(f *of.Flow) string {
	switch c, counts := Account(f); {
	case counts && c.Reason != "":
		return "counts dropped: " + c.Reason
	case counts:
		return "counts " + c.Direction + ": " + c.Scope
	}
	for _, a := range f.Actions {
		if l, ok := a.(of.Load); ok && l.Target.Field == regReason {
			return "refuses: " + reason(l.Value).String()
		}
	}
	return ""
}
