package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/store"
)

const (
	// limitedKbps is the limit that is measured: far less than a busy machine's switch forwards.
	limitedKbps = 10_000
	// limitedSeconds is how long each transfer takes.
	limitedSeconds = 60
	// limitedMiss is how far what comes may be from the limit.
	limitedMiss = 0.1

	limitedTenant = "limited"
	// udpPayload is what a packet of the UDP transfer carries, and udpFrame what that is as a frame.
	udpPayload, udpFrame = 1200, udpPayload + 42
	// tcpHeaders are those of a frame of TCP, with time stamps.
	tcpHeaders = 14 + 20 + 32
)

func ratesCase() Case {
	return Case{
		Name:  "rates",
		About: "what a port with a limit of 10 Mbit/s sends to another host, and what one gets, by TCP and by UDP, over a minute",
		Ratio: "Two pairs of containers transfer at one time: of the one the sender is limited, of the other the receiver. UDP is sent at twice the limit. " +
			"The ratio is that of the frames' rate to the limit.",
		Needs: append([]string{"iperf3"}, labPrograms...),
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) error {
				s := &ratesRun{senders: senders{labRun: l}}
				defer s.stop()
				return s.measure(ctx)
			})
		},
	}
}

// ratesRun has two pairs: the first with a limit of what is sent, the second with one of what is got.
type ratesRun struct {
	senders
	addresses []string // of the receivers
}

// directions are what is limited of each pair.
var directions = []string{"egress", "ingress"}

func (s *ratesRun) measure(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	for _, protocol := range []string{"TCP", "UDP"} {
		samples := make([][]float64, len(s.pairs))
		for round := range s.Rounds {
			s.Step("round %d of %d: %s for %d s", round+1, s.Rounds, protocol, s.Size(limitedSeconds))
			err := sideBySide(ctx, len(s.pairs), func(ctx context.Context, i int) error {
				rate, err := s.rate(ctx, i, protocol)
				samples[i] = append(samples[i], rate)
				return err
			})
			if err != nil {
				return err
			}
		}
		if err := s.report(protocol, samples); err != nil {
			return err
		}
	}
	return nil
}

func (s *ratesRun) report(protocol string, samples [][]float64) error {
	for i, direction := range directions {
		limit := make([]float64, len(samples[i]))
		for n := range limit {
			limit[n] = limitedKbps
		}
		least, most := 1-limitedMiss, 1+limitedMiss
		res := Compare("kbit/s", samples[i], Other{"the limit", &Bound{Least: &least, Most: &most}, limit})
		res.Params = map[string]any{"what": "limited " + direction, "protocol": protocol, "encap": s.Encap}
		if err := s.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// begin attaches both pairs and starts their receivers.
func (s *ratesRun) begin(ctx context.Context) error {
	if _, err := s.api.CreateTenant(ctx, client.TenantSpec{Name: limitedTenant}); err != nil {
		return err
	}
	ends, err := newContainers(ctx, 2*len(directions))
	if err != nil {
		return err
	}
	sends, gets := &agentapi.Limits{EgressKbps: limitedKbps}, &agentapi.Limits{IngressKbps: limitedKbps}
	for i, limits := range [][2]*agentapi.Limits{{sends, nil}, {nil, gets}} {
		p := tenantPair{number: i, from: ends[2*i], to: ends[2*i+1]}
		if _, err := s.attachLimited(ctx, 0, p.from, limits[0]); err != nil {
			return err
		}
		at, err := s.attachLimited(ctx, 1, p.to, limits[1])
		if err != nil {
			return err
		}
		s.mtu = at.MTU
		if err := s.serve(p); err != nil {
			return err
		}
		s.pairs, s.addresses = append(s.pairs, p), append(s.addresses, plainAddress(at))
	}
	return nil
}

func (s *ratesRun) attachLimited(ctx context.Context, host int, c container, limits *agentapi.Limits) (agentapi.Attachment, error) {
	a, err := s.agents[host].Attach(ctx, agentapi.AttachRequest{
		Tenant: limitedTenant, Name: c.name, NetNS: filepath.Join("/run/netns", c.netns), ContainerID: c.name, Runtime: "bench", Limits: limits,
	})
	if err == nil {
		err = s.realized(ctx, store.Revision(a.Revision), s.names())
	}
	return a, err
}

// rate is that of the frames that a pair's receiver gets, in kilobits a second.
func (s *ratesRun) rate(ctx context.Context, pair int, protocol string) (float64, error) {
	args := []string{"netns", "exec", s.pairs[pair].from.netns, "iperf3", "-c", s.addresses[pair], "-t", strconv.Itoa(max(2, s.Size(limitedSeconds))), "-J", "--connect-timeout", "20000"}
	frames := float64(s.mtu+14) / float64(s.mtu+14-tcpHeaders)
	if protocol == "UDP" {
		args = append(args, "-u", "-b", fmt.Sprintf("%dK", 2*limitedKbps), "-l", strconv.Itoa(udpPayload), "-w", "200K")
		frames = float64(udpFrame) / udpPayload
	}
	out, err := output(ctx, "", append([]string{"ip"}, args...)...)
	if err != nil {
		return 0, err
	}
	payload, err := received([]byte(out))
	return payload * frames / 1000, err
}

// received is what iperf3 says that its server got, in bits a second.
func received(report []byte) (float64, error) {
	var said struct {
		End struct {
			Received struct {
				Bytes   float64 `json:"bytes"`
				Seconds float64 `json:"seconds"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(report, &said); err != nil {
		return 0, fmt.Errorf("iperf3's report: %w", err)
	}
	got := said.End.Received
	if got.Bytes <= 0 || got.Seconds <= 0 {
		return 0, errors.New("iperf3's report: nothing was received")
	}
	return got.Bytes * 8 / got.Seconds, nil
}
