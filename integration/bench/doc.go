// Package bench measures what Sluice promises: each Case compares a part of the product
// with something that does the same work, on this machine and in this run. `sluice bench`
// runs it.
//
// A figure of one machine says nothing about another, so what is judged is a ratio: both
// sides of a comparison are measured in one run, in rounds, and the median of the rounds'
// ratios counts. Sides take turns within a round (Run.TakeTurns); levels that take long to
// reach are climbed, between two samples of the first (Run.Climb). Absolute figures are kept
// beside the ratios for people.
//
// A case must use the product's own code on real parts (Open vSwitch, etcd, namespaces; the
// simulated switches of the case fleet alone excepted), must check that the work was done
// before it reports a time, and must remove what it made, also when it fails.
package bench
