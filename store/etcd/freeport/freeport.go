// Package freeport finds addresses on loopback for servers that tests start by name. Only tests
// import it.
//
// A port that was asked of the system is one of those which any connection may get a moment later,
// and may be given twice in a row. So ports come from below the system's range, and each is kept
// for its test, in all processes, by a UDP socket of its number; the server itself uses TCP.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// The ports to choose from: below those that Linux gives to connections (ip_local_port_range).
const first, last = 20000, 32000

// URL is one on loopback where nothing listens, and which nobody else is given before the test ends.
func URL(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprint("127.0.0.1:", first+rand.IntN(last-first))
		kept, err := net.ListenPacket("udp", address)
		if err != nil {
			continue // another test's
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			t.Cleanup(func() { kept.Close() })
			return "http://" + address
		}
		kept.Close()
	}
	t.Fatal("no port of loopback is free for a test")
	return ""
}
