package bench

import (
	"context"
	"errors"
)

func resyncCase() Case {
	return Case{
		Name:  "resync",
		About: "reconnect to a switch that holds 100,000 right flows, beside ovs-ofctl dump-flows; then mend drift",
		Run:   resync,
	}
}

func resync(context.Context, *Run) error { return errors.New("not there yet") }
