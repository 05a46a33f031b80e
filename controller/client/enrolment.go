package client

import (
	"context"
	"net/http"
	"time"

	"sluice/store"
)

// InvitationSpec is what a client says to invite a host.
type InvitationSpec struct {
	Expires *time.Time `json:"expires,omitempty" doc:"none: in an hour"`
	API     string     `json:"api,omitempty" doc:"https://HOST:PORT where the host reaches a controller that signs; none: the one that answers" example:"https://192.0.2.1:8080"`
	Anew    bool       `json:"anew,omitempty" doc:"another machine takes the place of the one that is enrolled, whose certificate is not believed any more once it has joined"`
}

// Invitation is how a machine joins as a host. The token is not shown again.
type Invitation struct {
	Host    string    `json:"host"`
	Token   string    `json:"token"` // for sluice agent --join
	Expires time.Time `json:"expires"`
}

// Enrolled tells since which revision a host's certificate is believed.
type Enrolled struct {
	Host     string         `json:"host"`
	Revision store.Revision `json:"revision"`
}

// InviteHost makes a token by which one machine joins as a host.
func (c *Client) InviteHost(ctx context.Context, host string, spec InvitationSpec) (Invitation, error) {
	return do[Invitation](ctx, c, http.MethodPost, path("hosts", host, "invitations"), spec)
}

// EnrolHost has a host's certificate believed that was made by hand.
func (c *Client) EnrolHost(ctx context.Context, host string) (Enrolled, error) {
	return do[Enrolled](ctx, c, http.MethodPost, path("hosts", host, "enrolment"), nil)
}
