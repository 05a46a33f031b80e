package main

import (
	"fmt"
	"math"

	"github.com/containernetworking/cni/pkg/types"

	"sluice/hostagent/api"
)

// bandwidth is the capability of that name (CNI's conventions): rates in bits a second, bursts in bits. Ingress is what the container
// gets. A rate of 0 is no limit.
type bandwidth struct {
	IngressRate  uint64 `json:"ingressRate"`
	IngressBurst uint64 `json:"ingressBurst"`
	EgressRate   uint64 `json:"egressRate"`
	EgressBurst  uint64 `json:"egressBurst"`
}

// limits are those that the runtime asks for; nil: none.
func (b bandwidth) limits() (*api.Limits, error) {
	if b == (bandwidth{}) {
		return nil, nil
	}
	for _, rate := range []uint64{b.IngressRate, b.EgressRate} {
		if kilobits(rate) == math.MaxUint32 {
			return nil, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("bandwidth: a rate of %d bits a second is more than can be limited: leave it out", rate), "")
		}
	}
	return &api.Limits{EgressKbps: kilobits(b.EgressRate), IngressKbps: kilobits(b.IngressRate), EgressBurst: kilobits(b.EgressBurst), IngressBurst: kilobits(b.IngressBurst)}, nil
}

// kilobits of so many bits, rounded up: the least rate is one, and no rate becomes none. What is too much is the most.
func kilobits(bits uint64) uint32 {
	whole := bits / 1000
	if bits%1000 > 0 {
		whole++
	}
	return uint32(min(whole, math.MaxUint32))
}
