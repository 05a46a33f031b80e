package web

import (
	"context"
	"sluice/controller/client"
	"time"

	"golang.org/x/sync/errgroup"

	dto "github.com/prometheus/client_model/go"
)

// series is one of a tenant's counters of bytes.
type series struct{ Tenant, Direction, Scope string }

// link is one direction of the tunnel between two hosts.
type link struct{ From, To string }

// tenantTraffic is what tenants sent and got, in bytes, as this controller exports it: nothing, where another one leads.
func (s *site) tenantTraffic() measured[series] {
	return s.traffic.take(time.Now(), func() map[series]uint64 {
		counts := map[series]uint64{}
		s.eachMetric("sluice_tenant_bytes_total", func(l map[string]string, value float64) {
			counts[series{l["tenant"], l["direction"], l["scope"]}] += uint64(value)
		})
		return counts
	})
}

// eachMetric tells the series of one of the controller's metrics.
func (s *site) eachMetric(name string, yield func(labels map[string]string, value float64)) {
	families, err := s.Registry.Gather()
	if err != nil {
		s.Log.Error("gather metrics for a page", "err", err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			yield(labelsOf(m), m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range m.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// readersAtOnce bounds the switches that are asked at once for what they got from others.
const readersAtOnce = 4

// linkTraffic is what hosts got from each other by tunnel, in bytes, as far as this controller's switches tell.
func (s *site) linkTraffic(ctx context.Context, hosts []client.HostStatus) measured[link] {
	return s.links.take(time.Now(), func() map[link]uint64 {
		lists := make([][]client.Link, len(hosts))
		var g errgroup.Group
		g.SetLimit(readersAtOnce)
		for i, h := range hosts {
			if h.Connected {
				g.Go(func() error {
					if list, err := s.api.Links(ctx, h.Name); err == nil { // else its switch went meanwhile
						lists[i] = list
					}
					return nil
				})
			}
		}
		_ = g.Wait()
		counts := map[link]uint64{}
		for i, list := range lists {
			for _, l := range list {
				counts[link{l.From, hosts[i].Name}] = l.Bytes
			}
		}
		return counts
	})
}
