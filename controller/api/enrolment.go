package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/controller/enrol"
	"sluice/store"
)

func (s *server) enrolments(a huma.API) {
	huma.Register(a, operation("invite-host", http.MethodPost, "/v1/hosts/{host}/invitations", "hosts",
		"Make a token by which one machine joins as the host", access.Rule), s.inviteHost)
	huma.Register(a, answered(operation("enrol-host", http.MethodPost, "/v1/hosts/{host}/enrolment", "hosts",
		"Believe the certificate that was made for a host by hand", access.Rule)), s.enrolHost)
}

func (s *server) inviteHost(ctx context.Context, in *struct {
	Host string `path:"host" example:"h1"`
	Body client.InvitationSpec
}) (*body[client.Invitation], error) {
	made := &body[client.Invitation]{}
	lifetime := enrol.DefaultLifetime
	if in.Body.Expires != nil {
		lifetime = time.Until(*in.Body.Expires)
	}
	_, err := s.write(ctx, "invitation of host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		t, i, rev, err := s.Controller.Office().Invite(ctx, enrol.Invitation{
			Host: in.Host, API: in.Body.API, By: access.From(ctx).Name, Lifetime: lifetime, Anew: in.Body.Anew,
		})
		made.Body = client.Invitation{Host: in.Host, Token: t.String(), Expires: i.Expires}
		return rev, err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (s *server) enrolHost(ctx context.Context, in *hostPath) (*body[client.Enrolled], error) {
	rev, err := s.write(ctx, "enrolment of host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		return s.Controller.Office().Admit(ctx, in.Host, access.From(ctx).Name)
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Enrolled]{client.Enrolled{Host: in.Host, Revision: rev}}, nil
}

// noteSigned names in the audit log whose request was signed.
func noteSigned(ctx context.Context, signed enrol.Signed) {
	entry := access.EntryOf(ctx)
	entry.Object, entry.Revision = signed.Object, signed.Revision
}
