package flows

import (
	of "sluice/datapath/openflow"
	"sluice/store"
)

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
	if why, ok := Refuses(f); ok {
		return "refuses: " + why.Name
	}
	return ""
}
