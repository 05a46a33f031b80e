// Package promtest runs a real Prometheus for tests, which remembers what they say.
package promtest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sample is the value that a series had at a time.
type Sample struct {
	Series string // with its labels
	Value  float64
	At     time.Time
}

// Start runs a Prometheus that remembers samples, those of one series next to each other, until the test or end ends it.
// It scrapes nothing.
func Start(t *testing.T, samples []Sample) (url string, end func()) {
	t.Helper()
	dir := t.TempDir()
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remember(t, data, samples)
	address := freeAddress(t)
	var said bytes.Buffer
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Prometheus: %v: run make deps", err)
	}
	end = func() {
		_ = cmd.Process.Kill() // one that has ended is not there
		_ = cmd.Wait()
	}
	t.Cleanup(end)
	for deadline := time.Now().Add(time.Minute); !isReady(address); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			end()
			t.Fatalf("Prometheus is not ready: %s", said.String())
		}
	}
	return "http://" + address, end
}

// remember writes samples as what Prometheus stored.
func remember(t *testing.T, dir string, samples []Sample) {
	t.Helper()
	var text strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&text, "%s %g %d\n", s.Series, s.Value, s.At.Unix())
	}
	text.WriteString("# EOF\n")
	file := filepath.Join(t.TempDir(), "samples")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", file, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func isReady(address string) bool {
	resp, err := http.Get("http://" + address + "/-/ready")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
