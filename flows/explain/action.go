package explain

import (
	"fmt"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
)

// does are actions in words, in the order in which the switch does them. What has no words stands as
// ovs-ofctl writes it.
func (r *reader) does(actions []of.Action, network uint32) (words []string) {
	for i := 0; i < len(actions); i++ {
		if refusal := refused(actions[i:]); refusal != "" {
			words = append(words, refusal)
			i++
			continue
		}
		words = append(words, r.action(actions[i], network))
		if m, ok := metadataWritten(actions[i]); ok {
			_, network = flows.MetadataOf(m)
		}
	}
	return words
}

// refused is a reason and the way to the drop table, which say one thing; empty: it is something else.
func refused(actions []of.Action) string {
	if len(actions) < 2 {
		return ""
	}
	load, ok := actions[0].(of.Load)
	if !ok || load.Target != (of.Subfield{Field: flows.RegReason}) || actions[1] != (of.GotoTable{Table: flows.TableDrop}) {
		return ""
	}
	return "refuse it as " + reasonName(load.Value)
}

// metadataWritten is what an action writes to the whole of metadata.
func metadataWritten(a of.Action) (v uint64, ok bool) {
	switch a := a.(type) {
	case of.WriteMetadata:
		return a.Value, a.Mask == ^uint64(0)
	case of.Load:
		return a.Value, a.Target == of.Subfield{Field: of.FieldMetadata}
	}
	return 0, false
}

// action is one action in words.
func (r *reader) action(a of.Action, network uint32) string {
	switch a := a.(type) {
	case of.GotoTable:
		return "go on to " + tableName(a.Table)
	case of.Resubmit:
		if a.InPort == 0 {
			return "pass through " + tableName(a.Table) + " and come back"
		}
	case of.Output:
		if r.isTrunk(r.ports[a.Port]) {
			return "send it out to " + r.port(a.Port)
		}
		if r.ports[a.Port] != "" {
			return "send it out by " + r.port(a.Port)
		}
	case of.Clone:
		return "with a copy: (" + strings.Join(r.does(a.Actions, network), "; ") + ")"
	case of.Meter:
		return r.meter(a)
	case of.DecTTL:
		return "take 1 off its TTL"
	case of.PopVLAN:
		return "take its 802.1Q tag off"
	case of.CT:
		return r.track(a, network)
	case of.BundleLoad:
		return r.firstAlive(a)
	case of.Move:
		return fmt.Sprintf("copy %s to %s", partName(a.Source), partName(a.Target))
	}
	if text := r.written(a, network); text != "" {
		return text
	}
	return plainAction(a)
}

// written is what an action writes to a whole field, in words; empty: there are none for it.
func (r *reader) written(a of.Action, network uint32) string {
	field, value, ok := wholeField(a)
	if !ok {
		return ""
	}
	switch field {
	case of.FieldInPort:
		if value.Lo == flows.NoPort {
			return "let it go back where it came from"
		}
	case of.FieldTunDst, of.FieldTunIPv6Dst:
		if !value.IP(field == of.FieldTunIPv6Dst).IsUnspecified() {
			return "by tunnel to " + r.hostAt(field, value)
		}
	case flows.RegReason:
		return "reason " + reasonName(value.Lo)
	case flows.RegGateway:
		return "its active gateway host is " + r.gatewayHost(value.Lo>>16)
	case of.FieldEthDst:
		if who := r.mac("address it to", value.Lo, network); who != "" {
			return who
		}
	case of.FieldEthSrc:
		if who := r.mac("let it come from", value.Lo, network); who != "" {
			return who
		}
	}
	return flows.Carried(r.state, everyone, field, value)
}

