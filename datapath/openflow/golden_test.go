package openflow_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"testing"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWireGolden holds the bytes of every modelled feature: its text, then its match and its
// instructions as they are sent. TestSwitchHoldsWhatWasSent and TestSwitchReturnsOurBytes show
// the same flows to a real switch.
func TestWireGolden(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# The flows of features.txt and fields.txt, each with the bytes of its match and of its instructions.\n")
	for _, f := range features(t) {
		if _, not := notModelled[f.name]; not {
			continue
		}
		flow := mustParse(t, f.flow)
		_, wire := flow.AppendWire(nil)
		fmt.Fprintf(&b, "\n%s\n", &flow)
		fmt.Fprintf(&b, "    match        %s\n", inWords(wire.Match))
		if len(wire.Instructions) > 0 {
			fmt.Fprintf(&b, "    instructions %s\n", inWords(wire.Instructions))
		}
	}
	checkGolden(t, "testdata/wire.golden", b.String())
}

// inWords writes bytes in hexadecimal, eight to a word.
func inWords(b []byte) string {
	var out []byte
	for ; len(b) > 8; b = b[8:] {
		out = append(hex.AppendEncode(out, b[:8]), ' ')
	}
	return string(hex.AppendEncode(out, b))
}

// checkGolden compares with a file, and writes it with -update.
func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	golden.Check(t, name, []byte(got), *update)
}
