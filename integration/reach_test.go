package integration

import (
	"testing"

	"sluice/integration/lab"
)

// Containers of one network talk, on one host and across hosts, in both segmentations.
func TestSameTenantTalks(t *testing.T) {
	needLab(t)
	for _, segmentation := range []string{"tunnel", "vlan"} {
		t.Run(segmentation, func(t *testing.T) {
			name := "talk-" + segmentation
			tenant(t, name, "--segmentation", segmentation)
			all := []lab.Container{
				container(t, "h1", name, segmentation+"-1"),
				container(t, "h1", name, segmentation+"-2"),
				container(t, "h2", name, segmentation+"-3"),
				container(t, "h3", name, segmentation+"-4"),
			}
			for _, from := range all {
				for _, to := range all {
					if from.Name != to.Name {
						wantPing(t, from, ipOf(to))
					}
				}
			}
			wantTransfer(t, all[0], all[1])
			wantTransfer(t, all[0], all[2])
			wantTransfer(t, all[3], all[0])
		})
	}
}

// A container gets the address that it asks for, and nobody else gets the same.
func TestChosenAddress(t *testing.T) {
	needLab(t)
	tenant(t, "chosen", "--subnet", "10.20.0.0/24")
	c := container(t, "h1", "chosen", "chosen-1", "10.20.0.77")
	if got := ipOf(c).String(); got != "10.20.0.77" {
		t.Errorf("asked for 10.20.0.77, got %s", got)
	}
	refused(t, []string{"10.20.0.77"}, "lab", "run", "h2", "chosen", "chosen-2", "--ip", "10.20.0.77")
	refused(t, []string{"10.21.0.1"}, "lab", "run", "h2", "chosen", "chosen-3", "--ip", "10.21.0.1")
}

// Each tenant reaches the internet, and is seen there from its own gateway host.
func TestEgressLeavesByGateway(t *testing.T) {
	needLab(t)
	tenant(t, "out-1", "--gateway", "h1")
	tenant(t, "out-2", "--gateway", "h2", "--segmentation", "vlan")
	for _, host := range []string{"h1", "h2", "h3"} {
		one := container(t, host, "out-1", "out-1-"+host)
		two := container(t, host, "out-2", "out-2-"+host)
		wantPing(t, one, lab.InternetAddress)
		if got := seenAs(t, one).String(); got != "172.30.0.1" {
			t.Errorf("tenant out-1 on %s is seen as %s, not as its gateway host h1 (172.30.0.1)", host, got)
		}
		if got := seenAs(t, two).String(); got != "172.30.0.2" {
			t.Errorf("tenant out-2 on %s is seen as %s, not as its gateway host h2 (172.30.0.2)", host, got)
		}
	}
}
