package hostagent

// step is one that an attach, a detach or an undoing has done, for tests that end the agent there.
type step string

const (
	stepIntent     step = "intent"          // the intent is in the journal
	stepPort       step = "port"            // etcd has the port
	stepVeth       step = "veth"            // the kernel has the veth pair
	stepPlugged    step = "plugged"         // the switch has the interface
	stepFurnished  step = "furnished"       // the container's end has its addresses
	stepRecord     step = "record"          // the record is on disk
	stepRealized   step = "realized"        // this host's flows are there
	stepOthers     step = "others"          // other hosts were waited for
	stepAttached   step = "attached"        // the intent is out of the journal
	stepLeaving    step = "leaving"         // the record says that the port is to go
	stepPortGone   step = "port gone"       // etcd has the port no more
	stepRowGone    step = "row gone"        // the switch has the interface no more
	stepLinkGone   step = "link gone"       // the kernel has the pair no more
	stepRecordGone step = "record gone"     // the record is gone
	stepUndoKey    step = "undo: port gone" // etcd has the port of a failed attach no more
	stepUndone     step = "undo: all gone"  // what a failed attach made; its intent is in the journal still
)

// reached tells a test which step was done.
func (o Options) reached(s step) {
	if o.Step != nil {
		o.Step(string(s))
	}
}
