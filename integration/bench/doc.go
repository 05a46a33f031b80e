// Package bench measures what Sluice promises: each Case compares a part of the product
// with something that does the same work, on this machine and in this run. `sluice bench`
// runs it.
//
// A figure of one machine says nothing about another, so what is judged is a ratio: both
// sides of a comparison take turns, round by round, and the median of the rounds' ratios
// counts. Absolute figures are kept beside it for people.
//
// A case must use the product's own code on real parts (Open vSwitch, etcd, namespaces; the
// simulated switches of the case fleet alone excepted), must check that the work was done
// before it reports a time, and must remove what it made, also when it fails.
package bench
