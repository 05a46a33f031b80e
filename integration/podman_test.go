package integration

import (
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/integration/lab"
)

// podmanContainer starts a container by Podman, and removes it with the test.
func podmanContainer(t *testing.T, host, tenant, name string, args ...string) lab.Container {
	t.Helper()
	sluice(t, append([]string{"lab", "run", host, tenant, name, "--runtime", "podman"}, args...)...)
	t.Cleanup(func() { command(t, "lab", "rm", name) })
	return inspect(t, name)
}

// Containers of Podman are in their tenant's network: they and bare namespaces reach each other on
// both hosts, another tenant's do not, and the way out is there.
func TestPodman(t *testing.T) {
	st := needLab(t)
	tenant(t, "pod", "--subnet", "10.91.0.0/24")
	tenant(t, "pod-other", "--subnet", "10.91.0.0/24")
	had := portsEverywhere(t, st)
	web := podmanContainer(t, "h1", "pod", "pod-web", "--ip", "10.91.0.50")
	db := podmanContainer(t, "h2", "pod", "pod-db")
	bare := container(t, "h3", "pod", "pod-bare")
	other := podmanContainer(t, "h1", "pod-other", "pod-other-web", "--ip", "10.91.0.60")
	if want := netip.MustParseAddr("10.91.0.50"); ipOf(web) != want {
		t.Errorf("it asked for %s and has %s", want, ipOf(web))
	}
	for _, pair := range [][2]lab.Container{{web, db}, {db, bare}, {bare, web}} {
		if err := transfer(t, pair[0], pair[1]); err != nil {
			t.Errorf("%s to %s: %v", pair[0].Name, pair[1].Name, err)
		}
	}
	wantNoPing(t, bare, ipOf(other))
	inside := sluice(t, "lab", "exec", "pod-web", "--", "ip", "address", "show", "dev", "eth0")
	for _, want := range []string{"10.91.0.50/24", "mtu 1450", web.MAC} {
		if !strings.Contains(inside, want) {
			t.Errorf("inside the container there is no %q:\n%s", want, inside)
		}
	}
	sluice(t, "lab", "exec", "pod-web", "--", "ping", "-c", "3", "-W", "1", st.Internet.IP.String())
	if got := sluice(t, "lab", "exec", "pod-web", "--", "cat", "/etc/resolv.conf"); !strings.Contains(got, "nameserver 169.254.53.53\n") || !strings.Contains(got, "search pod.sluice\n") {
		t.Errorf("its resolv.conf is not of the host's resolver:\n%s", got)
	}
	sluice(t, "lab", "exec", "pod-web", "--", "ping", "-c", "1", "-W", "2", "pod-bare")
	sluice(t, "lab", "exec", "pod-web", "--", "ping", "-c", "1", "-W", "2", "pod-db.pod.sluice")

	podmanPods(t, bare)
	for _, name := range []string{"pod-web", "pod-db", "pod-other-web", "pod-bare"} {
		sluice(t, "lab", "rm", name)
	}
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}

// podman runs Podman on host h1 of the lab.
func podman(t *testing.T, args ...string) (string, error) {
	t.Helper()
	argv := lab.Podman("h1", args...)
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// mustPodman runs what must succeed.
func mustPodman(t *testing.T, args ...string) string {
	t.Helper()
	out, err := podman(t, args...)
	if err != nil {
		t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// The containers of a pod share one port, which goes with the pod.
func podmanPods(t *testing.T, neighbour lab.Container) {
	t.Helper()
	before := sluice(t, "port", "list", "--tenant", "pod")
	mustPodman(t, "create", "--name", "pod-root", lab.ImageName, "/bin/true")
	root := filepath.Join(t.TempDir(), "root.tar")
	mustPodman(t, "export", "--output", root, "pod-root")
	mustPodman(t, "import", "--change", `ENTRYPOINT ["/bin/sleep", "infinity"]`, root, "localhost/sluice-pause")
	mustPodman(t, "pod", "create", "--name", "pod-pod", "--network", "pod-default:ip=10.91.0.70", "--infra-image", "localhost/sluice-pause")
	t.Cleanup(func() { podman(t, "pod", "rm", "--force", "--ignore", "--time", "0", "pod-pod") })
	for _, name := range []string{"pod-front", "pod-back"} {
		mustPodman(t, "run", "--detach", "--pod", "pod-pod", "--name", name, lab.ImageName, "/bin/sleep", "infinity")
		if out := mustPodman(t, "exec", name, "ip", "address", "show", "dev", "eth0"); !strings.Contains(out, "10.91.0.70/24") {
			t.Errorf("%s has not the pod's address:\n%s", name, out)
		}
	}
	mustPodman(t, "exec", "pod-back", "ping", "-c", "1", "-W", "2", ipOf(neighbour).String())
	wantPing(t, neighbour, netip.MustParseAddr("10.91.0.70"))
	mustPodman(t, "pod", "rm", "--force", "--time", "0", "pod-pod")
	mustPodman(t, "rm", "pod-root")
	if after := sluice(t, "port", "list", "--tenant", "pod"); after != before {
		t.Errorf("a pod that was removed left\n%s", after)
	}
}

// Twelve at once get twelve addresses; what cannot start leaves nothing.
func TestPodmanCrowd(t *testing.T) {
	st := needLab(t)
	tenant(t, "crowd", "--subnet", "10.92.0.0/28") // 13 addresses for ports
	had := portsEverywhere(t, st)
	const crowd = 12
	var g errgroup.Group
	for i := range crowd {
		g.Go(func() error {
			name := fmt.Sprintf("crowd-%d", i)
			t.Cleanup(func() { command(t, "lab", "rm", name) })
			_, err := lab.Run(t.Context(), lab.Request{Host: fmt.Sprintf("h%d", 1+i%3), Tenant: "crowd", Name: name, Runtime: lab.RuntimePodman})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, p := range answer[[]struct{ Addresses []string }](t, "port", "list", "--tenant", "crowd") {
		taken[p.Addresses[0]] = true
	}
	if len(taken) != crowd {
		t.Errorf("%d containers have %d addresses", crowd, len(taken))
	}
	podmanContainer(t, "h1", "crowd", "crowd-last")
	refused(t, []string{"exhausted", "10.92.0.0/28"}, "lab", "run", "h1", "crowd", "crowd-over", "--runtime", "podman")
	refused(t, []string{"no-such"}, "lab", "run", "h1", "no-such", "crowd-none", "--runtime", "podman")
	for i := range crowd {
		sluice(t, "lab", "rm", fmt.Sprintf("crowd-%d", i))
	}
	sluice(t, "lab", "rm", "crowd-last")
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}
