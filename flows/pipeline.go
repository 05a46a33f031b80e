package flows

import "sluice/datapath/openflow"

// Table is the contract of one OpenFlow table.
type Table struct {
	ID      uint8
	Name    string
	Purpose string
	Match   []openflow.Field // what its flows may match
	Set     []openflow.Field // what they may change
	Next    []uint8          // where they may go
}

// Tables are the tables of the pipeline, in the order in which a frame meets them.
func Tables() []Table { return nil }

// TableName is the name of a table, or its number where there is no such table.
func TableName(id uint8) string { return "" }
