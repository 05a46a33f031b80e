package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/integration/lab"
	"sluice/store"
)

// How claims are tried.

func (s *show) ping(ctx context.Context, from, to string) error {
	_, err := s.sluice(ctx, "lab", "exec", from, "--", "ping", "-n", "-q", "-c2", "-i0.2", "-W1", to)
	if err != nil {
		return fmt.Errorf("no answer from %s", to)
	}
	return nil
}

// transfer sends a megabyte over TCP between two containers.
func transfer(ctx context.Context, from, to, ip string) (string, error) {
	const size = 1 << 20
	l, err := lab.ListenIn(ctx, lab.ContainerNS(to), "tcp", ip+":0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	got := lab.CountReceived(l)
	c, err := lab.DialIn(ctx, lab.ContainerNS(from), "tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	if err := sendAll(c, size); err != nil {
		return "", err
	}
	if n := <-got; n != size {
		return "", fmt.Errorf("%d of %d bytes came", n, size)
	}
	return "1 MiB", nil
}

func sendAll(c net.Conn, size int) error {
	err := c.SetDeadline(time.Now().Add(10 * time.Second))
	if err == nil {
		_, err = c.Write(make([]byte, size))
	}
	return errors.Join(err, c.Close())
}

// askInternet returns the address that the internet sees a container come from.
func askInternet(ctx context.Context, from string) (string, error) {
	web := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return lab.DialIn(ctx, lab.ContainerNS(from), network, address)
		},
	}}
	body, err := get(ctx, web, "http://"+lab.InternetAddress.String()+"/")
	if err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(strings.TrimSpace(body))
	return host, err
}

func get(ctx context.Context, c *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}

// packets are a tenant's own, by the direction in which the network carried them.
type packets struct{ out, in int }

// counterInterval is how often counters are read that are to rest.
const counterInterval = time.Second

// readCounters sums a tenant's packets inside its networks over all hosts.
func readCounters(ctx context.Context, tenant string) (packets, error) {
	var p packets
	st, err := lab.Load(ctx)
	if err != nil {
		return p, err
	}
	var text string
	err = settles(ctx, func() (err error) {
		text, err = get(ctx, http.DefaultClient, st.API+"/metrics")
		if err == nil && !strings.Contains(text, "\nsluice_tenant_sums_read 1\n") {
			err = errors.New("/metrics: no controller shows the sums of tenants")
		}
		return err
	})
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "sluice_tenant_packets_total{") ||
			!strings.Contains(line, `tenant="`+tenant+`"`) || !strings.Contains(line, `scope="internal"`) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return p, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		if strings.Contains(line, `direction="out"`) {
			p.out += int(v)
		} else {
			p.in += int(v)
		}
	}
	return p, nil
}

func (s *show) tenantNumber(ctx context.Context, tenant string) (uint32, error) {
	text, err := s.sluice(ctx, "tenant", "show", tenant, "-o", "json")
	if err != nil {
		return 0, err
	}
	var t struct{ Number uint32 }
	return t.Number, json.Unmarshal([]byte(text), &t)
}

// settles tries for a few seconds: what is deleted goes in the background.
func settles(ctx context.Context, try func() error) error {
	var err error
	for range 50 {
		if err = try(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return err
}

// noFlows looks with OVS's own tool for flows of a tenant: its number is in the cookie.
func noFlows(ctx context.Context, number uint32) error {
	his := regexp.MustCompile(fmt.Sprintf(`cookie=0x[0-9a-f]{1,2}%06x[0-9a-f]{8},`, number))
	return everyHost(ctx, func(h lab.Host) error {
		text, err := h.Switch().OFCtl(ctx, "dump-flows", store.BridgeName)
		if n := len(his.FindAllString(text, -1)); n > 0 {
			err = fmt.Errorf("%s holds %d", h.Name, n)
		}
		return err
	})
}

// onlyPorts looks for interfaces of containers in the switches' databases.
func onlyPorts(ctx context.Context, each int) error {
	return everyHost(ctx, func(h lab.Host) error {
		ports, err := h.ContainerPorts(ctx)
		if err == nil && len(ports) != each {
			err = fmt.Errorf("%s has %d containers' ports, not %d", h.Name, len(ports), each)
		}
		return err
	})
}

func noKeys(ctx context.Context, tenant string) error {
	st, err := lab.Load(ctx)
	if err != nil {
		return err
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{st.Etcd}, Context: ctx})
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Get(ctx, "/sluice/v1/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	for _, kv := range all.Kvs {
		if strings.Contains(string(kv.Key)+" "+string(kv.Value), tenant) {
			return fmt.Errorf("%s", kv.Key)
		}
	}
	return nil
}

func everyHost(ctx context.Context, try func(lab.Host) error) error {
	st, err := lab.Load(ctx)
	for _, h := range st.Hosts {
		err = errors.Join(err, try(h))
	}
	return err
}
