package bench

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sortSource is a distributed quicksort by MPI.
//
//go:embed mpisort/sort.c
var sortSource []byte

// sortedNumbers are how many integers are sorted, in millions: a tenth of the paper's.
var sortedNumbers = []int{1, 10, 20}

// sortTime bounds one sort; it is far more than any takes.
const sortTime = 5 * time.Minute

func paperFourCase() Case {
	return Case{
		Name:  "paper-4",
		About: "a distributed quicksort by MPI of 1, 10 and 20 million integers, one process on each of two hosts: Sluice beside the hosts themselves, macvlan and the paper's small design",
		Ratio: "A sample is the time from the first exchange until all are sorted. Half of the numbers cross the wire, which carries 100 Mbit/s in each direction. The sides take turns in one lab, once a round; the ratio is the " +
			"median of the rounds' ratios. MPI's processes ask for messages all the time, so that no processor is idle; they run at the lowest priority, below the switches. The paper sorts ten times as many.",
		Needs: append([]string{"mpicc.mpich", "mpiexec.mpich", "gcc"}, paperPrograms...),
		Run: func(ctx context.Context, r *Run) error {
			return inPaper(ctx, r, 2, func(s *paperRun) error { return s.sorts(ctx) })
		},
	}
}

func (s *paperRun) sorts(ctx context.Context) error {
	program, err := s.compileSort(ctx)
	if err != nil {
		return err
	}
	sides, err := s.sides(ctx)
	if err != nil {
		return err
	}
	for _, side := range sides { // MPI's processes also talk to themselves
		for _, c := range side.pair.ends() {
			if _, err := output(ctx, "", "ip", "-n", c.netns, "link", "set", "lo", "up"); err != nil {
				return err
			}
		}
	}
	var measures []paperMeasure
	for _, millions := range sortedNumbers {
		numbers := s.Size(1_000_000 * millions)
		measures = append(measures, paperMeasure{what: fmt.Sprintf("%d million integers sorted", millions), unit: "s", polls: true,
			take: func(ctx context.Context, side paperSide) (float64, error) { return sortIn(ctx, program, side, numbers) }})
	}
	return s.compareAll(ctx, sides, measures)
}

// compileSort makes the program; stop removes it.
func (s *paperRun) compileSort(ctx context.Context) (program string, err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return "", err
	}
	s.stops = append(s.stops, func() { os.RemoveAll(dir) })
	source, program := filepath.Join(dir, "sort.c"), filepath.Join(dir, "sort")
	if err := os.WriteFile(source, sortSource, 0o600); err != nil {
		return "", err
	}
	_, err = output(ctx, "", "mpicc.mpich", "-O2", "-o", program, source)
	return program, err
}

// sortIn sorts numbers by a process at each end of a side, and returns the seconds that it took. Processes of one machine would
// share memory; they are told that they may use their own interface's TCP alone.
func sortIn(ctx context.Context, program string, side paperSide, numbers int) (took float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, sortTime)
	defer cancel()
	const enter = `eval "ns=\$END$PMI_RANK dev=\$DEV$PMI_RANK"; UCX_NET_DEVICES=$dev exec ip netns exec "$ns" nice -n 19 "$0" "$@"`
	cmd := exec.CommandContext(ctx, "mpiexec.mpich", "-launcher", "fork", "-n", "2", "sh", "-c", enter, program, strconv.Itoa(numbers))
	cmd.Env = append(os.Environ(), "UCX_TLS=tcp,self", "MPIR_CVAR_NOLOCAL=1")
	devices, err := side.devices(ctx)
	if err != nil {
		return 0, err
	}
	for rank, c := range side.pair.ends() {
		cmd.Env = append(cmd.Env, fmt.Sprintf("END%d=%s", rank, c.netns), fmt.Sprintf("DEV%d=%s", rank, devices[rank]))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends the processes then
	cmd.WaitDelay = time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cancel()
	_ = cmd.Wait() // it was ended
	if err == nil {
		took, err = strconv.ParseFloat(strings.TrimSpace(line), 64)
	}
	if err != nil {
		err = fmt.Errorf("sort over %s: %w: %s", side.name, err, strings.TrimSpace(said.String()))
	}
	return took, err
}

// devices are the interfaces of both ends by which they reach each other.
func (p paperSide) devices(ctx context.Context) (names [2]string, err error) {
	near, err := output(ctx, "", "ip", "-n", p.pair.from.netns, "route", "get", p.address)
	if err != nil {
		return names, err
	}
	far, err := output(ctx, "", "ip", "-n", p.pair.to.netns, "-oneline", "address", "show", "to", p.address)
	if err != nil {
		return names, err
	}
	_, rest, _ := strings.Cut(near, " dev ")
	_, line, _ := strings.Cut(far, ": ")
	for end, words := range [2][]string{strings.Fields(rest), strings.Fields(line)} {
		if len(words) == 0 {
			return names, fmt.Errorf("%s: no interface of end %d leads to %s: %q, %q", p.name, end, p.address, near, far)
		}
		names[end] = words[0]
	}
	return names, nil
}
