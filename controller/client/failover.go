package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// FailOver says whether hosts send to a gateway's backup while they find its gateway host dead.
type FailOver struct {
	On        bool     `json:"on" doc:"hosts probe gateway hosts, and each tenant's gateway has a backup"`
	ByDefault bool     `json:"byDefault,omitempty" readOnly:"true" doc:"nobody said so: the store began with it"`
	Note      string   `json:"note,omitempty" readOnly:"true" doc:"why no gateway has a backup, where that is no problem of one" example:"fail-over is on, and there are not two gateway hosts"`
	NotProbed []string `json:"notProbed,omitempty" readOnly:"true" doc:"gateway hosts of which nobody looks whether their uplink leads anywhere: their agents run without --probe-outside"`
	Interval  int      `json:"interval,omitempty" minimum:"0" maximum:"2000" doc:"milliseconds between two probes, 50 to 2000; four that do not come mean dead. None: it stays, 100 at first" example:"100"`

	Modified store.Revision `json:"modified,omitempty" readOnly:"true" doc:"at which the cluster's settings were written last"`
}

// FailOver reports whether gateways fail over.
func (c *Client) FailOver(ctx context.Context) (FailOver, error) {
	return do[FailOver](ctx, c, http.MethodGet, "/v1/fail-over", nil)
}

// SetFailOver has gateways fail over, or not, and returns how it is then.
func (c *Client) SetFailOver(ctx context.Context, wanted FailOver) (FailOver, error) {
	return do[FailOver](ctx, c, http.MethodPut, "/v1/fail-over", wanted)
}
