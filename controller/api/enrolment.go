package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/enrol"
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

func (s *server) enrolments(a huma.API) {
	huma.Register(a, operation("invite-host", http.MethodPost, "/v1/hosts/{host}/invitations", "hosts",
		"Make a token by which one machine joins as the host", access.Rule), s.inviteHost)
	huma.Register(a, answered(operation("enrol-host", http.MethodPost, "/v1/hosts/{host}/enrolment", "hosts",
		"Believe the certificate that was made for a host by hand", access.Rule)), s.enrolHost)
}

func (s *server) inviteHost(ctx context.Context, in *struct {
	Host string `path:"host" example:"h1"`
	Body InvitationSpec
}) (*body[Invitation], error) {
	made := &body[Invitation]{}
	lifetime := enrol.DefaultLifetime
	if in.Body.Expires != nil {
		lifetime = time.Until(*in.Body.Expires)
	}
	_, err := s.write(ctx, "invitation of host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		t, i, rev, err := s.Controller.Office().Invite(ctx, enrol.Invitation{
			Host: in.Host, API: in.Body.API, By: access.From(ctx).Name, Lifetime: lifetime, Anew: in.Body.Anew,
		})
		made.Body = Invitation{Host: in.Host, Token: t.String(), Expires: i.Expires}
		return rev, err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (s *server) enrolHost(ctx context.Context, in *hostPath) (*body[Enrolled], error) {
	rev, err := s.write(ctx, "enrolment of host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		return s.Controller.Office().Admit(ctx, in.Host, access.From(ctx).Name)
	})
	if err != nil {
		return nil, err
	}
	return &body[Enrolled]{Enrolled{in.Host, rev}}, nil
}

// noteSigned names in the audit log whose request was signed.
func noteSigned(ctx context.Context, signed enrol.Signed) {
	entry := access.EntryOf(ctx)
	entry.Object, entry.Revision = signed.Object, signed.Revision
}

// InviteHost makes a token by which one machine joins as a host.
func (c *Client) InviteHost(ctx context.Context, host string, spec InvitationSpec) (Invitation, error) {
	return do[Invitation](ctx, c, http.MethodPost, path("hosts", host, "invitations"), spec)
}

// EnrolHost has a host's certificate believed that was made by hand.
func (c *Client) EnrolHost(ctx context.Context, host string) (Enrolled, error) {
	return do[Enrolled](ctx, c, http.MethodPost, path("hosts", host, "enrolment"), nil)
}
