package integration

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// nameNS gives a container that a runtime started a namespace's name, by its process, so that the test can serve in it.
func nameNS(t *testing.T, name, pid string, ip netip.Addr) lab.Container {
	t.Helper()
	ns := "sluice-" + name
	_ = exec.Command("ip", "netns", "del", ns).Run() // of its process before
	if out, err := exec.Command("ip", "netns", "attach", ns, pid).CombinedOutput(); err != nil {
		t.Fatalf("name the namespace of %s: %v\n%s", name, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	return lab.Container{Name: name, NetNS: ns, IPs: []netip.Addr{ip}}
}

// byDocker is a container of h1's Docker.
func byDocker(t *testing.T, name string) lab.Container {
	t.Helper()
	said := strings.Fields(on(t, "h1", "docker inspect --format '{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "+name))
	return nameNS(t, name, said[0], netip.MustParseAddr(said[1]))
}

// publishedNow are the names of what a tenant publishes, without the uid of a port that publishes it itself, with why it is not let in.
func publishedNow(t *testing.T, tenant string) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, p := range answer[[]client.Publication](t, "publish", "list", "--tenant", tenant) {
		name, _, byPort := strings.Cut(p.Name, "-of-")
		if byPort != p.ByPort {
			t.Errorf("%s is published by a port: %v", p.Name, p.ByPort)
		}
		if byPort {
			name += " by port"
		}
		list[name] = p.Why
	}
	return list
}

// What docker run -p publishes is reached by the tenant's gateway host, wherever the container is. It goes with the container. What cannot
// be is said in a sentence, and the tenant's own publication comes before it.
func TestDockerPublishes(t *testing.T) {
	needLab(t)
	tenant(t, "dock-pub", "--gateway", "h2")
	other := dockerContainer(t, "h1", "dock-pub", "dock-pub-other") // which makes the network
	serveTCP(t, other, 80)
	const run = "docker run --detach --network name=dock-pub-default,driver-opt=name="
	t.Cleanup(func() { shell(t, "h1", "docker rm -f dock-pub-web dock-pub-late") })
	on(t, "h1", run+"dock-pub-web --name dock-pub-web -p 8070:80 -p 0.0.0.0:8072-8073:81-82 -p 5370:54/udp localhost/sluice-lab /bin/sleep infinity")
	web := byDocker(t, "dock-pub-web")
	for _, port := range []uint16{80, 81, 82} {
		serveTCP(t, web, port)
	}
	serveUDP(t, web, 54)
	seen := uplink("h2").String()
	for _, port := range []uint16{8070, 8072, 8073} {
		open(t, "h2", port, "dock-pub-web", seen)
	}
	answers(t, asking(t, "h2", 5370), "dock-pub-web "+seen)
	list := publishedNow(t, "dock-pub")
	for _, name := range []string{"tcp-8070 by port", "tcp-8072-8073 by port", "udp-5370 by port"} {
		if why, there := list[name]; !there || why != "" {
			t.Errorf("publish list: %v, want %s", list, name)
		}
	}
	for _, c := range [][2]string{
		{"-p 8070:80", "tcp 8070: taken: tcp-8070-of-"}, {"-p 80", "say which port of the gateway host"}, {"-p 127.0.0.1:8079:80", "give no address"},
		{"-p 8079:80/sctp", "only TCP and UDP"}, {"-p 4789:80/udp", "is for the tunnels between hosts"}, {"-p 8076-8077:80", "give one port of the gateway host"},
	} {
		refusedOnH1(t, "docker run --rm --network dock-pub-default "+c[0]+" localhost/sluice-lab true", c[1])
	}
	if now := publishedNow(t, "dock-pub"); len(now) != len(list) {
		t.Errorf("refused starts left %v", now)
	}
	startsAgain(t)
	ownFirst(t, seen)
	on(t, "h1", "docker rm -f dock-pub-web")
	closed(t, "h2", 8070)
	on(t, "h1", run+"dock-pub-late --name dock-pub-late -p 8070:80 localhost/sluice-lab /bin/sleep infinity") // the port is free at once
	wantNoDiff(t)
}

// startsAgain: a container that Docker starts again has its ports again.
func startsAgain(t *testing.T) {
	t.Helper()
	on(t, "h1", "docker restart -t 0 dock-pub-web")
	serveTCP(t, byDocker(t, "dock-pub-web"), 80)
	open(t, "h2", 8070, "dock-pub-web", uplink("h2").String())
}

// ownFirst: what the tenant publishes itself comes before what a port does, and publish list says so.
func ownFirst(t *testing.T, seen string) {
	t.Helper()
	before := open(t, "h2", 8070, "dock-pub-web", seen)
	sluice(t, "publish", "dock-pub", "--port", "dock-pub-other", "--tcp", "80", "--on", "8070")
	open(t, "h2", 8070, "dock-pub-other", seen)
	eventually(t, "what the port let in ends", func() error {
		if err := before.says("still there"); err == nil {
			return fmt.Errorf("it goes on")
		}
		return nil
	})
	if why := publishedNow(t, "dock-pub")["tcp-8070 by port"]; !strings.Contains(why, "tcp-8070 of its tenant comes before it") {
		t.Errorf("publish list says %q", why)
	}
	sluice(t, "unpublish", "dock-pub", "tcp-8070")
	open(t, "h2", 8070, "dock-pub-web", seen)
	name := ""
	for _, p := range answer[[]client.Publication](t, "publish", "list", "--tenant", "dock-pub") {
		if p.On == "8070" {
			name = p.Name
		}
	}
	refused(t, []string{"it goes with the port"}, "unpublish", "dock-pub", name)
}

// What podman run -p publishes comes by CNI's portMappings.
func TestPodmanPublishes(t *testing.T) {
	needLab(t)
	tenant(t, "pod-pub", "--gateway", "h3")
	podmanContainer(t, "h1", "pod-pub", "pod-pub-other") // which makes the network
	id := mustPodman(t, "run", "--detach", "--name", "pod-pub-web", "--publish", "8074:80", "--publish", "5374:54/udp", "--network", "pod-pub-default", lab.ImageName, "/bin/sleep", "infinity")
	t.Cleanup(func() { podman(t, "rm", "--force", "--ignore", "--time", "0", "pod-pub-web") })
	var ip netip.Addr
	for _, p := range answer[[]client.Port](t, "port", "list", "--tenant", "pod-pub") {
		if p.ContainerID == id {
			ip = p.Addresses[0].Addr()
		}
	}
	web := nameNS(t, "pod-pub-web", mustPodman(t, "inspect", "--format", "{{.State.Pid}}", "pod-pub-web"), ip)
	serveTCP(t, web, 80)
	serveUDP(t, web, 54)
	open(t, "h3", 8074, "pod-pub-web", uplink("h3").String())
	answers(t, asking(t, "h3", 5374), "pod-pub-web ")
	before := sluice(t, "port", "list", "--tenant", "pod-pub")
	for publish, says := range map[string]string{"8074:80": "tcp 8074: taken: tcp-8074-of-", "127.0.0.1:8075:80": "host address 127.0.0.1: give none"} {
		if out, err := podman(t, "run", "--rm", "--publish", publish, "--network", "pod-pub-default", lab.ImageName, "/bin/true"); err == nil || !strings.Contains(out, says) {
			t.Errorf("--publish %s: %v, want %q\n%s", publish, err, says, out)
		}
	}
	if after := sluice(t, "port", "list", "--tenant", "pod-pub"); after != before {
		t.Errorf("refused starts left\n%s", after)
	}
	mustPodman(t, "rm", "--force", "--time", "0", "pod-pub-web")
	closed(t, "h3", 8074)
}

// A container that comes later is reached from then on, also where its tenant slept.
func TestPublicationOfASleepingTenant(t *testing.T) {
	needLab(t)
	tenant(t, "pub-sleeps", "--gateway", "h2")
	container(t, "h3", "pub-sleeps", "pub-sleeper")
	sluice(t, "publish", "pub-sleeps", "--port", "pub-sleeper", "--tcp", "80", "--on", "8062")
	sluice(t, "lab", "rm", "pub-sleeper")
	closed(t, "h2", 8062)
	if why := publishedNow(t, "pub-sleeps")["tcp-8062"]; !strings.Contains(why, "port pub-sleeps/default/pub-sleeper is not there") {
		t.Errorf("publish list says %q", why)
	}
	serveTCP(t, container(t, "h1", "pub-sleeps", "pub-sleeper"), 80)
	open(t, "h2", 8062, "pub-sleeper", uplink("h2").String())
	wantNoDiff(t)
}

// A publication is on the backup's address once the leader made the backup the gateway host, and stays there when the dead host returns.
func TestPublicationFailsOver(t *testing.T) {
	g, others := failingOver(t, "pub-over")
	web := others[1] // neither on the gateway host nor on its backup
	serveTCP(t, web, 80)
	sluice(t, "publish", "pub-over", "--port", web.Name, "--tcp", "80", "--on", "8063")
	open(t, g.Active, 8063, web.Name, uplink(g.Active).String())
	closed(t, g.Backup, 8063)
	sluice(t, "lab", "kill", g.Active)
	eventually(t, "the backup takes over", func() error {
		if now := gatewayOf(t, "pub-over"); now.Active != g.Backup {
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		return nil
	})
	after := open(t, g.Backup, 8063, web.Name, uplink(g.Backup).String())
	sluice(t, "lab", "up")
	wantNoDiff(t)
	closed(t, g.Active, 8063)
	if err := after.says("still there"); err != nil {
		t.Errorf("what was open by %s when %s returned: %v", g.Backup, g.Active, err)
	}
}
