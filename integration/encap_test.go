package integration

import (
	"strconv"
	"strings"
	"testing"

	"sluice/integration/lab"
)

// Every encapsulation carries both segmentations and the way out, at full size: the lab is
// made anew with each, and as it was at the end.
func TestEncapsulations(t *testing.T) {
	needLab(t)
	t.Cleanup(func() {
		sluice(t, "lab", "down")
		sluice(t, "lab", "up", "--hosts", "3")
	})
	for _, encap := range []string{"geneve", "gre"} {
		t.Run(encap, func(t *testing.T) {
			sluice(t, "lab", "down")
			sluice(t, "lab", "up", "--hosts", "2", "--encap", encap)
			refused(t, []string{encap, "lab down"}, "lab", "up", "--encap", "vxlan")
			for _, segmentation := range []string{"tunnel", "vlan"} {
				name := encap + "-" + segmentation
				tenant(t, name, "--segmentation", segmentation, "--gateway", "h2")
				a, b := container(t, "h1", name, name+"-1"), container(t, "h2", name, name+"-2")
				wantPing(t, a, ipOf(b))
				wantTransfer(t, a, b)
				wantTransfer(t, b, a)
				wantPing(t, a, lab.InternetAddress)
				seenAs(t, a)
			}
			wantNoDiff(t)
		})
	}
}

// The largest packet that a container's interface lets out, unfragmented, arrives at a
// neighbour and at the internet.
func TestLargestPacketPasses(t *testing.T) {
	needLab(t)
	for _, segmentation := range []string{"tunnel", "vlan"} {
		a, b := pair(t, "large-"+segmentation, "--segmentation", segmentation, "--gateway", "h3")
		raw := sluice(t, "lab", "exec", a.Name, "--", "cat", "/sys/class/net/"+a.Iface+"/mtu")
		mtu, err := strconv.Atoi(strings.TrimSpace(raw))
		if err != nil {
			t.Fatal(err)
		}
		const headers = 20 + 8 // IPv4 and ICMP
		for _, to := range []string{ipOf(b).String(), lab.InternetAddress.String()} {
			sluice(t, "lab", "exec", a.Name, "--", "ping", "-q", "-c3", "-i0.2", "-W1", "-M", "do", "-s", strconv.Itoa(mtu-headers), to)
		}
	}
}
