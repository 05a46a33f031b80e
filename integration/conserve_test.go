package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// conservation is a cluster in which every frame is looked for.
//
// What a container sends is either counted out, or refused and counted by its reason, or answered by the switch, and what
// it gets is either counted in or such an answer. An answer is as long as its question. So of each tenant, and whatever its
// containers do,
//
//	sent - out - drops = answers = got - in
//
// where sent and got are what the kernels of the containers say. Frames inside are all for one container, so that what
// was counted out inside is counted in inside. Packets and bytes are to be equal, but for what interfaces dropped.
type conservation struct {
	*testing.T
	st      lab.Status
	random  *rand.Rand
	tenants []*conserved
	made    int              // containers
	looked  int              // how many of them there were when it was looked at last
	lost    map[string]int64 // by interfaces, the most that each ever said: those of containers go with them
	before  int64            // how many of them were lost before it was looked at last
}

// conserved is a tenant of it.
type conserved struct {
	name  string
	alive []lab.Container
	gone  wires // of containers that went
	// copies: frames to all were sent since the last look, which count in for all that get them. inside is by how much more
	// was counted out than in inside until then.
	copies bool
	inside sum
	// nowhere is what was sent and not counted until then: before the switch knew its port, or lost by interfaces.
	nowhere sum
	was     told
	late    int64 // what gateway hosts refused until then
	number  uint32
	spoofed int64 // how many such frames its containers sent
}

// conserveFirst is how many packets a container's kernel sends by itself, at most, before the switch knows its port.
const conserveFirst = 4

// conserveTenants and conserveContainers are how many there are at first.
const conserveTenants, conserveContainers = 3, 3

// newConservation is one without tenants.
func newConservation(t *testing.T) *conservation {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if said := os.Getenv("SLUICE_CONSERVE_SEED"); said != "" {
		var err error
		if seed, err = strconv.ParseUint(said, 10, 64); err != nil {
			t.Fatalf("SLUICE_CONSERVE_SEED: %v", err)
		}
	}
	t.Logf("SLUICE_CONSERVE_SEED=%d", seed)
	w := &conservation{T: t, st: needLab(t), random: rand.New(rand.NewPCG(seed, seed)), lost: map[string]int64{}}
	w.before = w.losses()
	return w
}

// conserving makes the cluster of a seed.
func conserving(t *testing.T) *conservation {
	t.Helper()
	w := newConservation(t)
	for i := range conserveTenants {
		of := &conserved{name: fmt.Sprintf("conserve-%d", i+1)}
		tenant(t, of.name)
		of.number = answer[client.Tenant](t, "tenant", "show", of.name).Number
		w.tenants = append(w.tenants, of)
		first := w.random.IntN(len(w.st.Hosts))
		for n := range conserveContainers { // two of them on one host
			w.attach(of, w.st.Hosts[(first+n/2)%len(w.st.Hosts)].Name)
		}
	}
	return w
}

