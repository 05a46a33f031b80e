package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/flows/verify"
	"sluice/integration/lab"
	"sluice/store"
)

// wantProved fails unless the flows of every host are proved to keep tenants apart. What is still being
// programmed has its time.
func wantProved(t *testing.T) {
	t.Helper()
	eventually(t, "isolation is proved", func() error {
		stdout, stderr, status := command(t, "verify")
		if status != 0 {
			return fmt.Errorf("status %d: %s%s", status, stdout, stderr)
		}
		return nil
	})
}

// endsProved has a test end with the proof of every host, before what it made is removed.
func endsProved(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			wantProved(t)
		}
	})
}

// side is a container's port as flows speak of it.
type side struct{ ofport, register, metadata, cookie, mac, ip string }

var entryFlow = regexp.MustCompile(`cookie=(\w+).*in_port=(\d+) actions=load:0x1->NXM_NX_REG0\[\],load:(\w+)->NXM_NX_REG1\[\],write_metadata:(\w+),`)

// sideOf reads it from the flow by which the container's frames enter.
func sideOf(t *testing.T, c lab.Container) side {
	t.Helper()
	for _, f := range answer[[]struct{ Owner, Text string }](t, "flows", "--host", c.Host, "--table", "classify") {
		if m := entryFlow.FindStringSubmatch(f.Text); m != nil && f.Owner == fmt.Sprintf("port %s/default/%s", c.Tenant, c.Name) {
			return side{cookie: m[1], ofport: m[2], register: m[3], metadata: m[4], mac: c.MAC, ip: ipOf(c).String()}
		}
	}
	t.Fatalf("no flow lets frames of %s in", c.Name)
	return side{}
}

// hostile are flows that let a packet of alice's cross to bob, escape, or lie, each with the words that tell
// it in a finding. Priorities from 60000 on are nobody else's.
func hostile(alice, bob side, tunnel string) map[string]string {
	number := func(s string) string { return strings.TrimPrefix(s, "0x") }
	key := func(s side) string { return "0x" + number(s.metadata)[len(number(s.metadata))-8:] }
	return map[string]string{
		"past all tables to bob's port":           fmt.Sprintf("table=10,priority=60000,reg1=%s actions=output:%s", alice.register, bob.ofport),
		"alice's port taken for bob's":            fmt.Sprintf("cookie=%s,table=0,priority=60000,in_port=%s actions=load:1->NXM_NX_REG0[],load:%s->NXM_NX_REG1[],write_metadata:%s,goto_table:10", bob.cookie, alice.ofport, bob.register, bob.metadata),
		"alice's frames forwarded to bob":         fmt.Sprintf("cookie=%s,table=80,priority=60000,metadata=%s actions=load:%s->NXM_NX_REG2[],goto_table:90", alice.cookie, alice.metadata, bob.register),
		"what is alice's delivered to bob":        fmt.Sprintf("cookie=%s,table=100,priority=60000,reg2=%s actions=output:%s", alice.cookie, alice.register, bob.ofport),
		"a copy of what is alice's for bob":       fmt.Sprintf("cookie=%s,table=100,priority=60000,reg2=%s actions=output:%s,output:%s", alice.cookie, alice.register, alice.ofport, bob.ofport),
		"alice's frames under another tunnel key": fmt.Sprintf("cookie=%s,table=110,priority=60000,metadata=%s actions=set_field:%s->tun_id,output:%s", alice.cookie, alice.metadata, key(bob), tunnel),
		"alice's key taken for bob's":             fmt.Sprintf("cookie=%s,table=5,priority=60000,tun_id=%s actions=write_metadata:%s,goto_table:40", bob.cookie, key(alice), bob.metadata),
		"any source address":                      fmt.Sprintf("cookie=%s,table=10,priority=60000,ip,reg1=%s actions=goto_table:30", alice.cookie, alice.register),
		"any MAC":                                 fmt.Sprintf("cookie=%s,table=10,priority=60000,ip,reg1=%s,nw_src=%s actions=goto_table:30", alice.cookie, alice.register, alice.ip),
		"another's ARP":                           fmt.Sprintf("cookie=%s,table=10,priority=60000,arp,reg1=%s,dl_src=%s actions=goto_table:30", alice.cookie, alice.register, alice.mac),
		"to the host's kernel":                    fmt.Sprintf("cookie=%s,table=10,priority=60000,reg1=%s actions=LOCAL", alice.cookie, alice.register),
		"as a learning switch does":               fmt.Sprintf("table=0,priority=60000,in_port=%s actions=NORMAL", alice.ofport),
		"to everybody":                            fmt.Sprintf("table=10,priority=60000,reg1=%s actions=FLOOD", alice.register),
		"to a stranger on the underlay":           fmt.Sprintf("cookie=%s,table=10,priority=60000,reg1=%s actions=set_field:172.30.0.77->tun_dst,output:%s", alice.cookie, alice.register, tunnel),
		"whatever comes by tunnel":                fmt.Sprintf("table=0,priority=60000,in_port=%s actions=load:2->NXM_NX_REG0[],goto_table:5", tunnel),
		"to the controller":                       fmt.Sprintf("table=10,priority=60000,reg1=%s actions=controller", alice.register),
	}
}

