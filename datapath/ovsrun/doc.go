// Package ovsrun runs Open vSwitch's own programs: on a switch that runs already (Switch), by
// go-openvswitch where that has words for it, and as a private switch of the caller's own
// (Private).
//
// The lab, tests and benchmarks use it. The controller and the agent must not: they speak
// OpenFlow and OVSDB, where a process for each command would take 30 to 100 ms.
package ovsrun
