package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/store"
)

// tenantSteps are those of one tenant and its networks.
func (m *Manifest) tenantSteps(s *store.State, i int) ([]Step, error) {
	t, path := &m.Tenants[i], tenantPath(i)
	item := s.Tenant(t.Name)
	if item == nil {
		return m.newTenant(s, i)
	}
	ttl, err := t.ttl(path)
	if err != nil {
		return nil, err
	}
	var steps []Step
	if fields := t.differs(item.Value, ttl); len(fields) > 0 {
		step := Step{
			Key: item.Key, Path: path, Change: Update, Differs: fields, Request: t.update(ttl).Propose,
			Needs: []string{item.Key.String(), store.Under(store.KindHost)},
		}
		if _, err := step.Request(s); err != nil {
			return nil, wrong(path, err)
		}
		steps = append(steps, step)
	}
	parts, err := t.partSteps(s, i)
	return append(steps, parts...), err
}

// partSteps are those of all that a tenant has.
func (t *DeclaredTenant) partSteps(s *store.State, i int) ([]Step, error) {
	networks, err := t.networkSteps(s, i)
	if err != nil {
		return nil, err
	}
	publications, err := t.publicationSteps(s, i)
	return append(networks, publications...), err
}

// newTenant is the tenant with its network default in one step, and each other network in one.
func (m *Manifest) newTenant(s *store.State, i int) ([]Step, error) {
	t, path := &m.Tenants[i], tenantPath(i)
	ttl, err := t.ttl(path)
	if err != nil {
		return nil, err
	}
	spec := store.TenantSpec{Name: t.Name, Gateway: t.Gateway, Hosts: t.Hosts, Limits: t.Limits, Labels: t.Labels, TTL: ttl, Topology: t.topology()}
	fields := t.differs(&store.Tenant{Gateway: store.GatewayAuto}, ttl)
	for k := range t.Networks {
		if n := &t.Networks[k]; n.Name == store.DefaultNetwork {
			network, err := n.spec(t.Name, networkPath(i, k))
			if err != nil {
				return nil, err
			}
			spec.Network = network
			fields = append(fields, Field{Name: "subnets", After: strings.Join(n.Subnets, " ")})
		}
	}
	step := Step{
		Key: store.TenantKey(t.Name), Path: path, Change: Create, Differs: fields, Request: spec.Propose,
		Needs: []string{store.Under(store.KindHost), store.SettingsKey().String()},
	}
	if _, err := step.Request(s); err != nil {
		return nil, wrong(path, err)
	}
	others, err := t.partSteps(s, i)
	return append([]Step{step}, others...), err
}

// update makes the tenant that exists what the manifest says.
func (t *DeclaredTenant) update(ttl time.Duration) store.TenantUpdate {
	return store.TenantUpdate{Tenant: t.Name, Gateway: t.gateway(), Hosts: t.Hosts, Limits: t.Limits, Labels: t.Labels, TTL: ttl, Topology: t.topology()}
}

func (t *DeclaredTenant) topology() store.Topology { return store.Topology(t.Topology).OrDirect() }

func (t *DeclaredTenant) gateway() string { return cmp.Or(t.Gateway, store.GatewayAuto) }

// differs are the fields in which a tenant is not what the manifest says.
func (t *DeclaredTenant) differs(is *store.Tenant, ttl time.Duration) []Field {
	fields := differ(
		Field{"gateway", is.Gateway, t.gateway()},
		Field{"hosts", sortedWords(is.Hosts), sortedWords(t.Hosts)},
		Field{"labels", labelWords(is.Labels), labelWords(t.Labels)},
		Field{"topology", string(is.Topology.OrDirect()), string(t.topology())},
		Field{"ttl", timeWords(time.Duration(is.TTL)), timeWords(ttl)},
	)
	return append(fields, limitFields(is.Limits, t.Limits)...)
}

// timeWords is a time; none where it is 0.
func timeWords(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func sortedWords(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}

func labelWords(labels store.Labels) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, k+"="+labels[k])
	}
	return strings.Join(list, " ")
}

