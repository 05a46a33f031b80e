package traffic

import (
	"time"

	"sluice/store"
)

// place is a tenant, by number, at a host by which it does not leave any more.
type place struct {
	tenant uint32
	host   string
}

// stays are what tenants' connections of before still send and get through the hosts that they left. They are measured from the time that a host was
// left: an average of before would tell for minutes of what has gone already.
type stays map[place]*stay

// stay is one of them: bytes, and the seconds in which they came, as Meter has them for tenants.
type stay struct {
	readings    int // since the host was left
	bytes, span float64
}

// passedOver are the first readings after a host was left: they tell of the time before, since checkpoints are up to 10 s old.
const passedOver = 2

// draining are the places where connections of before go on.
func (m *Meter) draining() map[place]bool {
	places := map[place]bool{}
	m.Picture.View(func(s *store.State) {
		for _, name := range s.Unsettled() {
			t, g := s.Tenant(name), s.Gateway(name)
			if t == nil || g == nil {
				continue
			}
			for _, host := range g.Value.Draining {
				places[place{t.Value.Number, host}] = true
			}
		}
	})
	return places
}

// age has what was counted lose weight by the time that passed; places where nothing drains any more are forgotten.
func (all stays) age(places map[place]bool, passed, window time.Duration) {
	for at := range all {
		if !places[at] {
			delete(all, at)
		}
	}
	for at := range places {
		one := all[at]
		if one == nil {
			one = &stay{}
			all[at] = one
		}
		if one.readings++; one.readings > passedOver {
			keeps := keepsOf(passed, window)
			one.bytes, one.span = one.bytes*keeps, one.span*keeps+passed.Seconds()
		}
	}
}

// add adds what passed a host since the last reading.
func (all stays) add(at place, bytes float64) {
	if one := all[at]; one != nil && one.readings > passedOver {
		one.bytes += bytes
	}
}

// averages are the bytes a second at each place.
func (all stays) averages() map[place]float64 {
	list := map[place]float64{}
	for at, one := range all {
		if one.span > 0 && one.bytes > 0 {
			list[at] = one.bytes / one.span
		}
	}
	return list
}
