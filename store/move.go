package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// WhyNoGateway says why a host cannot become a tenant's gateway host now, and what to do; nil: it can.
func (s *State) WhyNoGateway(host string) error {
	h := s.Host(host)
	switch drain := s.Drain(host); {
	case h == nil:
		return noSuchHost(host)
	case !h.Value.Gateway:
		return fmt.Errorf("host %s: %w: it is no gateway host: %s", host, ErrInvalid, h.Value.WhyNoGateway())
	case drain != nil:
		return fmt.Errorf("host %s: %w: it is drained since %s: `sluice gateway undrain %s` first, or choose another",
			host, ErrInvalid, drain.Value.Since.Format(time.RFC3339), host)
	case s.LiveHost(host) == nil:
		return fmt.Errorf("host %s: %w: it is not ready: its agent is away: start it, or choose another", host, ErrInvalid)
	case h.Value.NotReady != "":
		return fmt.Errorf("host %s: %w: it is not ready: %s", host, ErrInvalid, h.Value.NotReady)
	}
	return nil
}

// MoveSpec asks that a tenant's gateway goes to another host.
type MoveSpec struct {
	Tenant  string
	Host    string
	Timeout int // seconds that connections may go on through the host before
	// Balance says why, where it moves so that gateway hosts carry alike; empty: somebody moves it by hand.
	Balance string
	Now     time.Time
}

// why is what lists of gateways say of the move.
func (s MoveSpec) why() string {
	if s.Balance != "" {
		return "balanced: " + s.Balance
	}
	return "moved by hand"
}

// Needs are the paths that Propose looks at.
func (s MoveSpec) Needs() []string {
	return []string{TenantKey(s.Tenant).String(), GatewayKey(s.Tenant).String(), HostKey(s.Host).String(),
		LiveHostKey(s.Host).String(), DrainKey(s.Host).String()}
}

// Validate refuses what no state would allow.
func (s MoveSpec) Validate() error {
	for what, name := range map[string]string{"tenant": s.Tenant, "host": s.Host} {
		if err := ValidateName(name); err != nil {
			return fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
		}
	}
	if err := checkTimeout(s.Timeout); err != nil {
		return fmt.Errorf("tenant %s: %w", s.Tenant, err)
	}
	return nil
}

// Propose writes where the gateway goes. The leader of the controllers brings it there.
func (s MoveSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	tenant, gateway := state.Tenant(s.Tenant), state.Gateway(s.Tenant)
	if tenant == nil {
		return Proposal{}, noSuchTenant(s.Tenant)
	}
	if gateway == nil {
		return Proposal{}, fmt.Errorf("tenant %s: %w: it has no gateway host yet: sluice status says why", s.Tenant, ErrNotFound)
	}
	if err := s.may(state, tenant.Value, gateway.Value); err != nil {
		return Proposal{}, err
	}
	moving := *gateway.Value
	moving.Leave(s.Host)
	moving.Move = &Move{To: s.Host, Since: s.Now.UTC().Truncate(time.Second), Timeout: s.Timeout, Why: s.why(), Balanced: s.Balance != ""}
	return Proposal{
		Writes: []Event{{Key: gateway.Key, Object: &moving}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: gateway.Key.String(), Revision: gateway.Modified},
			{Condition: Unchanged, Path: tenant.Key.String(), Revision: tenant.Modified},
			{Condition: CreatedAt, Path: HostKey(s.Host).String(), Revision: state.Host(s.Host).Created},
			{Condition: Absent, Path: DrainKey(s.Host).String()},
		},
	}, nil
}

