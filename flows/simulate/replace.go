package simulate

import of "sluice/datapath/openflow"

// Replace loads other flows in the place of all that the switch holds. Its connections
// stay, the packets that its flows counted do not.
func (b *Bridge) Replace(flows []of.Flow) error {
	n, err := NewBridge(flows)
	if err != nil {
		return err
	}
	b.tables = n.tables
	return nil
}
