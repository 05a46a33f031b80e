package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// BalanceSettings say whether and how the leader moves gateways so that hosts carry alike.
type BalanceSettings struct {
	Auto     bool `json:"auto" doc:"the leader moves gateways by itself"`
	Window   int  `json:"window" doc:"seconds over which what tenants send and get is averaged" example:"300"`
	CoolDown int  `json:"coolDown" doc:"seconds that a gateway stays after a move" example:"3600"`
	PerHour  int  `json:"perHour" doc:"moves an hour at most" example:"60"`
	AtOnce   int  `json:"atOnce" doc:"moves at one time" example:"4"`

	Modified store.Revision `json:"modified,omitempty" doc:"at which the cluster's settings were written last"`
}

// GatewayBalance is what gateway hosts carry, and the moves that would have them carry alike. Loads are bytes a second.
type GatewayBalance struct {
	Settings BalanceSettings `json:"settings"`
	Measured int             `json:"measured" doc:"for how many seconds this controller has measured; the averages are of the time of the window, or of this one where it is shorter" example:"900"`
	Hosts    []GatewayHost   `json:"hosts"`
	Moves    []GatewayStep   `json:"moves" doc:"in the order in which they are made"`
	Before   float64         `json:"before" doc:"how many times its share the hottest host carries" example:"1.4"`
	After    float64         `json:"after" doc:"the same once the moves are made" example:"1.08"`
	Goal     float64         `json:"goal" doc:"where moves end: 1.1, or more where one tenant is that large" example:"1.1"`
	TooLarge []string        `json:"tooLarge,omitempty" doc:"tenants that alone are more than a host's share: no move helps"`
}

// GatewayHost is what a gateway host carries.
type GatewayHost struct {
	Host    string  `json:"host" example:"h1"`
	Weight  int     `json:"weight" example:"1"`
	Tenants int     `json:"tenants" doc:"that leave by it, or are on their way there"`
	Load    float64 `json:"load" doc:"bytes a second"`
	Then    float64 `json:"then" doc:"the same once the moves are made"`
	Out     string  `json:"out,omitempty" doc:"why it has no part: no gateway moves there, nor from there"`
}

// GatewayStep is a move that is proposed.
type GatewayStep struct {
	Tenant string  `json:"tenant" example:"alice"`
	From   string  `json:"from" example:"h1"`
	To     string  `json:"to" example:"h2"`
	Load   float64 `json:"load" doc:"what the tenant sends and gets, in bytes a second"`
}

// BalanceOrder changes how gateways are balanced. What is left out stays.
type BalanceOrder struct {
	Auto     *bool `json:"auto,omitempty" doc:"the leader moves gateways by itself"`
	Window   *int  `json:"window,omitempty" minimum:"10" maximum:"3600" doc:"seconds over which what tenants send and get is averaged" example:"300"`
	CoolDown *int  `json:"coolDown,omitempty" minimum:"1" maximum:"604800" doc:"seconds that a gateway stays after a move" example:"3600"`
	PerHour  *int  `json:"perHour,omitempty" minimum:"1" maximum:"10000" doc:"moves an hour at most" example:"60"`
	AtOnce   *int  `json:"atOnce,omitempty" minimum:"1" maximum:"100" doc:"moves at one time" example:"4"`

	// Modified is what BalanceSettings say, so that those can be sent back. It is not looked at: what a change presumes goes into If-Match.
	Modified store.Revision `json:"modified,omitempty" readOnly:"true" doc:"not looked at"`
}

// Balance shows what gateway hosts carry, and the moves that would have them carry alike.
func (c *Client) Balance(ctx context.Context) (GatewayBalance, error) {
	return get[GatewayBalance](ctx, c, "/v1/balance", nil)
}

// SetBalance says whether and how the leader moves gateways so that hosts carry alike.
func (c *Client) SetBalance(ctx context.Context, order BalanceOrder) (BalanceSettings, error) {
	return do[BalanceSettings](ctx, c, http.MethodPut, "/v1/balance", order)
}
