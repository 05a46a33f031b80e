package hostagent

import (
	"context"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// ownName keeps other keepers away from a switch that is not this host's yet, until the cluster may
// have this host under its name and tunnel address. An agent that was started under another name
// would else take the switch from the host that it serves, before its registration is refused.
type ownName struct {
	o       Options
	id      identity
	db      *ovsdb.DB
	refused chan error // hears of a refusal that needs another word of the operator's
	passed  bool       // nothing more is to be asked
}

// is reports whether the switch is this host's already. Then etcd, which may be away, is not asked.
func (n *ownName) is(ctx context.Context) (bool, error) {
	if n.passed {
		return true, nil
	}
	b, err := n.db.Bridge(ctx, store.BridgeName)
	return b != nil && b.IsOf(n.id.datapath.String()), err
}

func (n *ownName) should(context.Context) (bool, error) { return true, nil }

// makeSo asks etcd, and writes nothing.
func (n *ownName) makeSo(ctx context.Context, should, is bool) error {
	if is != should {
		host := hostFor(n.o, n.id, vtepInterface{}, nil)
		if err := n.o.Store.MayRegister(ctx, n.o.Host, host); err != nil {
			n.tell(err)
			return err
		}
	}
	n.passed = true
	return nil
}

func (n *ownName) tell(err error) {
	if !refusedForGood(err) {
		return
	}
	select {
	case n.refused <- err:
	default: // it was told
	}
}
