package integration

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/integration/lab"
)

// dockers starts Docker on hosts, and gives the lab's image the name that the page uses.
func dockers(t *testing.T, hosts ...string) {
	t.Helper()
	var g errgroup.Group
	for _, host := range hosts {
		g.Go(func() error { return lab.StartDocker(t.Context(), host) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		on(t, host, "docker tag localhost/sluice-lab busybox")
	}
}

// shell runs a line as its machine's user types it: of the lab's hosts each has a Docker of its own.
func shell(t *testing.T, machine, line string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "DOCKER_HOST="+lab.DockerSocket(machine))
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// on runs a line that must succeed.
func on(t *testing.T, machine, line string) string {
	t.Helper()
	out, err := shell(t, machine, line)
	if err != nil {
		t.Fatalf("%s$ %s: %v\n%s", machine, line, err, out)
	}
	return out
}

// refusedOnH1 runs a line on h1 that must fail and say every one of the words.
func refusedOnH1(t *testing.T, line string, words ...string) {
	t.Helper()
	out, err := shell(t, "h1", line)
	for _, word := range words {
		if err == nil || !strings.Contains(out, word) {
			t.Errorf("h1$ %s: %v, want a refusal with %q\n%s", line, err, word, out)
		}
	}
}

// typed is a command of a page with the machine on which it is typed.
var typed = regexp.MustCompile(`(?m)^(\w+)\$ (.*)$`)

// What docs/runtimes/docker.md tells users to type works, from the tenant on, and its Compose file.
func TestDockerPage(t *testing.T) {
	st := needLab(t)
	page, err := os.ReadFile("../docs/runtimes/docker.md")
	if err != nil {
		t.Fatal(err)
	}
	had := portsEverywhere(t, st)
	dockers(t, "h1", "h2")
	t.Cleanup(func() {
		shell(t, "h1", "docker rm -f web shop site; docker network rm net1 net2")
		shell(t, "h2", "docker rm -f db; docker network rm net1")
		command(t, "network", "delete", "alice/store")
		command(t, "tenant", "delete", "alice")
	})
	ran := 0
	for _, line := range typed.FindAllStringSubmatch(string(page), -1) {
		on(t, line[1], line[2])
		ran++
	}
	if ran < 10 {
		t.Errorf("the page has only %d commands to try", ran)
	}
	connects(t)
	on(t, "h1", "docker exec shop ping -c 1 -W 1 web")
	composes(t, string(page))
	on(t, "h1", "docker rm -f web shop site && docker network rm net1 net2")
	on(t, "h2", "docker rm -f db && docker network rm net1")
	if networks := on(t, "h1", "docker network ls --format {{.Name}}"); strings.Contains(networks, "gwbridge") {
		t.Errorf("there is a docker_gwbridge: %s", networks)
	}
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}

// connects puts the page's running container into a second network and takes it out again: it has one
// interface a network, and one way out.
func connects(t *testing.T) {
	t.Helper()
	has := func(networks int) {
		t.Helper()
		if got := strings.Fields(on(t, "h1", "docker exec web ls /sys/class/net")); len(got) != networks+1 { // lo is none
			t.Errorf("interfaces of a container in %d networks: %v", networks, got)
		}
		if routes := on(t, "h1", "docker exec web ip route"); strings.Count(routes, "default") != 1 {
			t.Errorf("the container has not one default route:\n%s", routes)
		}
	}
	has(1)
	on(t, "h1", "docker network connect --ip 10.0.1.50 net2 web")
	has(2)
	on(t, "h1", "docker exec web ping -c 1 -W 1 10.0.1.1")
	on(t, "h1", "docker network disconnect net2 web")
	has(1)
}

// composes runs the page's Compose file.
func composes(t *testing.T, page string) {
	t.Helper()
	_, rest, _ := strings.Cut(page, "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page shows no Compose file")
	}
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte("version: '3'\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	compose := "docker-compose -p sluice-page -f " + file
	t.Cleanup(func() { shell(t, "h1", compose+" down -t 0") })
	on(t, "h1", compose+" up -d")
	on(t, "h1", compose+" exec -T front ping -c 1 -W 1 back")
	on(t, "h1", compose+" down -t 0")
}

// Containers of Docker are in their tenant's network with bare namespaces of other hosts, and reach
// neither another tenant's nor what that tenant reaches. What cannot be is said in one sentence, and
// leaves nothing.
func TestDocker(t *testing.T) {
	st := needLab(t)
	tenant(t, "dock", "--subnet", "10.93.0.0/24", "--subnet", "fd00:93::/64")
	tenant(t, "dock-other", "--subnet", "10.93.0.0/24")
	had := portsEverywhere(t, st)
	web := dockerContainer(t, "h1", "dock", "dock-web", "--ip", "10.93.0.5")
	db := dockerContainer(t, "h2", "dock", "dock-db")
	bare := container(t, "h3", "dock", "dock-bare")
	other := dockerContainer(t, "h1", "dock-other", "dock-foreign", "--ip", "10.93.0.253")
	if ipOf(web) != netip.MustParseAddr("10.93.0.5") || len(web.IPs) != 2 {
		t.Errorf("it asked for 10.93.0.5 and has %v", web.IPs)
	}
	for _, pair := range [][2]lab.Container{{web, db}, {db, bare}, {bare, web}} {
		wantTransfer(t, pair[0], pair[1])
	}
	wantPing(t, db, web.IPs[1])
	wantNoPing(t, bare, ipOf(other))
	inside := sluice(t, "lab", "exec", "dock-web", "--", "ip", "address", "show", "dev", "eth0")
	for _, want := range []string{"10.93.0.5/24", web.IPs[1].String() + "/64", "mtu 1450", web.MAC} {
		if !strings.Contains(inside, want) {
			t.Errorf("inside the container there is no %q:\n%s", want, inside)
		}
	}
	sluice(t, "lab", "exec", "dock-web", "--", "ping", "-c", "3", "-W", "1", st.Internet.IP.String())

	dockerRefuses(t)
	on(t, "h2", "docker kill dock-db") // the container stays, without a port
	if ports := sluice(t, "port", "list", "--tenant", "dock"); strings.Contains(ports, "dock-db") {
		t.Errorf("a killed container has its port still:\n%s", ports)
	}
	on(t, "h2", "docker start dock-db")
	wantPing(t, web, netip.MustParseAddr(on(t, "h2", "docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' dock-db")))
	succeeds(t, web, bare)
	for _, name := range []string{"dock-web", "dock-db", "dock-foreign", "dock-bare"} {
		sluice(t, "lab", "rm", name)
	}
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}

// succeeds starts another container with the address of one of Docker's, on another host: who spoke with the first a moment ago
// reaches the second at once.
func succeeds(t *testing.T, old, neighbour lab.Container) {
	t.Helper()
	wantPing(t, neighbour, ipOf(old))
	sluice(t, "lab", "rm", old.Name)
	heir := dockerContainer(t, "h2", old.Tenant, old.Name, "--ip", ipOf(old).String())
	if heir.MAC == old.MAC {
		t.Fatalf("both have MAC %s: the test would see nothing", old.MAC)
	}
	if out, err := exec.Command("ip", "netns", "exec", neighbour.NetNS, "ping", "-c1", "-W1", ipOf(old).String()).CombinedOutput(); err != nil {
		t.Errorf("the first packet does not reach the successor: %v\n%s", err, out)
	}
}

// dockerContainer starts a container by Docker, and removes it with the test.
func dockerContainer(t *testing.T, host, tenant, name string, args ...string) lab.Container {
	t.Helper()
	sluice(t, append([]string{"lab", "run", host, tenant, name, "--runtime", "docker"}, args...)...)
	t.Cleanup(func() {
		command(t, "lab", "rm", name)
		shell(t, host, "docker network rm "+tenant+"-default")
	})
	return inspect(t, name)
}

// dockerRefuses tries what Docker's user may get wrong, on a host with the network dock-default.
func dockerRefuses(t *testing.T) {
	t.Helper()
	const create = "docker network create -d sluice --ipam-driver sluice --subnet 10.93.0.0/24 "
	const run = "docker run --rm --network dock-default "
	refusedOnH1(t, create+"-o tenant=no-such --ipam-opt tenant=no-such wrong", "tenant no-such does not exist")
	refusedOnH1(t, create+"-o tenent=dock --ipam-opt tenant=dock wrong", "-o tenent: there is no such option: did you mean tenant?")
	refusedOnH1(t, create+"-o tenant=dock-other --ipam-opt tenant=dock wrong", "-o says network dock-other/default and --ipam-opt dock/default")
	refusedOnH1(t, "docker network create -d sluice -o tenant=dock wrong", "add --ipam-driver sluice")
	refusedOnH1(t, "docker network create -d sluice --ipam-driver sluice --subnet 10.94.0.0/24 -o tenant=dock --ipam-opt tenant=dock wrong",
		"it has: default 10.93.0.0/24 fd00:93::/64", "sluice network create dock/NAME --subnet 10.94.0.0/24")
	refusedOnH1(t, run+"--ip 10.93.0.5 localhost/sluice-lab true", "10.93.0.5: taken by ports/h1/dock/default/dock-web")
	refusedOnH1(t, "docker run --rm --network name=dock-default,driver-opt=nane=x localhost/sluice-lab true", "--driver-opt nane: there is no such option: did you mean name?")
	if networks := on(t, "h1", "docker network ls --format {{.Name}}"); strings.Contains(networks, "wrong") {
		t.Errorf("a network that was refused is there:\n%s", networks)
	}
}

// More than a network has room for are started at once, on two daemons: each address is given out
// once, and the rest is told that the network is full.
func TestDockerCrowd(t *testing.T) {
	st := needLab(t)
	tenant(t, "dock-crowd", "--subnet", "10.94.0.0/29") // 5 addresses for ports
	had := portsEverywhere(t, st)
	const crowd = 8
	full := make(chan string, crowd)
	var g errgroup.Group
	for i := range crowd {
		g.Go(func() error {
			name := fmt.Sprintf("dock-crowd-%d", i)
			t.Cleanup(func() { command(t, "lab", "rm", name) })
			_, err := lab.Run(t.Context(), lab.Request{Host: fmt.Sprintf("h%d", 1+i%2), Tenant: "dock-crowd", Name: name, Runtime: lab.RuntimeDocker})
			if err != nil && strings.Contains(err.Error(), "addresses of subnet 10.94.0.0/29 of network dock-crowd/default exhausted: all 5 for ports are taken") {
				full <- name
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	taken := map[string]bool{}
	for _, p := range answer[[]struct{ Addresses []string }](t, "port", "list", "--tenant", "dock-crowd") {
		taken[p.Addresses[0]] = true
	}
	if len(taken) != 5 || len(full) != crowd-5 {
		t.Errorf("%d addresses are given out and %d containers found none: want 5 and %d", len(taken), len(full), crowd-5)
	}
	for i := range crowd {
		command(t, "lab", "rm", fmt.Sprintf("dock-crowd-%d", i))
	}
	for _, host := range []string{"h1", "h2"} {
		on(t, host, "docker network rm dock-crowd-default")
	}
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}