// limitFields are the limits that differ, by their names in the manifest.
func limitFields(is, wanted store.Limits) (fields []Field) {
	before, after := limitValues(is), limitValues(wanted)
	for _, name := range slices.Sorted(maps.Keys(mergedKeys(before, after))) {
		fields = append(fields, Field{"limits." + name, before[name], after[name]})
	}
	return differ(fields...)
}

// limitValues are the limits that are not 0, by their names in JSON.
func limitValues(l store.Limits) map[string]string {
	text, _ := json.Marshal(l) // plain numbers: cannot fail
	numbers := map[string]json.Number{}
	_ = json.Unmarshal(text, &numbers)
	values := map[string]string{}
	for name, n := range numbers {
		values[name] = n.String()
	}
	return values
}

func mergedKeys(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, m := range []map[string]string{a, b} {
		for k := range m {
			all[k] = true
		}
	}
	return all
}

// networkSteps are those of a tenant's networks; the network default of a new tenant is made with it.
func (t *DeclaredTenant) networkSteps(s *store.State, i int) (steps []Step, err error) {
	for k := range t.Networks {
		n, path := &t.Networks[k], networkPath(i, k)
		spec, err := n.spec(t.Name, path)
		if err != nil {
			return nil, err
		}
		item := s.Network(store.NetworkName{Tenant: t.Name, Network: n.Name})
		switch {
		case item == nil && s.Tenant(t.Name) == nil && n.Name == store.DefaultNetwork:
		case item == nil:
			steps = append(steps, newNetwork(n, spec, path))
		default:
			step, err := changedNetwork(item, spec, path)
			if err != nil {
				return nil, err
			}
			if len(step.Differs) > 0 {
				steps = append(steps, step)
			}
		}
	}
	return steps, nil
}

// newNetwork is one more network of a tenant. Whether it may be made is decided when those before it are.
func newNetwork(n *DeclaredNetwork, spec store.NetworkSpec, path string) Step {
	return Step{
		Key: store.NetworkKey(spec.Tenant, spec.Name), Path: path, Change: Create, Request: spec.Propose,
		Differs: []Field{{Name: "subnets", After: strings.Join(n.Subnets, " ")}},
		Needs: []string{store.TenantKey(spec.Tenant).String(), store.Under(store.KindNetwork, spec.Tenant),
			store.Under(store.KindHost), store.SettingsKey().String()},
	}
}

// changedNetwork changes how a network floods. Nothing else of one that exists can change.
func changedNetwork(is *store.Item[store.Network], spec store.NetworkSpec, path string) (Step, error) {
	wanted, err := spec.Network()
	if err != nil {
		return Step{}, wrong(path, err)
	}
	for _, f := range differ(
		Field{"segmentation", string(is.Value.Segmentation), string(wanted.Segmentation)},
		Field{"subnets", subnetWords(is.Value), subnetWords(wanted)},
		Field{"exclude", rangeWords(is.Value.Exclude), rangeWords(wanted.Exclude)},
		Field{"mtu", fmt.Sprint(is.Value.MTU), fmt.Sprint(wanted.MTU)},
	) {
		return Step{}, invalid(path+"."+f.Name, "network %s has %s %s, not %s, which cannot change while it exists: remove it and make it anew, or declare what it has",
			is.Key.NetworkName(), f.Name, f.Before, f.After)
	}
	update := store.NetworkUpdate{Network: is.Key.NetworkName(), Flood: wanted.Flood}
	return Step{
		Key: is.Key, Path: path, Change: Update, Request: update.Propose, Needs: []string{is.Key.String()},
		Differs: differ(Field{"flood", string(is.Value.Flood), string(wanted.Flood)}),
	}, nil
}

func rangeWords(list []store.AddressRange) string {
	var words []string
	for _, r := range list {
		words = append(words, r.String())
	}
	return sortedWords(words)
}

// subnetWords are a network's subnets, each with its router.
func subnetWords(n *store.Network) string {
	var list []string
	for _, s := range n.Subnets {
		list = append(list, fmt.Sprintf("%s with router %s", s.Prefix, s.Gateway))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
