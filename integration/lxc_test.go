package integration

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// lxcMachine is a fresh machine on which the commands of LXC's page have run for a tenant.
func lxcMachine(t *testing.T, host, tenant string) fresh {
	t.Helper()
	f := freshMachine(t, host)
	t.Cleanup(func() { f.try(endLXC) })
	f.run(strings.ReplaceAll(ofPage(t, "lxc.md", "run"), "alice", tenant))
	return f
}

// endLXC ends all containers, and removes the control groups of those whose monitor was killed.
const endLXC = `for c in $(lxc-ls --running); do lxc-stop --name $c --kill || true; done
find /sys/fs/cgroup -depth -type d '(' -name 'lxc.payload.web*' -o -name 'lxc.monitor.web*' ')' -exec rmdir '{}' + || true`

// portAddress is the first address of a port.
func portAddress(t *testing.T, port string) string {
	t.Helper()
	address, _, _ := strings.Cut(answer[struct{ Addresses []string }](t, "port", "show", port).Addresses[0], "/")
	return address
}

// The commands of LXC's page, as they stand, and what its containers live through: init finds the address,
// a reboot and a power cut keep it, a clone has another one, and a stop leaves nothing.
func TestLXC(t *testing.T) {
	st := needLab(t)
	tenant(t, "lxc", "--subnet", "10.93.0.0/24")
	had := portsEverywhere(t, st)
	f := lxcMachine(t, "h1", "lxc")
	bare := container(t, "h2", "lxc", "lxc-bare")
	address := portAddress(t, "lxc/web")
	expect(t, "inside", f.run("lxc-attach --name web -- ip address"), address+"/24", "mtu 1450", "inet 127.0.0.1/8")
	f.run("lxc-attach --name web -- ping -c 1 -W 2 " + ipOf(bare).String())
	expect(t, "whom it asks", f.run("lxc-attach --name web -- cat /etc/resolv.conf"), "search lxc.sluice\nnameserver 169.254.53.53\n")
	f.run("lxc-attach --name web -- ping -c 1 -W 2 lxc-bare")
	wantPing(t, bare, netip.MustParseAddr(address))
	f.run("lxc-attach --name web -- ping -c 1 -W 2 " + st.Internet.IP.String())

	f.run("lxc-stop --name web --reboot --timeout 5")
	eventually(t, "it runs again, with its address", func() error {
		_, err := f.try("lxc-attach --name web -- ip address show dev eth0 | grep " + address)
		return err
	})

	// What init sees first. From here on the container's init is a script.
	f.run(`lxc-stop --name web --kill
cat >/var/lib/lxc/web/rootfs/first <<END
#!/bin/sh
{ ip address; ip route; } >/seen
exec sleep 1000
END
chmod +x /var/lib/lxc/web/rootfs/first
printf 'lxc.init.cmd = /first\nlxc.start.auto = 1\n' >>/var/lib/lxc/web/config`)
	if err := hasPorts(t, "lxc", "lxc-bare"); err != nil {
		t.Error(err)
	}
	f.run("lxc-autostart")
	address = portAddress(t, "lxc/web")
	eventually(t, "init sees its address", func() error {
		_, err := f.try("grep '" + address + "/24' /var/lib/lxc/web/rootfs/seen && grep 'default via 10.93.0.1' /var/lib/lxc/web/rootfs/seen")
		return err
	})

	t.Run("power cut", func(t *testing.T) {
		f := f.in(t)
		// All that ran on the machine ends at once, and LXC comes to tell nothing.
		f.run("kill -KILL $(pgrep -f '^.lxc monitor. /var/lib/lxc web') $(lxc-info --name web --pid --no-humanize)")
		blocker := container(t, "h2", "lxc", "lxc-blocker") // would get a free address
		eventually(t, "LXC sees that it ended", func() error { _, err := f.try("lxc-wait --name web --state STOPPED --timeout 0"); return err })
		f.run("lxc-autostart")
		if now := portAddress(t, "lxc/web"); now != address || ipOf(blocker).String() == address {
			t.Errorf("after a power cut it has %s, it had %s", now, address)
		}
	})
	t.Run("agent restarts", func(t *testing.T) {
		f := f.in(t)
		f.run("lxc-stop --name web --kill")
		sluice(t, "lab", "kill", "agent/h1")
		started := make(chan error, 1)
		go func() { _, err := f.try("lxc-autostart"); started <- err }()
		time.Sleep(300 * time.Millisecond) // so that it finds no agent
		sluice(t, "lab", "up")
		if err := <-started; err != nil {
			t.Errorf("a start while the agent was away: %v", err)
		}
		wantPing(t, bare, netip.MustParseAddr(portAddress(t, "lxc/web")))
	})
	t.Run("clones", func(t *testing.T) { lxcClones(t, f.in(t)) })
	f.run("lxc-stop --name web --kill; lxc-destroy --name web")
	if err := hasPorts(t, "lxc", "lxc-bare"); err != nil {
		t.Error(err)
	}
	sluice(t, "lab", "rm", "lxc-bare")
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}

