package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"golang.org/x/sync/errgroup"
)

// ServeInternet is all services of the fake internet: over HTTP on port 80, and over UDP on port 7, it
// answers with the address and port that it sees its caller have; on port 53 it resolves names below OutsideZone to
// its own address. It returns when ctx ends.
func ServeInternet(ctx context.Context, address netip.Addr) error {
	l, err := net.Listen("tcp", netip.AddrPortFrom(address, 80).String())
	if err != nil {
		return err
	}
	echo, err := net.ListenPacket("udp", netip.AddrPortFrom(address, 7).String())
	if err != nil {
		l.Close()
		return err
	}
	names, err := listenDNS(address)
	if err != nil {
		l.Close()
		echo.Close()
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.RemoteAddr)
	})}
	context.AfterFunc(ctx, func() {
		srv.Close()
		echo.Close()
		for _, s := range names {
			_ = s.Shutdown()
		}
	})
	var g errgroup.Group
	for _, s := range names {
		g.Go(func() error { return ignoreClosed(s.ActivateAndServe()) })
	}
	g.Go(func() error { return ignoreClosed(srv.Serve(l)) })
	g.Go(func() error { return ignoreClosed(answerUDP(echo)) })
	return g.Wait()
}

func answerUDP(c net.PacketConn) error {
	var b [1]byte
	for {
		_, from, err := c.ReadFrom(b[:])
		if err != nil {
			return err
		}
		_, _ = c.WriteTo([]byte(from.String()+"\n"), from) // the caller may be gone
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
