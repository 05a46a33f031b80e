package hostagent

import (
	"context"
	"maps"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// tableNames keeps the names of the bridge's OpenFlow tables, which Open vSwitch's own tools show.
type tableNames struct {
	o  Options
	db *ovsdb.DB
}

func (n tableNames) is(ctx context.Context) (map[int]string, error) {
	return n.db.TableNames(ctx, store.BridgeName)
}

func (n tableNames) should(context.Context) (map[int]string, error) { return n.o.Tables, nil }

func (n tableNames) makeSo(ctx context.Context, should, is map[int]string) error {
	if maps.Equal(should, is) {
		return nil
	}
	return n.db.NameTables(ctx, store.BridgeName, should)
}