// A container of users that are not the host's, and one with interfaces of two tenants and one that LXC makes itself.
func TestLXCOfOtherUsersAndWithMoreInterfaces(t *testing.T) {
	needLab(t)
	tenant(t, "lxc-own", "--subnet", "10.91.0.0/24")
	tenant(t, "lxc-second", "--subnet", "10.92.0.0/24")
	f := freshMachine(t, "h1")
	t.Cleanup(func() { f.try(endLXC) })
	near, second := container(t, "h2", "lxc-own", "own-bare"), container(t, "h2", "lxc-second", "second-bare")
	t.Run("users", func(t *testing.T) {
		f := f.in(t)
		f.run(strings.ReplaceAll(ofPage(t, "lxc.md", "users"), "alice", "lxc-own"))
		expect(t, "init's users", f.run("cat /proc/$(lxc-info --name web --pid --no-humanize)/uid_map"), "100000", "65536")
		f.run("lxc-attach --name web -- ping -c 1 -W 2 own-bare")
		expect(t, "the owner of its resolv.conf", f.run("lxc-attach --name web -- stat -c %u:%g:%a /etc/resolv.conf"), "0:0:644")
		wantPing(t, near, netip.MustParseAddr(portAddress(t, "lxc-own/web")))
		f.run("lxc-stop --name web --kill; lxc-destroy --name web")
		if err := hasPorts(t, "lxc-own", "own-bare"); err != nil {
			t.Error(err)
		}
	})
	t.Run("interfaces", func(t *testing.T) {
		f := f.in(t)
		page := strings.ReplaceAll(ofPage(t, "lxc.md", "second"), "bob", "lxc-second")
		f.run(strings.ReplaceAll(page, "alice", "lxc-own"))
		says := f.run("lxc-attach --name web -- ip address")
		expect(t, "inside", says, "eth0", portAddress(t, "lxc-own/web")+"/24", "eth1", portAddress(t, "lxc-second/web-second")+"/24", "eth2", "192.0.2.2/24")
		f.run("lxc-attach --name web -- ping -c 1 -W 2 own-bare")
		f.run("lxc-attach --name web -- ping -c 1 -W 2 " + ipOf(second).String())
		expect(t, "whom it asks", f.run("lxc-attach --name web -- cat /etc/resolv.conf"), "search lxc-own.sluice\n")
		f.run("lxc-stop --name web --kill")
		for tenant, bare := range map[string]string{"lxc-own": "own-bare", "lxc-second": "second-bare"} {
			if err := hasPorts(t, tenant, bare); err != nil {
				t.Error(err)
			}
		}
	})
}

// lxcClones copies the container, and starts the copy, also with an address that is taken.
func lxcClones(t *testing.T, f fresh) {
	f.run("lxc-stop --name web --kill; lxc-copy --name web --newname web2; lxc-start --name web; lxc-start --name web2")
	if a, b := portAddress(t, "lxc/web"), portAddress(t, "lxc/web2"); a == b {
		t.Errorf("both have the address %s", a)
	}
	f.run("lxc-stop --name web2 --kill; sed -i 's/--tenant/--ip " + portAddress(t, "lxc/web") + " --tenant/' /var/lib/lxc/web2/config")
	lxcRefuses(t, f, "web2", portAddress(t, "lxc/web")+": taken by ports/h1/lxc/default/web")
	f.run("lxc-destroy --name web2")
}

// lxcRefuses starts a container, which must not start, and looks for the reason in its log.
func lxcRefuses(t *testing.T, f fresh, name, why string) {
	t.Helper()
	if out, err := f.try("lxc-start --name " + name); err == nil {
		t.Errorf("%s started, want %q\n%s", name, why, out)
	}
	expect(t, "the log", f.run("cat /var/log/lxc/"+name+".log"), "sluice "+name, why)
}

// A start that cannot be stops with our sentence in the container's log, and leaves nothing.
func TestLXCRefusals(t *testing.T) {
	needLab(t)
	tenant(t, "lxc-full", "--subnet", "10.94.0.0/30") // one address
	f := lxcMachine(t, "h1", "lxc-full")
	f.run("lxc-stop --name web --kill; lxc-copy --name web --newname two; lxc-start --name web")
	config := "/var/lib/lxc/two/config"
	for _, x := range []struct{ edit, why string }{
		{"", "exhausted"},
		{"s/--tenant lxc-full/--tenant lxc-none/", "network lxc-none/default does not exist"},
		{"s/--tenant/--tennant/", "unknown flag: --tennant"},
		{"s|--tennant|--socket /run/none --patience 1s --tenant|", "is sluice agent running?"},
	} {
		f.run("sed -i '" + x.edit + "' " + config)
		lxcRefuses(t, f, "two", x.why)
		f.run("rm /var/log/lxc/two.log")
		if err := hasPorts(t, "lxc-full", "web"); err != nil {
			t.Error(err)
		}
	}
}
