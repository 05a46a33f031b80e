package bench

import (
	"context"
	"errors"
)

func programCase() Case {
	return Case{
		Name:  "program",
		About: "100,000 flows into one switch, beside pre-encoded bytes on plain TCP and ovs-ofctl",
		Run:   program,
	}
}

func program(context.Context, *Run) error { return errors.New("not there yet") }
