package lxc

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/hostagent/api"
)

var aliceDNS = &api.DNS{Nameservers: []string{"169.254.53.53", "fd73::53"}, Search: []string{"alice.sluice"}}

const aliceConf = `# Written by sluice lxc-hook at start boot/7.
search alice.sluice
nameserver 169.254.53.53
nameserver fd73::53
`

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// What is written, and where: never outside the container's root, whatever its links say.
func TestResolvConf(t *testing.T) {
	for _, x := range []struct {
		name string
		dns  *api.DNS
		make func(t *testing.T, root string)
		file string // below root, which is looked at
		want string
		says string
	}{
		{"none before", aliceDNS, func(*testing.T, string) {}, "etc/resolv.conf", aliceConf, ""},
		{"another's", aliceDNS, func(t *testing.T, root string) {
			write(t, root+"/etc/resolv.conf", strings.Repeat("nameserver 192.0.2.1\n", 20))
		}, "etc/resolv.conf", aliceConf, ""},
		{"of the last start", aliceDNS, func(t *testing.T, root string) { write(t, root+"/etc/resolv.conf", firstLine("boot/6")) }, "etc/resolv.conf", aliceConf, ""},
		{"of the first interface of this start", &api.DNS{Search: []string{"bob.sluice"}}, func(t *testing.T, root string) {
			write(t, root+"/etc/resolv.conf", aliceConf)
		}, "etc/resolv.conf", aliceConf, ""},
		{"no resolver", nil, func(t *testing.T, root string) { write(t, root+"/etc/resolv.conf", "own\n") }, "etc/resolv.conf", "own\n", ""},
		{"a link inside", aliceDNS, func(t *testing.T, root string) {
			write(t, root+"/run/stub", "")
			link(t, "/run/stub", root+"/etc/resolv.conf")
		}, "run/stub", aliceConf, ""},
		{"a link to nothing", aliceDNS, func(t *testing.T, root string) { link(t, "/run/stub", root+"/etc/resolv.conf") },
			"etc/none", "", "a link to a file that is not there"},
		{"a link out of it", aliceDNS, func(t *testing.T, root string) {
			write(t, root+"/../outside", "own\n")
			link(t, "../../../../../../../../.."+filepath.Dir(root)+"/outside", root+"/etc/resolv.conf")
		}, "../outside", "own\n", "a link to a file that is not there"},
		{"a pipe", aliceDNS, func(t *testing.T, root string) {
			if err := syscall.Mkfifo(root+"/etc/resolv.conf", 0o644); err != nil {
				t.Fatal(err)
			}
		}, "etc/none", "", "it is no file"},
		{"mounted", aliceDNS, func(t *testing.T, root string) {
			write(t, root+"/../host", "own\n")
			write(t, root+"/etc/resolv.conf", "")
			if err := syscall.Mount(root+"/../host", root+"/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Unmount(root+"/etc/resolv.conf", 0) })
		}, "../host", "own\n", "mounted from elsewhere"},
	} {
		t.Run(x.name, func(t *testing.T) {
			root := t.TempDir() + "/root"
			if err := os.MkdirAll(root+"/etc", 0o755); err != nil {
				t.Fatal(err)
			}
			x.make(t, root)
			err := writeResolvConf(root, "boot/7", x.dns)
			if (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
				t.Errorf("error %v, want %q", err, x.says)
			}
			got, err := os.ReadFile(filepath.Join(root, x.file))
			if string(got) != x.want || err != nil && x.want != "" {
				t.Errorf("%s (%v) is\n%swant\n%s", x.file, err, got, x.want)
			}
		})
	}
}

// A container whose users have other numbers owns the file.
func TestResolvConfIsTheContainersOwn(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(root, 100000, 100001); err != nil {
		t.Fatal(err)
	}
	if err := writeResolvConf(root, "boot/7", aliceDNS); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(root + "/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	if of := info.Sys().(*syscall.Stat_t); of.Uid != 100000 || of.Gid != 100001 || info.Mode().Perm() != 0o644 {
		t.Errorf("it is %d:%d's, mode %s", of.Uid, of.Gid, info.Mode())
	}
}

// A container without a rootfs has the host's files: those are not touched.
func TestResolvConfOfTheHostStays(t *testing.T) {
	cmd := exec.Command("sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	before, _ := os.ReadFile("/etc/resolv.conf")
	err := Call{Container: "web", PID: cmd.Process.Pid}.WriteResolvConf(aliceDNS)
	if err == nil || !strings.Contains(err.Error(), "container web: /etc/resolv.conf: the container has the host's own files") {
		t.Errorf("error %v", err)
	}
	if after, _ := os.ReadFile("/etc/resolv.conf"); string(after) != string(before) {
		t.Error("the host's /etc/resolv.conf was written")
	}
}
