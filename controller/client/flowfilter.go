package client

import "sluice/store"

// FlowFilter says which of a host's flows to show. What is empty chooses all.
type FlowFilter struct {
	Tenant  string `query:"tenant" doc:"only flows that serve this tenant"`
	Network string `query:"network" doc:"only this network's flows, and those of its ports" example:"alice/default"`
	Port    string `query:"port" doc:"only this port's flows" example:"alice/default/a1"`
	Table   string `query:"table" doc:"only this table: its number or name" example:"classify"`
	Owner   string `query:"owner" doc:"only flows of this owner, or of owners of this kind" example:"peer h2"`
	Reason  string `query:"reason" doc:"only flows that refuse for this reason, or count what was" example:"spoofed"`
	Packet  string `query:"packet" doc:"only flows that may take such a packet: a match as ovs-ofctl writes it; what it does not say may be anything" example:"ip,nw_dst=10.0.0.7"`
	View    string `query:"view" enum:"installed,desired,diff" default:"installed"`
	// At and Since ask for the past, of which nothing installed is known.
	At    store.Revision `query:"at" minimum:"0" doc:"those that were desired at this revision, as far as etcd's history goes; 0: now" example:"4711"`
	Since store.Revision `query:"since" minimum:"0" doc:"what changed of those that were desired, from this revision to the one in at; 0: all of them" example:"4700"`
}