// attach gives a tenant one more container. Its neighbours are asked for once: the kernel does not look after them again,
// so that it sends nothing by itself.
func (w *conservation) attach(of *conserved, host string) {
	w.Helper()
	w.made++
	c := container(w.T, host, of.name, fmt.Sprintf("%s-%d", of.name, w.made))
	if err := lab.InNamespace(c.NetNS, func() error {
		return errors.Join(os.WriteFile("/proc/sys/net/ipv4/neigh/"+c.Iface+"/delay_first_probe_time", []byte("86400"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/"+c.Iface+"/disable_ipv6", []byte("1"), 0))
	}); err != nil {
		w.Fatal(err)
	}
	of.alive, of.copies = append(of.alive, c), true
}

// wires are what a tenant's containers sent and got so far.
func (w *conservation) wires(of *conserved) wires {
	w.Helper()
	all := of.gone
	for _, c := range of.alive {
		is := wiresOf(w.T, c)
		all = wires{all.sent.plus(is.sent), all.got.plus(is.got)}
	}
	return all
}

// settle has every switch hand what it forwarded to the flows that it was forwarded by.
func (w *conservation) settle() {
	w.Helper()
	for _, h := range w.st.Hosts {
		if _, err := h.Switch().AppCtl(w.Context(), "revalidator/wait"); err != nil {
			w.Fatalf("%s: %v", h.Name, err)
		}
	}
}

// mark has each container send one more frame that is refused. Refusals are what a host's counters are read last of, so that
// where these are counted all is that was sent before.
func (w *conservation) mark() {
	w.Helper()
	for _, of := range w.tenants {
		for _, c := range of.alive {
			w.spoof(of, c)
		}
	}
	w.settle()
}

// look is how a tenant at rest stands.
type look struct {
	of      *conserved
	is      wires
	says    told
	nowhere sum   // what was sent and is not counted, since it was looked at last
	inside  sum   // what was counted out inside and not in, since then
	late    int64 // what gateway hosts refused since then
}

func (w *conservation) look(of *conserved) look {
	w.Helper()
	is, says := w.wires(of), toldOf(w.T, w.st, of.name)
	if fell := says.fell(of.was); len(fell) > 0 {
		w.Errorf("%s: sums fell: %v", of.name, fell)
	}
	of.was = says
	late := says.late() - of.late
	refused := sum{says.refusedAll(), refusedBytes(w.T, w.st, of.number)}
	answers := is.got.minus(says.allIn())
	nowhere := is.sent.minus(says.allOut()).minus(refused).minus(answers)
	return look{of, is, says, nowhere.minus(of.nowhere), says.underway().minus(of.inside), late}
}

func (l look) String() string {
	return fmt.Sprintf("%s: containers sent %v and got %v; counted %v; since the last look %v are nowhere, and of those inside %v",
		l.of.name, l.is.sent, l.is.got, l.says, l.nowhere, l.inside)
}

// between reports whether a difference is as many packets as it may be. Where it may be none alone, there is no byte.
func (s sum) between(least, most int64) bool {
	return least <= s.packets && s.packets <= most && (least < most || s.bytes == 0)
}

// balanced waits until all that was sent is counted. What a new container sends before the switch knows its port is nobody's,
// and before the switch has it nowhere.
func (w *conservation) balanced(what string) {
	w.Helper()
	w.settle()
	w.mark()
	var looks []look
	var rests resting
	eventually(w.T, what, func() (err error) {
		looks = nil
		lost := w.losses() - w.before
		var nowhere, late, most int64
		for _, of := range w.tenants {
			l := w.look(of)
			looks, nowhere, late = append(looks, l), nowhere+l.nowhere.packets, late+l.late
			switch {
			case l.says.drops["spoofed"] < of.spoofed-lost:
				err = errors.Join(err, fmt.Errorf("%s: its %d marks are not counted yet: %v", of.name, of.spoofed, l))
			case of.copies:
				most = int64(conserveFirst * (w.made - w.looked))
			case !l.nowhere.between(-l.late, lost) || !l.inside.between(0, lost):
				err = errors.Join(err, fmt.Errorf("%v", l))
			}
		}
		if nowhere < -late || nowhere > most+lost {
			err = errors.Join(err, fmt.Errorf("of all tenants %d packets are nowhere, %d to %d may be: %v", nowhere, -late, most+lost, looks))
		}
		if lost > 0 && !rests.at(looks) { // marks may be among what was lost
			err = errors.Join(err, fmt.Errorf("sums still grow: %v", looks))
		}
		if err != nil {
			return fmt.Errorf("%w; interfaces dropped %d: %v", err, lost, w.lost)
		}
		if lost > 0 {
			w.Logf("%s: interfaces dropped %d packets", what, lost)
		}
		w.before, w.looked = w.before+lost, w.made
		return nil
	})
	for _, l := range looks {
		l.of.copies, l.of.late = false, l.says.late()
		l.of.nowhere, l.of.inside = l.of.nowhere.plus(l.nowhere), l.of.inside.plus(l.inside)
	}
}

// restsFor is how long sums must have stayed as they are to be taken for whole: longer than switches are read apart.
const restsFor = 6 * time.Second

// resting tells when sums have stayed the same for a while.
type resting struct {
	sums  string
	since time.Time
}

// at reports whether these looks say what those of restsFor ago said.
func (r *resting) at(looks []look) bool {
	if sums := fmt.Sprint(looks); sums != r.sums {
		*r = resting{sums, time.Now()}
	}
	return time.Since(r.since) >= restsFor
}

// losses are the packets that interfaces dropped so far.
func (w *conservation) losses() (n int64) {
	w.Helper()
	for _, h := range w.st.Hosts {
		for name, lost := range lostBy(w.T, h) {
			at := h.Name + "/" + name
			w.lost[at] = max(w.lost[at], lost)
		}
	}
	for _, lost := range w.lost {
		n += lost
	}
	return n
}

// pairs has every container of a tenant but one talk to another.
func (w *conservation) pairs(of *conserved, but string) (pairs [][2]lab.Container) {
	talking := slices.DeleteFunc(slices.Clone(of.alive), func(c lab.Container) bool { return c.Name == but })
	w.random.Shuffle(len(talking), func(i, j int) { talking[i], talking[j] = talking[j], talking[i] })
	for i, c := range talking {
		pairs = append(pairs, [2]lab.Container{c, talking[(i+1)%len(talking)]})
	}
	return pairs
}

// load is what containers are to send, drawn before any of them begins: the order in which they run draws nothing.
type load struct {
	from, to netip.Addr
	ns       string
	sizes    []int // of UDP's payloads
}

func (w *conservation) load(from lab.Container, to netip.Addr) load {
	l := load{ipOf(from), to, from.NetNS, make([]int, 100+w.random.IntN(100))}
	for i := range l.sizes {
		l.sizes[i] = 1 + w.random.IntN(1200)
	}
	return l
}

// send sends it, slowly enough for a switch that shares its processor.
func (l load) send(ctx context.Context, port uint16) error {
	conn, err := lab.DialIn(ctx, l.ns, "udp", netip.AddrPortFrom(l.to, port).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, size := range l.sizes {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			return fmt.Errorf("%v to %v: %w", l.from, l.to, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// traffic begins what all send to each other, and what some send out. resting is a container that takes no part, and
// inside a tenant that sends nothing out.
func (w *conservation) traffic(resting, inside string) (wait func()) {
	w.Helper()
	var all sync.WaitGroup
	for _, of := range w.tenants {
		for _, pair := range w.pairs(of, resting) {
			from, to := pair[0], pair[1]
			w.listen(&all, to, w.load(from, ipOf(to)))
			all.Go(func() {
				if err := w.stream(from, to); err != nil {
					w.Errorf("TCP from %s to %s: %v", from.Name, to.Name, err)
				}
			})
			if of.name != inside {
				out := w.load(from, lab.InternetAddress)
				all.Go(func() { w.check(out.send(w.Context(), 7)) })
			}
		}
		w.refusedTraffic(of)
	}
	return all.Wait
}

// stream sends some bytes over TCP, in whatever time it takes.
func (w *conservation) stream(from, to lab.Container) error {
	const size = 1 << 18
	l, err := lab.ListenIn(w.Context(), to.NetNS, "tcp", netip.AddrPortFrom(ipOf(to), 0).String())
	if err != nil {
		return err
	}
	defer l.Close()
	got := lab.CountReceived(l)
	c, err := lab.DialIn(w.Context(), from.NetNS, "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(make([]byte, size))
	c.Close()
	if n := <-got; err != nil || n != size {
		return fmt.Errorf("%d of %d bytes came: %w", n, size, err)
	}
	return nil
}

func (w *conservation) check(err error) {
	if err != nil {
		w.Error(err)
	}
}

// listen has a container take what another sends by UDP: else its kernel would answer with errors, which is traffic too.
func (w *conservation) listen(all *sync.WaitGroup, to lab.Container, l load) {
	w.Helper()
	var socket net.PacketConn
	err := lab.InNamespace(to.NetNS, func() (err error) {
		socket, err = net.ListenPacket("udp", netip.AddrPortFrom(ipOf(to), 0).String())
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { socket.Close() })
	port := netip.MustParseAddrPort(socket.LocalAddr().String()).Port()
	all.Go(func() { w.check(l.send(w.Context(), port)) })
}

// refusedTraffic sends what no switch lets pass: some from another's address, some to nobody.
func (w *conservation) refusedTraffic(of *conserved) {
	w.Helper()
	c, nobody := of.alive[0], hw("02:12:34:56:78:9a")
	for range 10 + w.random.IntN(20) {
		w.raw(c, ethernet(nobody, hw(c.MAC), 0x0800, udp4(ipOf(c), ipOf(c), 1, 2, make([]byte, w.random.IntN(100)))))
		w.spoof(of, c)
	}
}

// spoof sends a frame that says to come from another MAC, and is refused as such.
func (w *conservation) spoof(of *conserved, c lab.Container) {
	w.Helper()
	w.raw(c, ethernet(hw("02:12:34:56:78:9a"), hw("02:12:34:56:78:9b"), 0x0800, udp4(ipOf(c), ipOf(c), 1, 2, nil)))
	of.spoofed++
}

// raw sends a frame as it is.
func (w *conservation) raw(c lab.Container, frame []byte) {
	w.Helper()
	err := lab.InNamespace(c.NetNS, func() error {
		nic, err := net.InterfaceByName(c.Iface)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: nic.Index})
	})
	if err != nil {
		w.Fatalf("%s sends a frame: %v", c.Name, err)
	}
}

// conserveEvents are what happens while all send. Each leaves alone what its own flows are used by: the container
// that goes rests, and who leaves by the gateway that moves sends inside alone.
func conserveEvents() map[string]func(w *conservation) {
	return map[string]func(w *conservation){
		"attach": func(w *conservation) {
			wait := w.traffic("", "")
			of := slices.MinFunc(w.tenants, fewer)
			w.attach(of, w.st.Hosts[w.random.IntN(len(w.st.Hosts))].Name)
			wait()
		},
		"detach": func(w *conservation) {
			of := slices.MaxFunc(w.tenants, fewer)
			at := 1 + w.random.IntN(len(of.alive)-1)
			goes := of.alive[at]
			wait := w.traffic(goes.Name, "")
			last := wiresOf(w.T, goes)
			w.losses()
			sluice(w.T, "lab", "rm", goes.Name)
			wait()
			of.gone = wires{of.gone.sent.plus(last.sent), of.gone.got.plus(last.got)}
			of.alive = slices.Delete(of.alive, at, at+1)
		},
		"move": func(w *conservation) {
			of := w.tenants[w.random.IntN(len(w.tenants))]
			wait := w.traffic("", of.name)
			moveGateway(w.T, w.st, of.name)
			wait()
		},
		"restart": func(w *conservation) {
			wait := w.traffic("", "")
			sluice(w.T, "lab", "kill", "controller")
			sluice(w.T, "lab", "up")
			wait()
		},
	}
}

// fewer compares tenants by how many containers they have.
func fewer(a, b *conserved) int { return len(a.alive) - len(b.alive) }

// conserveFor is how long it goes on; 0: as long as make test has time for.
func conserveFor(t *testing.T) time.Duration {
	said := os.Getenv("SLUICE_CONSERVE")
	if said == "" {
		return 0
	}
	d, err := time.ParseDuration(said)
	if err != nil {
		t.Fatalf("SLUICE_CONSERVE: %v", err)
	}
	return d
}

// What containers sent is what was counted out, refused or answered, and what they got what was counted in or answered,
// to the packet and the byte, while containers come and go, gateways move and the controller is killed.
func TestConservation(t *testing.T) {
	w, end := conserving(t), time.Now().Add(conserveFor(t))
	w.balanced("all is counted before it begins")
	events := conserveEvents()
	names := []string{"attach", "detach", "move", "restart"}
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		w.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, event := range names {
			events[event](w)
			w.balanced(fmt.Sprintf("round %d: all is counted after %s", round, event))
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}
