package lab

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The list that docs/runtimes/podman.md shows is the one that the lab's tests run, but for the agent's socket.
func TestListOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/runtimes/podman.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```json\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page shows no list")
	}
	written, err := Container{Host: "h1", Tenant: "alice", Network: "default"}.cniList(nil)
	if err != nil {
		t.Fatal(err)
	}
	var shown, used any
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatalf("the list of the page: %v", err)
	}
	if err := json.Unmarshal([]byte(strings.Replace(string(written), agentSocket("h1"), "/run/sluice/agent.sock", 1)), &used); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(used, shown); diff != "" {
		t.Errorf("-used +shown\n%s", diff)
	}
}
