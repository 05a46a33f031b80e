package hostagent

// keepers are all that this host keeps as it should be, in the order in which the mend loop
// tries them. docs/operations.md says what each name means in Status.
func (a *Agent) keepers() []keeper {
	table := nftables{a.o, a.underlay, a.infrastructure, a.published, a.tableDue, a.log}
	all := []keeper{
		{name: "preflight", try: keep(&fitness{
			preflight: preflight{a.o, &underlay{vtep: a.o.VTEP, encap: a.o.Encap}}, problems: a.problems,
		})},
		{name: "underlay", try: keep(a.underlay)},
		{name: "name", try: keep(&ownName{o: a.o, id: a.id, db: a.db, refused: a.refused})},
		{name: "switch certificate", needs: names{"name"}, try: keep(switchCertificate{a.o.Identity, a.db, a.log})},
		{name: "bridge", needs: names{"name"}, try: keep(bridge{a.o, a.id.datapath, a.db, a.log})},
		{name: "tunnel port", needs: names{"bridge"}, try: keep(tunnelPort{a.o, a.db})},
		{name: "gateway port", needs: names{"bridge"}, after: names{"underlay"},
			try: keep(gatewayPort{a.o, a.underlay, a.db})},
		{name: "resolver", aside: true, needs: names{"bridge"}, try: keep(resolverPort{a.resolving})},
		{name: "table names", needs: names{"bridge"}, try: keep(tableNames{a.o, a.db})},
		{name: "infrastructure", try: keep(a.infrastructure), wait: a.infrastructure.wait},
		{name: "nftables", after: names{"underlay"}, try: keep(table), wait: table.wait},
	}
	if a.o.Gateway {
		all = append(all,
			keeper{name: "transit interface", after: names{"underlay", "gateway port"},
				try: keep(transit{a.underlay, a.infrastructure})},
			keeper{name: "forwarding", needs: names{"name"}, try: keep(forwarding{a.o.Uplink})},
			keeper{name: "tenants", needs: names{nameRegistration}, try: keep(a.tenants), wait: a.tenants.wait},
			keeper{name: "publications", needs: names{nameRegistration}, try: keep(a.published), wait: a.published.wait},
			keeper{name: "floating addresses", aside: true, after: names{"nftables"}, try: a.floating.try, wait: a.floating.wait},
			keeper{name: "zone limits", aside: true, needs: names{nameTenantsKnown, "bridge"}, try: keep(zones{a.o, a.tenants})},
			keeper{name: "kernel limits", aside: true, needs: names{nameTenantsKnown}, try: keep(kernelLimits{a.o, a.tenants, a.infrastructure, a.tally})},
			keeper{name: "drained tenants", needs: names{nameRegistration}, try: keep(a.emptied), wait: a.emptied.wait})
	}
	if a.o.needsRoutes() {
		all = append(all, keeper{name: "routes", needs: names{nameRegistration}, try: keep(a.routes), wait: a.routes.wait})
	}
	return append(all,
		keeper{name: "trunk", needs: names{nameRegistration, "bridge"}, after: names{"underlay"}, try: keep(a.trunk()), wait: a.trunk().wait},
		keeper{name: "host", needs: names{nameRegistration},
			try: keep(a.hostRecord())},
		keeper{name: "ports", needs: names{nameRegistration}, try: keep(a.ports)},
		keeper{name: "veths", aside: true, try: keep(veths{a.journal, a.log})},
		keeper{name: "tunnel peers", needs: names{nameRegistration}, try: keep(a.peers), wait: a.peers.wait, limit: peersTimeout},
		keeper{name: "probes", needs: names{nameRegistration, "tunnel port"}, try: keep(a.probes), wait: a.probes.wait},
		keeper{name: "usage", needs: names{nameRegistration}, try: keep(a.usage), wait: a.usage.wait})
}

// names are those of keepers.
type names []string
