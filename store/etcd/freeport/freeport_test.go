package freeport

import (
	"net"
	"strings"
	"testing"
)

// No address is given twice, though nothing listens at any; a test's are free again after it.
func TestURL(t *testing.T) {
	given := map[string]bool{}
	t.Run("many", func(t *testing.T) {
		for range 2000 { // of 12,000: chance alone would give many twice
			url := URL(t)
			if given[url] {
				t.Fatalf("%s was given twice", url)
			}
			given[url] = true
		}
	})
	for url := range given {
		address := strings.TrimPrefix(url, "http://")
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("somebody listens at %s: %v", url, err)
		}
		l.Close()
		kept, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatalf("%s is kept after its test: %v", url, err)
		}
		kept.Close()
		break
	}
}
