package host

// What a controller knows of the claims to a host. Each has a generation, higher than all before:
// the switch refuses a master whose generation is below the highest that it was told.

// sawClaim notes the generation of a claim that etcd showed, whosesoever it is.
func (h *Host) sawClaim(generation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest = max(h.latest, generation)
}

// Claimed notes that etcd confirmed a claim of this controller's.
func (h *Host) Claimed(generation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.own, h.latest, h.lastKnown = generation, max(h.latest, generation), false
}

// GoOn notes that the host is programmed by its last known state: its controller is the switch's
// master by the claim that etcd confirmed last, and etcd does not say whether it still stands.
func (h *Host) GoOn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lastKnown {
		h.lastKnown, h.vouched = true, h.realized
	}
}

// GoesOn reports whether the host is programmed by its last known state.
func (h *Host) GoesOn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lastKnown
}

// GiveUp notes that this controller programs the host no more.
func (h *Host) GiveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastKnown = false
}

// Generations are that of this controller's last claim, as etcd confirmed it, 0 for none; and the
// highest of anybody's that etcd ever showed to this controller.
func (h *Host) Generations() (own, latest uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.own, h.latest
}