// tunnelPort is the number of a host's tunnel port.
func tunnelPort(t *testing.T, h lab.Host) string {
	t.Helper()
	text, err := h.Switch().VSCtl(t.Context(), "get", "Interface", store.TunnelInterface, "ofport")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// Each flow that lets a packet cross, escape or lie is named, whoever's it says that it is; most with a
// packet that does. What does no harm is proved.
func TestVerifyNamesHostileFlows(t *testing.T) {
	st := needLab(t)
	tenant(t, "alice", "--gateway", "h1", "--segmentation", "tunnel")
	tenant(t, "bob", "--gateway", "h2", "--segmentation", "tunnel")
	a, b := container(t, "h1", "alice", "alice-1", "10.0.0.11"), container(t, "h1", "bob", "bob-1", "10.0.0.21")
	container(t, "h2", "alice", "alice-2", "10.0.0.12")
	container(t, "h2", "bob", "bob-2", "10.0.0.22")
	wantProved(t)
	h := st.Hosts[0]
	edit := func(verb, flow string) {
		t.Helper()
		if _, err := h.Switch().OFCtl(t.Context(), verb, store.BridgeName, flow); err != nil {
			t.Fatal(err)
		}
	}
	edits := hostile(sideOf(t, a), sideOf(t, b), tunnelPort(t, h))
	refuted := 0
	for what, flow := range edits {
		edit("add-flow", flow)
		stdout, stderr, status := command(t, "verify", "--host", "h1", "-o", "json")
		match, _, _ := strings.Cut(flow, " actions=")
		match = strings.Join(regexp.MustCompile(`cookie=\w+,`).Split(match, -1), "")
		_, _ = h.Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, match, "--strict") // the audit may have been first
		var got client.Verification
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 1 || !strings.Contains(stderr, "h1") {
			t.Errorf("%s: status %d, %v\n%s%s", what, status, err, stdout, stderr)
			continue
		}
		named := false
		for _, f := range got.Hosts[0].Findings {
			named = named || strings.Contains(f.Flow, "priority=60000")
		}
		if !named {
			t.Errorf("%s: the flow is not named: %s\n%s", what, flow, stdout)
		}
		if got.Hosts[0].Verdict == verify.False {
			refuted++
		} else {
			t.Logf("%s: %s", what, got.Hosts[0].Verdict)
		}
	}
	if refuted < 10 {
		t.Errorf("a packet was found for %d of %d flows", refuted, len(edits))
	}
	edit("add-flow", "cookie=0,table=10,priority=60000 actions=output:"+sideOf(t, b).ofport)
	eventually(t, "the controller finds it by itself", func() error {
		text := sluice(t, "status")
		if !strings.Contains(text, "isolation is not proved on host h1") {
			return fmt.Errorf("status:\n%s", text)
		}
		return nil
	})
	_, _ = h.Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, "table=10,priority=60000", "--strict")
	wantProved(t)
}

// Dumps are proved as the switches are, by the store as it is; one that is cut short is refused.
func TestVerifyDumps(t *testing.T) {
	st := needLab(t)
	pair(t, "dumped")
	wantProved(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h1, err := st.Hosts[0].Switch().OFCtl(t.Context(), "dump-flows", store.BridgeName, "--no-names")
	if err != nil {
		t.Fatal(err)
	}
	sluice(t, "verify", "--dump", "h1="+write("h1", h1))
	sluice(t, "verify", "--host", "h1", "--dump", write("h1", h1))
	sluice(t, "verify", "--dump", write("all", sluice(t, "flows", "-o", "json")))
	refused(t, []string{"ends within a line"}, "verify", "--dump", "h1="+write("cut", h1[:strings.LastIndexByte(h1, 'a')]))
	refused(t, []string{"fly"}, "verify", "--dump", "h1="+write("unknown", h1+"table=3 actions=fly\n"))
	refused(t, []string{"HOST=FILE"}, "verify", "--dump", write("h1", h1))
	refused(t, []string{"h9"}, "verify", "--dump", "h9="+write("h1", h1))
	refused(t, []string{"h1"}, "verify", "--dump", "h1="+write("open", h1+"table=0,priority=60000 actions=FLOOD\n"))
	fails(t, 2, []string{"--state"}, "verify", "--state", write("state", "{}"))
}

// A host whose switch is away is never called proved; a controller that was started again proves anew.
func TestVerifyWithoutASwitch(t *testing.T) {
	needLab(t)
	a, b := pair(t, "away")
	wantProved(t)
	sluice(t, "lab", "kill", "switch/h2")
	t.Cleanup(func() { sluice(t, "lab", "up") })
	eventually(t, "h2 is unread", func() error {
		stdout, stderr, status := command(t, "verify")
		if status != 1 || !strings.Contains(stderr, "h2 (unread)") || strings.Contains(stderr, "h1") || !strings.Contains(stdout, "no session with controller") {
			return fmt.Errorf("status %d: %s%s", status, stdout, stderr)
		}
		return nil
	})
	if text := sluice(t, "status"); !regexp.MustCompile(`(?m)^h2 .*unknown`).MatchString(text) {
		t.Errorf("status:\n%s", text)
	}
	sluice(t, "lab", "up")
	wantProved(t)
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "up")
	eventually(t, "all is proved anew", func() error {
		for _, h := range answer[client.Status](t, "status").Hosts {
			if h.Proof == nil || h.Proof.Isolation != "proved" {
				return fmt.Errorf("%s: %+v", h.Name, h.Proof)
			}
		}
		return nil
	})
	wantPing(t, a, ipOf(b))
}
