package flows

// Slice names exactly the flows of one object on one host. It is their cookie: the kind
// in the high 8 bits, the tenant's number in the next 24, the object's number in the
// low 32.
type Slice uint64

// sliceKind is the sort of object that a slice belongs to. Each section declares its own.
type sliceKind uint8

// beyondTenants stands for every number that is too high for a cookie, and for a tenant.
const beyondTenants = 0xffffff

func newSlice(kind sliceKind, tenant, object uint32) Slice {
	return Slice(uint64(kind)<<56 | uint64(min(tenant, beyondTenants))<<32 | uint64(object))
}

// Tenant is the number of the tenant that the slice is of; 0: it is no tenant's.
func (sl Slice) Tenant() uint32 { return uint32(sl>>32) & beyondTenants }

func (sl Slice) kind() sliceKind { return sliceKind(sl >> 56) }
func (sl Slice) object() uint32  { return uint32(sl) }

// Switch is the one bridge that flows are compiled for.
type Switch struct {
	Host   string
	OFPort map[string]uint32 // interface name -> OpenFlow port
}
