package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
)

const (
	// pageSize is that of Debian's first page of Apache, which the paper fetched.
	pageSize = 10701
	// pagePort is where it is served.
	pagePort = 8000
	// pageFetches are those of one sample.
	pageFetches = 200
)

func paperFiveCase() Case {
	return Case{
		Name:  "paper-5",
		About: "a page of 10,701 bytes over HTTP from a container on another host: Sluice beside the hosts themselves, macvlan and the paper's small design",
		Ratio: "A sample is the median of 200 fetches, one after the other, each by a connection of its own, from the call for the connection to the last byte. The sides take turns in one lab, once a round; the " +
			"ratio is the median of the rounds' ratios. Each host's wire carries 100 Mbit/s in each direction; a sample during which less than 10 % of the processors' time was idle is thrown away. " +
			"Served is what Debian's Apache serves first, by a server of our own.",
		Needs: paperPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inPaper(ctx, r, 2, func(s *paperRun) error { return s.pages(ctx) })
		},
	}
}

func (s *paperRun) pages(ctx context.Context) error {
	sides, err := s.sides(ctx)
	if err != nil {
		return err
	}
	for _, side := range sides {
		end, err := servePage(side.pair.to.netns)
		if err != nil {
			return err
		}
		s.stops = append(s.stops, end)
	}
	fetches := s.Size(pageFetches)
	return s.compareAll(ctx, sides, []paperMeasure{{what: "a page", unit: "ms", take: func(ctx context.Context, side paperSide) (float64, error) {
		return fetchPages(ctx, side.pair.from.netns, side.address, fetches)
	}}})
}

// servePage serves the page in a namespace.
func servePage(netns string) (end func(), err error) {
	var l net.Listener
	err = lab.InNamespace(netns, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprint(":", pagePort))
		return err
	})
	if err != nil {
		return nil, err
	}
	page := strings.Repeat(".", pageSize)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })}
	go func() { _ = server.Serve(l) }() // ends with end
	return func() { server.Close() }, nil
}

// fetchPages is the median of some fetches from a namespace, in ms.
func fetchPages(ctx context.Context, netns, address string, fetches int) (float64, error) {
	var took []float64
	err := lab.InNamespace(netns, func() error {
		for range fetches {
			if err := ctx.Err(); err != nil {
				return err
			}
			seconds, err := timed(func() error { return fetchPage(address) })
			if err != nil {
				return err
			}
			took = append(took, 1000*seconds)
		}
		return nil
	})
	return quantile(took, 0.5), err
}

// fetchPage fetches the page from this thread's namespace, and holds it to its length.
func fetchPage(address string) error {
	fd, err := dialHere(address, pagePort)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = uninterrupted(func() (err error) {
		_, err = unix.Write(fd, []byte("GET / HTTP/1.0\r\n\r\n")) // so few bytes go at once, or none does
		return err
	})
	if err != nil {
		return fmt.Errorf("ask %s: %w", address, err)
	}
	var head, body int
	b := make([]byte, 64<<10)
	for all := 0; ; {
		n, err := readHere(fd, b[all:])
		if err != nil {
			return fmt.Errorf("page of %s: %w", address, err)
		}
		if n == 0 {
			head = strings.Index(string(b[:all]), "\r\n\r\n") + 4
			body = all - head
			break
		}
		all += n
	}
	if head < 4 || body != pageSize {
		return fmt.Errorf("page of %s: %d bytes after %d of its head, want %d", address, body, head, pageSize)
	}
	return nil
}

// uninterrupted calls again what a signal ended, such as those by which Go's scheduler takes turns. The kernel does not begin a call of a
// socket again that has a time limit (signal(7)); it goes on with a connection that is under way.
func uninterrupted(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// readHere is one read of a socket of dialHere.
func readHere(fd int, b []byte) (n int, err error) {
	err = uninterrupted(func() (err error) {
		n, err = unix.Read(fd, b)
		return err
	})
	return n, err
}

// dialHere connects from this thread's namespace. What is read and written then takes callTime at most.
func dialHere(address string, port int) (fd int, err error) {
	a := net.ParseIP(address).To4()
	if a == nil {
		return 0, fmt.Errorf("%q is no IPv4 address", address)
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	limit := unix.NsecToTimeval(callTime.Nanoseconds())
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			unix.Close(fd)
			return 0, err
		}
	}
	if err := uninterrupted(func() error { return unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte(a)}) }); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("connect to %s: %w", address, err)
	}
	return fd, nil
}
