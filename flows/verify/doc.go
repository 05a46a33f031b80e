// Package verify is the verdict over a cluster's tables, as `sluice verify` tells it: what package prove
// refused, with a counterexample where package witness finds one.
//
// It is pure, and must never be kinder than the proof: a finding without a counterexample stays a finding, a host whose
// tables are not there is unread, and neither counts as proved.
//
// Dumps are its other door: Parse reads what ovs-ofctl or `sluice flows` wrote of a switch, and refuses a text
// that may have lost a part.
package verify
