package bench

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sluice/datapath/ovsrun"
)

// ovnTenant is a tenant of OVN: a switch with two ports, a router, and one address that its two translate to, on the lab's last host.
// Where that dies the second host takes over.
type ovnTenant int

// ovnTenants are OVN's tenants of some numbers.
func ovnTenants(numbers []int) []ovnTenant {
	all := make([]ovnTenant, len(numbers))
	for i, n := range numbers {
		all[i] = ovnTenant(n)
	}
	return all
}

func (n ovnTenant) port(host int) string { return fmt.Sprintf("t%d-%d", n, host) }
func (n ovnTenant) link() string         { return fmt.Sprintf("ov%d", n) }
func (n ovnTenant) outer() string        { return fmt.Sprintf("172.31.%d.%d", n/250, n%250+1) }

func ovnAddress(host int) string { return fmt.Sprintf("10.0.0.%d", host+1) }
func ovnMAC(host int) string     { return fmt.Sprintf("02:00:00:00:00:%02x", host+1) }

const (
	ovnRouter = "10.0.0.254"
	// ovnBatch is how many tenants are said in one command, as long as a command line may be.
	ovnBatch = 50
)

// objects are the words of ovn-nbctl that make a tenant.
func (n ovnTenant) objects() []string {
	mac := fmt.Sprintf("%02x:%02x", int(n)>>8, int(n)&0xff)
	text := fmt.Sprintf(`ls-add s%[1]d
lr-add r%[1]d
lrp-add r%[1]d r%[1]d-in 02:01:00:00:%[2]s %[3]s/24
lsp-add s%[1]d s%[1]d-r
lsp-set-type s%[1]d-r router
lsp-set-addresses s%[1]d-r router
lsp-set-options s%[1]d-r router-port=r%[1]d-in
lrp-add r%[1]d r%[1]d-out 02:02:00:00:%[2]s %[4]s/16
lrp-set-gateway-chassis r%[1]d-out h3 20
lrp-set-gateway-chassis r%[1]d-out h2 10
lsp-add %[5]s e%[1]d
lsp-set-type e%[1]d router
lsp-set-addresses e%[1]d router
lsp-set-options e%[1]d router-port=r%[1]d-out
lr-route-add r%[1]d 0.0.0.0/0 %[6]s
lr-nat-add r%[1]d snat %[4]s 10.0.0.0/24`, int(n), mac, ovnRouter, n.outer(), ovnExternal, ovnUplink)
	for host := range measuredHosts {
		text += fmt.Sprintf("\nlsp-add s%d %s\nlsp-set-addresses %[2]s %s %s", n, n.port(host), ovnMAC(host), ovnAddress(host))
	}
	return words(text)
}

// absence are the words that remove it.
func (n ovnTenant) absence() []string {
	return words(fmt.Sprintf("lr-del r%[1]d\nls-del s%[1]d\nlsp-del e%[1]d", int(n)))
}

// words are lines as arguments of one command, which does all or nothing.
func words(lines string) (args []string) {
	for line := range strings.Lines(lines) {
		args = append(args, "--")
		fields := strings.Fields(line)
		if fields[0] == "lsp-set-addresses" && len(fields) == 4 { // MAC and address are one argument
			fields = []string{fields[0], fields[1], fields[2] + " " + fields[3]}
		}
		args = append(args, fields...)
	}
	return args[1:]
}

// make makes tenants' objects in the northbound database, many in a transaction.
func (o *ovn) make(ctx context.Context, tenants []ovnTenant, each func(ovnTenant) []string) error {
	for some := range slices.Chunk(tenants, ovnBatch) {
		var args []string
		for _, n := range some {
			args = append(append(args, "--"), each(n)...)
		}
		if _, err := o.nb(ctx, args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// plug gives a host's container an interface of a tenant, and the switch its other end.
func (o *ovn) plug(ctx context.Context, host int, n ovnTenant, c container, inside string) error {
	lines := fmt.Sprintf("link add %[1]s mtu 1400 type veth peer name %[2]s address %[3]s mtu 1400 netns %[4]s\nlink set %[1]s up\n",
		n.link(), inside, ovnMAC(host), c.netns)
	if _, err := output(ctx, lines, "ip", "-n", o.Hosts[host].NetNS, "-batch", "-"); err != nil {
		return err
	}
	return o.change(ctx, host, func(change *ovsrun.Change) error {
		if err := change.AddPort(ovnBridge, n.link()); err != nil {
			return err
		}
		return change.Also("set", "interface", n.link(), "external_ids:iface-id="+n.port(host))
	})
}

// address gives the container's end what a tenant's container has.
func (o *ovn) address(ctx context.Context, host int, c container, inside string) error {
	lines := fmt.Sprintf("address add %s/24 dev %s\nlink set %[2]s up\nroute replace default via %s\n", ovnAddress(host), inside, ovnRouter)
	_, err := output(ctx, lines, "ip", "-n", c.netns, "-batch", "-")
	if err == nil {
		_, err = output(ctx, "", "ip", "netns", "exec", c.netns, "ethtool", "-K", inside, "tx", "off")
	}
	return err
}

// unplug takes interfaces of tenants away again.
func (o *ovn) unplug(ctx context.Context, host int, tenants ...ovnTenant) error {
	err := o.change(ctx, host, func(change *ovsrun.Change) error {
		for _, n := range tenants {
			if err := change.DeletePort(ovnBridge, n.link()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, n := range tenants {
		fmt.Fprintf(&lines, "link delete %s\n", n.link())
	}
	_, err = output(ctx, lines.String(), "ip", "-n", o.Hosts[host].NetNS, "-batch", "-")
	return err
}

var flowLine = regexp.MustCompile(`(?m)^ cookie=`)

// flows counts the flows in a host's bridge of OVN.
func (o *ovn) flows(ctx context.Context, host int) (int, error) {
	text, err := o.Hosts[host].Switch().OFCtl(ctx, "dump-flows", ovnBridge)
	return len(flowLine.FindAllString(text, -1)), err
}