// wholeField is the field that an action writes whole, and what it writes.
func wholeField(a of.Action) (f of.Field, v of.Value, ok bool) {
	switch a := a.(type) {
	case of.Load:
		return a.Target.Field, of.U64(a.Value), whole(a.Target)
	case of.SetField:
		return a.Field, a.Value, a.Mask.IsZero()
	case of.WriteMetadata:
		return of.FieldMetadata, of.U64(a.Value), a.Mask == ^uint64(0)
	}
	return 0, of.Value{}, false
}

// fieldName is what a field is called, a register by what it carries.
func fieldName(f of.Field) string {
	switch f {
	case flows.RegOrigin:
		return "origin"
	case flows.RegSource:
		return "source"
	case flows.RegDestination:
		return "destination"
	case flows.RegScope:
		return "scope"
	case flows.RegReason:
		return "reason"
	}
	return f.String()
}

// partName is what bits of a field are called.
func partName(s of.Subfield) string {
	switch {
	case whole(s):
		return fieldName(s.Field)
	case s.Field == of.FieldMetadata && s.Offset == tenantAt:
		return "the tenant's number"
	}
	return fmt.Sprintf("bits %d to %d of %s", s.Offset, int(s.Offset)+s.Width()-1, fieldName(s.Field))
}

// tenantAt is where in metadata its tenant's number begins.
const tenantAt = 32

func whole(s of.Subfield) bool { return s.Bits == 0 && s.Offset == 0 }

// meter is what a meter bounds, and whose it is.
func (r *reader) meter(m of.Meter) string {
	number, slot, ofport := flows.MeterBounds(m.ID)
	t, name := r.state.TenantByNumber(number), fmt.Sprintf("tenant number %d", number)
	if slot != 0 {
		t, name = r.state.TenantBySlot(r.host, slot), fmt.Sprintf("the tenant with slot %d", slot)
	}
	switch {
	case ofport != 0 && flows.MeterBound(m.ID) == "broadcasts":
		name = "the network of " + r.port(ofport)
	case ofport != 0:
		name = r.port(ofport)
	case t != nil:
		name = "tenant " + t.Key.Tenant
	}
	return fmt.Sprintf("keep to the %s of %s (meter %d)", flows.MeterBound(m.ID), name, m.ID)
}

// track is what connection tracking does, where it is one of our two ways: look up and translate as
// recorded, or commit.
func (r *reader) track(ct of.CT, network uint32) string {
	if ct.ZoneField != nil || ct.Table == of.TableAll || ct.NAT == nil || ct.Force || ct.ALG != 0 {
		return plainAction(ct)
	}
	then := "; go on to " + tableName(ct.Table)
	if !ct.Commit && *ct.NAT == (of.NAT{}) && len(ct.Exec) == 0 {
		return fmt.Sprintf("look its connection up in zone %d and translate it as recorded", ct.Zone) + then
	}
	translated := translation(*ct.NAT)
	if !ct.Commit || translated == "" {
		return plainAction(ct)
	}
	text := fmt.Sprintf("open a connection in zone %d %s", ct.Zone, translated)
	for _, word := range r.does(ct.Exec, network) {
		text += ", " + word
	}
	return text + then
}

// translation is what a new connection is given, where it is one of our two ways: a source, or a container's port.
func translation(nat of.NAT) string {
	switch nat {
	case of.NAT{Source: true, MinAddress: nat.MinAddress, V6: nat.V6}:
		return "with source " + nat.MinAddress.IP(nat.V6).String()
	case of.NAT{Destination: true, MinAddress: nat.MinAddress, MinPort: nat.MinPort}:
		if nat.MinPort != 0 {
			return fmt.Sprintf("to %s port %d", nat.MinAddress.IP(false), nat.MinPort)
		}
	}
	return ""
}

// plainAction is an action as ovs-ofctl writes it.
func plainAction(a of.Action) string { return string(of.AppendActionsText(nil, []of.Action{a})) }

// tableName is a table's name, or its number where it has none.
func tableName(id uint8) string {
	if name := flows.TableName(id); name != fmt.Sprint(id) {
		return name
	}
	return fmt.Sprintf("table %d", id)
}
