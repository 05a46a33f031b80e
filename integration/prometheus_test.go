package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// shippedMonitoring is where the files are that users copy.
const shippedMonitoring = "../packaging/monitoring"

// prometheus is a real one that scrapes the controllers of the lab every second, by the configuration that is shipped.
type prometheus struct {
	*testing.T
	url    string
	config string // its file, with the rules beside it
	api    promv1.API
}

// reached is where a machine's API answers from outside the lab: a controller listens on its own loopback.
func reached(t *testing.T, m lab.Machine) string {
	t.Helper()
	dial := func(_ context.Context, network, address string) (c net.Conn, err error) {
		err = lab.InNamespace(m.NetNS, func() (err error) {
			c, err = net.DialTimeout(network, address, time.Second)
			return err
		})
		return c, err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:8080"})
	proxy.Transport = &http.Transport{DialContext: dial, DisableKeepAlives: true}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// configured writes what is shipped to a directory, with the lab's controllers for targets. Times are shorter: what takes
// minutes there takes seconds.
func configured(t *testing.T, st lab.Status) (config string) {
	t.Helper()
	var targets []string
	for _, m := range st.Controllers {
		targets = append(targets, fmt.Sprintf("%q", reached(t, m)))
	}
	dir := t.TempDir()
	for name, edits := range map[string][][2]string{
		"prometheus.yml": {
			{`15s`, `1s`}, {`targets: .*`, `targets: [` + strings.Join(targets, ", ") + `]`},
			{`(?m)^ *(authorization:|credentials_file:).*\n`, ``}, // the lab's /metrics answer everybody
		},
		"sluice.rules.yml": {{`for: .*`, `for: 1s`}, {`\[(5m|10m|1h)\]`, `[15s]`}, {`> 900`, `> 75`}},
	} {
		text, err := os.ReadFile(filepath.Join(shippedMonitoring, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range edits {
			text = regexp.MustCompile(e[0]).ReplaceAll(text, []byte(e[1]))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "prometheus.yml")
}

// freePort is one of the loopback that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startPrometheus runs one until the test ends.
func startPrometheus(t *testing.T, st lab.Status) *prometheus {
	t.Helper()
	address := freePort(t)
	p := &prometheus{T: t, url: "http://" + address, config: configured(t, st)}
	var said bytes.Buffer
	cmd := exec.Command("prometheus", "--config.file="+p.config, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // one that has ended says why below
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", tail(said.String()))
		}
	})
	client, err := promapi.NewClient(promapi.Config{Address: p.url})
	if err != nil {
		t.Fatal(err)
	}
	p.api = promv1.NewAPI(client)
	eventually(t, "Prometheus answers", func() error { _, err := p.api.Runtimeinfo(t.Context()); return err })
	return p
}

// ask is the answer to a query, by the labels of each series.
func (p *prometheus) ask(query string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(p.Context(), 5*time.Second)
	defer cancel()
	v, _, err := p.api.Query(ctx, query, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	vector, ok := v.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s is a %s", query, v.Type())
	}
	answer := map[string]float64{}
	for _, s := range vector {
		answer[s.Metric.String()] = float64(s.Value)
	}
	return answer, nil
}

// one is the only series that answers a query.
func (p *prometheus) one(query string) (float64, error) {
	answer, err := p.ask(query)
	if err != nil {
		return 0, err
	}
	if len(answer) != 1 {
		return 0, fmt.Errorf("%s has %d series: %v", query, len(answer), answer)
	}
	for v := range maps.Values(answer) {
		return v, nil
	}
	return 0, nil
}

// must is one's answer.
func (p *prometheus) must(query string) float64 {
	p.Helper()
	v, err := p.one(query)
	if err != nil {
		p.Fatal(err)
	}
	return v
}

// grows waits until a series is more than it was.
func (p *prometheus) grows(query string) {
	p.Helper()
	before := p.must(query)
	eventually(p.T, query+" grows", func() error {
		now, err := p.one(query)
		if err == nil && now <= before {
			err = fmt.Errorf("it is %v, as before", now)
		}
		return err
	})
}

// rests waits until a series does not change any more.
func (p *prometheus) rests(query string) (at float64) {
	p.Helper()
	same := 0
	eventually(p.T, query+" rests", func() error {
		now, err := p.one(query)
		if err != nil {
			return err
		}
		if same++; now != at {
			at, same = now, 0
		}
		if same < 60 { // of a tenth of a second: switches are read every 2 s, and what was read is written every 2 s
			return errors.New("it changes still")
		}
		return nil
	})
	return at
}

// programs are the hosts of each controller, once all is realized and none is a dead controller's.
func programs(t *testing.T, dead string) map[string][]string {
	t.Helper()
	by := map[string][]string{}
	eventually(t, "every host is programmed", func() error {
		out, stderr, status := command(t, "host", "list", "-o", "json")
		if status != 0 {
			return errors.New(stderr)
		}
		var hosts []client.Host
		if err := json.Unmarshal([]byte(out), &hosts); err != nil {
			return err
		}
		clear(by)
		for _, h := range hosts {
			if h.State != store.HostRealized || h.Master == "" || h.Master == dead {
				return fmt.Errorf("%s is %s, and %q programs it", h.Name, h.State, h.Master)
			}
			by[h.Master] = append(by[h.Master], h.Name)
		}
		return nil
	})
	return by
}
