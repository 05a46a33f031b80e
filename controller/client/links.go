package client

import (
	"context"
)

// Link is what a host got from another one through the tunnel between them.
type Link struct {
	From    string `json:"from"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"` // of the frames within the tunnel; 0 again where the switch or its flow began anew
}

// Links lists what a host got from each other one through its tunnels.
func (c *Client) Links(ctx context.Context, host string) ([]Link, error) {
	return get[[]Link](ctx, c, path("hosts", host)+"/links", nil)
}
