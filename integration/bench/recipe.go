package bench

import (
	"context"
	"errors"
	"fmt"

	goovs "github.com/digitalocean/go-openvswitch/ovs"

	"sluice/datapath/ovsrun"
)

// recipe is one of the paper's two designs: bridges in NORMAL mode, GRE tunnels in a star, and a
// gateway at the star's centre.
type recipe struct {
	name string
	mark byte // begins the names of its interfaces, and is the second byte of its addresses
	// shared is the small design: one bridge a host, a VLAN tag a tenant. Else each tenant has a bridge on
	// each host that it uses, and a GRE key.
	shared bool
	centre func(tenant int) int // the host of a tenant's gateway
}

const (
	smallMark, largeMark = 'q', 'l'
	// recipeKeys keeps its tunnel keys apart from those of Sluice's networks and of other bridges.
	recipeKeys = 2_000_000
)

// smallDesign has one host for the way out of all, and the tunnels lead there.
func smallDesign(centre int) recipe {
	return recipe{"the paper's small design", smallMark, true, func(int) int { return centre }}
}

// largeDesign spreads the tenants' gateways.
func largeDesign(centre func(tenant int) int) recipe {
	return recipe{"the paper's large design", largeMark, false, centre}
}

func (r recipe) bridge(tenant int) string {
	if r.shared {
		tenant = 0
	}
	return fmt.Sprintf("%cb%d", r.mark, tenant)
}

// tag of a tenant's ports; 0: none.
func (r recipe) tag(tenant int) int {
	if r.shared {
		return tenant + 1
	}
	return 0
}

// gateway is the interface that a tenant's gateway has on its host.
func (r recipe) gateway(tenant int) string {
	if r.shared {
		return fmt.Sprintf("%cg%d", r.mark, tenant)
	}
	return r.bridge(tenant)
}

func (r recipe) port(tenant, place int) string { return fmt.Sprintf("%cv%d-%d", r.mark, tenant, place) }

// address of a tenant's container by its place in the pair.
func (r recipe) address(tenant, place int) string {
	return fmt.Sprintf("10.%d.%d.%d", r.mark, tenant, place+1)
}
func (r recipe) router(tenant int) string { return r.address(tenant, 253) }
func (r recipe) subnets() string          { return fmt.Sprintf("10.%d.0.0/16", r.mark) }

// placed is a pair whose ends may be on any hosts.
type placed struct {
	tenantPair
	hosts [2]int // of from and to
}

// lay makes a tenant's bridges and tunnels and its gateway, and connects its pair.
func (s *senders) lay(ctx context.Context, r recipe, p placed) error {
	centre := r.centre(p.number)
	if err := s.layBridges(ctx, r, p, centre); err != nil {
		return err
	}
	if err := s.layGateway(ctx, r, p.number, centre); err != nil {
		return err
	}
	for place, c := range p.ends() {
		if err := s.layPort(ctx, r, p, place, c); err != nil {
			return err
		}
	}
	return pingUntilAnswered(ctx, p.from.netns, r.address(p.number, 1))
}

// layBridges makes those of the small design with its first tenant.
func (s *senders) layBridges(ctx context.Context, r recipe, p placed, centre int) error {
	for host := range s.Hosts {
		used := host == p.hosts[0] || host == p.hosts[1] || host == centre
		if r.shared && p.number > 0 || !r.shared && !used {
			continue
		}
		err := s.change(ctx, host, func(c *ovsrun.Change) error {
			err := addUserspaceBridge(c, r.bridge(p.number))
			for peer := range s.Hosts {
				if (host == centre) == (peer == centre) || !r.shared && peer != p.hosts[0] && peer != p.hosts[1] && peer != centre {
					continue // not a ray of the star
				}
				name := fmt.Sprintf("%ct%d-%d", r.mark, p.number, peer)
				err = errors.Join(err, addTunnel(c, r.bridge(p.number), name, "gre", s.Hosts[peer].VTEP, recipeKeys+1000*int(r.mark)+p.number))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *senders) layGateway(ctx context.Context, r recipe, tenant, centre int) error {
	if r.shared {
		err := s.change(ctx, centre, func(c *ovsrun.Change) error {
			return errors.Join(s.addTagged(c, r, tenant, r.gateway(tenant)),
				c.Set.Interface(r.gateway(tenant), goovs.InterfaceOptions{Type: goovs.InterfaceTypeInternal}))
		})
		if err != nil {
			return err
		}
	}
	if err := s.routeAt(ctx, centre, r.gateway(tenant), r.router(tenant)); err != nil {
		return err
	}
	return s.masquerade(ctx, centre, r.subnets())
}

// layPort connects an end of a pair.
func (s *senders) layPort(ctx context.Context, r recipe, p placed, place int, c container) error {
	host, port := p.hosts[place], r.port(p.number, place)
	if err := s.addLink(ctx, host, port, c, "eth0", r.address(p.number, place)); err != nil {
		return err
	}
	if _, err := output(ctx, "", "ip", "-n", c.netns, "route", "add", "default", "via", r.router(p.number)); err != nil {
		return err
	}
	return s.change(ctx, host, func(c *ovsrun.Change) error { return s.addTagged(c, r, p.number, port) })
}

// addTagged adds a port with the tag of its tenant, where there is one.
func (s *senders) addTagged(c *ovsrun.Change, r recipe, tenant int, port string) error {
	err := c.AddPort(r.bridge(tenant), port)
	if tag := r.tag(tenant); tag > 0 {
		err = errors.Join(err, c.Also("set", "port", port, fmt.Sprint("tag=", tag)))
	}
	return err
}