// may refuses a move that cannot be made, or that the tenant's policy would undo.
func (s MoveSpec) may(state *State, t *Tenant, g *Gateway) error {
	refuse := func(why error, format string, args ...any) error {
		return fmt.Errorf("tenant %s: %w: %s", s.Tenant, why, fmt.Sprintf(format, args...))
	}
	switch {
	case g.Move != nil && g.Move.To == s.Host:
		return refuse(ErrExists, "it is on its way to %s since %s: sluice gateway list shows it", s.Host, g.Move.Since.Format(time.RFC3339))
	case g.Move != nil:
		return refuse(ErrInUse, "it is on its way to %s since %s: wait until it is there, and move it then", g.Move.To, g.Move.Since.Format(time.RFC3339))
	case g.Active == s.Host:
		return refuse(ErrExists, "it leaves by %s since %s: there is nothing to move", s.Host, g.Since.Format(time.RFC3339))
	}
	if err := state.WhyNoGateway(s.Host); err != nil {
		return fmt.Errorf("move the gateway of tenant %s: %w", s.Tenant, err)
	}
	switch {
	case len(g.Draining) >= MaxDraining && !slices.Contains(g.Draining, s.Host):
		return refuse(ErrInUse, "its connections still go on through %s: wait until one of them has none left (sluice gateway list)", strings.Join(g.Draining, ", "))
	case t.Gateway == GatewayCentral:
		return refuse(ErrInvalid, "its policy is central, so that it leaves where all central tenants do: move all of them with `sluice gateway central %s`, or `sluice gateway policy %s auto` first", s.Host, s.Tenant)
	case t.Gateway != GatewayAuto && t.Gateway != "" && t.Gateway != s.Host:
		return refuse(ErrInvalid, "its policy names host %s: `sluice gateway policy %s %s` names another", t.Gateway, s.Tenant, s.Host)
	}
	return nil
}

// PolicySpec gives a tenant another gateway policy. The leader moves its gateway where that wants it.
type PolicySpec struct {
	Tenant string
	Policy string // GatewayAuto, GatewayCentral or a host
}

// Needs are the paths that Propose looks at.
func (s PolicySpec) Needs() []string {
	needs := []string{TenantKey(s.Tenant).String()}
	if s.Policy != GatewayAuto && s.Policy != GatewayCentral {
		needs = append(needs, HostKey(s.Policy).String())
	}
	return needs
}

// Validate refuses what no state would allow.
func (s PolicySpec) Validate() error {
	if err := ValidateName(s.Tenant); err != nil {
		return fmt.Errorf("tenant: %w: %w", ErrInvalid, err)
	}
	if err := ValidateName(s.Policy); err != nil {
		return fmt.Errorf("tenant %s: gateway policy: %w: give auto, central or a host: %w", s.Tenant, ErrInvalid, err)
	}
	return nil
}

// Propose writes the tenant with its new policy; nothing, where it has that already.
func (s PolicySpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	t := state.Tenant(s.Tenant)
	if t == nil {
		return Proposal{}, noSuchTenant(s.Tenant)
	}
	if t.Value.Gateway == s.Policy {
		return Proposal{}, nil
	}
	if err := checkHosts(state, &Tenant{Gateway: s.Policy}); err != nil {
		return Proposal{}, fmt.Errorf("gateway policy of tenant %s: %w", s.Tenant, err)
	}
	return changeOfTenant(state, s.Tenant, func(t *Tenant) { t.Gateway = s.Policy })
}

// CentralSpec says by which host all tenants leave whose policy is GatewayCentral. The leader moves them there.
type CentralSpec struct{ Host string }

// Needs are the paths that Propose looks at.
func (s CentralSpec) Needs() []string {
	return []string{SettingsKey().String(), HostKey(s.Host).String(), LiveHostKey(s.Host).String(), DrainKey(s.Host).String()}
}

// Validate refuses what no state would allow.
func (s CentralSpec) Validate() error {
	if err := ValidateName(s.Host); err != nil {
		return fmt.Errorf("host: %w: %w", ErrInvalid, err)
	}
	return nil
}

// Propose writes the host; nothing, where it is that already.
func (s CentralSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	if err := state.WhyNoGateway(s.Host); err != nil {
		return Proposal{}, fmt.Errorf("have central tenants leave by %s: %w", s.Host, err)
	}
	settings, _ := state.Settings()
	if settings.Central == s.Host {
		return Proposal{}, nil
	}
	settings.Central = s.Host
	return Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{state.settingsUnchanged(),
			{Condition: CreatedAt, Path: HostKey(s.Host).String(), Revision: state.Host(s.Host).Created},
			{Condition: Absent, Path: DrainKey(s.Host).String()}},
	}, nil
}
