package integration

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"sluice/integration/lab"
)

// The commands of containerd's page, as they stand.
func TestContainerd(t *testing.T) {
	st := needLab(t)
	tenant(t, "ctr", "--subnet", "10.95.0.0/24")
	tenant(t, "bob", "--subnet", "10.95.0.0/24")
	had := portsEverywhere(t, st)
	image := filepath.Join(t.TempDir(), "image.tar")
	if err := lab.WriteArchive(image); err != nil {
		t.Fatal(err)
	}
	f := freshMachine(t, "h1")
	f.env = append(f.env, "CONTAINERD_SNAPSHOTTER=native") // a machine of its own has no overlay below its folders
	f.stay("exec containerd --log-level warn")
	eventually(t, "containerd answers", func() error { _, err := f.try("ctr version"); return err })
	t.Cleanup(func() {
		f.try("for c in $(ctr task list --quiet); do ctr task kill --signal SIGKILL $c; done; sleep 0.5")
	})
	f.run("ctr images import " + image + " && ctr images tag " + lab.ImageName + ":latest docker.io/library/busybox:latest")

	f.run(strings.ReplaceAll(ofPage(t, "containerd.md", "run"), "alice", "ctr"))
	f.run(strings.ReplaceAll(ofPage(t, "containerd.md", "other"), "alice", "ctr"))
	bare := container(t, "h2", "ctr", "ctr-bare")
	for _, name := range []string{"web", "bob-web"} {
		eventually(t, name+" runs", func() error { _, err := f.try("ctr task list | grep '^" + name + " .*RUNNING'"); return err })
	}
	// ctr 1.6 loses now and then what a command prints that ends at once.
	eventually(t, "its address is there inside", func() error {
		out, err := f.try("ctr task exec --exec-id $(cat /proc/sys/kernel/random/uuid) web ip address")
		if err == nil && !(strings.Contains(out, "10.95.0.") && strings.Contains(out, "mtu 1450")) {
			err = fmt.Errorf("it has:\n%s", out)
		}
		return err
	})
	f.run("ctr task exec --exec-id 2 web ping -c 1 -W 2 " + ipOf(bare).String())
	if out, err := f.try("ctr task exec --exec-id 3 bob-web ping -c 1 -W 1 " + ipOf(bare).String()); err == nil {
		t.Errorf("another tenant's container reaches it:\n%s", out)
	}
	out, err := f.try(`sed -i 's/"network"/"net-work"/' /etc/cni/net.d/10-ctr.conflist
ctr run --rm --cni --null-io docker.io/library/busybox:latest two sleep 1000`)
	if err == nil || !strings.Contains(out, `unknown key "net-work"`) {
		t.Errorf("a misspelt key: %v\n%s", err, out)
	}

	f.run("ctr task kill --signal SIGKILL web; ctr task kill --signal SIGKILL bob-web")
	eventually(t, "all is gone", func() error {
		if err := hasPorts(t, "bob"); err != nil {
			return err
		}
		return hasPorts(t, "ctr", "ctr-bare")
	})
	sluice(t, "lab", "rm", "ctr-bare")
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}
