package openflow

// Ethernet types (IEEE 802) and IP protocols (IANA) that matches, actions and packets speak of.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
	EtherVLAN = 0x8100 // of an 802.1Q tag
	EtherIPv6 = 0x86dd

	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)
