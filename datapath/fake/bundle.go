package fake

import (
	"bytes"

	"sluice/datapath/openflow"
)

// Errors about bundles are the ONF's (EXT-230).
func bundleError(code uint16) *openflow.Error {
	return &openflow.Error{Type: openflow.ErrorExtension, Code: code, Experimenter: 0x4f4e4600}
}

const (
	bundleBadID         = 2302
	bundleBadType       = 2306
	bundleMessageFailed = 2313
	bundleUnsupported   = 2310
)

func (c *session) experimenter(xid uint32, message []byte) {
	kind, err := openflow.DecodeExperimenter(message)
	switch {
	case err != nil:
		c.refuse(errBadLength, message)
	case kind == openflow.ExperimenterBundleControl:
		if c.mayWrite(message) {
			c.bundleControl(xid, message)
		}
	case kind == openflow.ExperimenterBundleAdd:
		if c.mayWrite(message) {
			c.bundleAdd(message)
		}
	case kind == openflow.ExperimenterAsyncConfig:
		c.listens.Store(true)
	case kind == openflow.ExperimenterCTFlush: // it knows no connections
	default:
		c.refuse(errBadSubtype, message)
	}
}

func (c *session) bundleControl(xid uint32, message []byte) {
	b, err := openflow.DecodeBundleControl(message)
	if err != nil {
		c.refuse(errBadLength, message)
		return
	}
	if refusal := c.step(b); refusal != nil {
		c.refuse(refusal, message)
		return
	}
	b.Step++ // each step's reply follows it
	c.send(func(out []byte) []byte { return openflow.AppendBundleControl(out, xid, b) })
}

// step opens, commits or discards a bundle. Whatever comes of it, a bundle that was open before
// is gone; to close one is not supported.
func (c *session) step(b openflow.BundleControl) *openflow.Error {
	messages, open := c.bundles[b.Bundle]
	delete(c.bundles, b.Bundle)
	switch {
	case b.Step != openflow.BundleOpen && b.Step != openflow.BundleCommit && b.Step != openflow.BundleDiscard:
		return bundleError(bundleBadType)
	case open == (b.Step == openflow.BundleOpen):
		return bundleError(bundleBadID)
	case b.Step == openflow.BundleOpen:
		c.bundles[b.Bundle] = nil
	case b.Step == openflow.BundleCommit && !c.commit(messages):
		return bundleError(bundleMessageFailed)
	}
	return nil
}

// bundleAdd keeps a flow mod for the commit. As in Open vSwitch a bundle that was not opened is
// opened by it, and one that holds a refused message is not spoiled.
func (c *session) bundleAdd(message []byte) {
	b, err := openflow.DecodeBundleAdd(message)
	if err != nil {
		c.refuse(errBadLength, message)
		return
	}
	if h, err := openflow.ParseHeader(b.Message); err != nil || h.Type != openflow.TypeFlowMod {
		c.refuse(bundleError(bundleUnsupported), message)
		return
	}
	if _, refusal := readMod(b.Message); refusal != nil {
		c.refuse(refusal, message)
		return
	}
	c.bundles[b.Bundle] = append(c.bundles[b.Bundle], bytes.Clone(b.Message))
}

// commit makes all changes or none; it answers the one that was refused.
func (c *session) commit(messages [][]byte) bool {
	mods := make([]mod, len(messages))
	for i, message := range messages {
		mods[i], _ = readMod(message) // it was read before
	}
	at, refusal := c.s.change(c, mods)
	if refusal != nil {
		c.refuse(refusal, messages[at])
		return false
	}
	c.changed = c.changed || len(mods) > 0
	c.s.mu.Lock()
	c.s.counts.Commits++
	c.s.mu.Unlock()
	return true
}
