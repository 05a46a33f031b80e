package hostagent

import "context"

// forwarding keeps the kernel of a gateway host forwarding IPv4: tenants' egress crosses it.
type forwarding struct{}

const forwardingSetting = "net/ipv4/ip_forward"

func (forwarding) is(context.Context) (on bool, err error) { return sysctlIs(forwardingSetting, "1") }

func (forwarding) should(context.Context) (on bool, err error) { return true, nil }

func (forwarding) makeSo(_ context.Context, should, is bool) error {
	if is == should {
		return nil
	}
	return setSysctl(forwardingSetting, "1")
}
