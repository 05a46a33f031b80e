package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/datapath/ovsrun"
)

// process is a part of a fleet that runs for itself.
type process struct {
	what   string
	child  *ovsrun.Child
	stderr bytes.Buffer
}

// start runs the program with arguments; prepare may connect its pipes.
func start(what, program string, prepare func(*exec.Cmd) error, args ...string) (*process, error) {
	p, cmd := &process{what: what}, exec.Command(program, args...)
	cmd.Stderr = &p.stderr
	if prepare != nil {
		if err := prepare(cmd); err != nil {
			return nil, err
		}
	}
	var err error
	if p.child, err = ovsrun.Spawn(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", what, err)
	}
	return p, nil
}

// stop ends the process and waits; one that does not end is killed.
func (p *process) stop() {
	p.child.Terminate()
	select {
	case <-p.child.Exited():
	case <-time.After(10 * time.Second):
		p.child.End()
	}
}

// await calls ready until it is nil, the process ends, or ctx does.
func (p *process) await(ctx context.Context, ready func() error) error {
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.child.Exited():
			return fmt.Errorf("%s ended: %w: %s", p.what, p.child.Err(), strings.TrimSpace(p.stderr.String()))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// status reads a size from /proc/PID/status, in bytes.
func (p *process) status(field string) (float64, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.child.PID()), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("%s: no %s", p.what, field)
}

// ticksPerSecond is what /proc counts processor time in, on every Linux.
const ticksPerSecond = 100

// processor is the time that the process has computed.
func (p *process) processor() (time.Duration, error) {
	return processorOf(p.what, strconv.Itoa(p.child.PID()))
}

// processorOf is the time that a process has computed.
func processorOf(what, pid string) (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s: cannot read /proc/stat", what)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(err1, err2)
}

// freeAddress is one where nothing listens now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// answers fails until an HTTP server says 200.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// switches is the process that simulates them.
type switches struct {
	*process
	in  *json.Encoder
	out *json.Decoder
}

func startSwitches(program string, size FleetSize, controller string) (*switches, error) {
	s := &switches{}
	pipes := func(cmd *exec.Cmd) error {
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		s.in, s.out = json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))
		return err
	}
	var err error
	s.process, err = start("the simulated switches", program, pipes, "bench-part", "switches",
		"--hosts", strconv.Itoa(size.Hosts), "--tenants", strconv.Itoa(size.Tenants), "--ports", strconv.Itoa(size.Ports),
		"--controller", controller)
	return s, err
}

// ask sends a request and reads the answer.
func (s *switches) ask(r fleetRequest) (fleetCounts, error) {
	var c fleetCounts
	err := s.in.Encode(r)
	if err == nil {
		err = s.out.Decode(&c)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w: %s", s.what, err, strings.TrimSpace(s.stderr.String()))
	}
	return c, nil
}
