package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	of "sluice/datapath/openflow"
)

// Parse reads dumps of switches: what `ovs-ofctl dump-flows` prints of one, which is the host's, or what
// `sluice flows -o json` prints of several, which name theirs. A text that ends within a line, or has a line
// that is no flow which this package knows, is refused: what is missing might be the flow that does harm.
func Parse(host, text string) (map[string][]of.Flow, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		return parseJSON(text)
	}
	if host == "" {
		return nil, errors.New("it does not say which host's it is: write --dump HOST=FILE")
	}
	list, err := parseText(text)
	if err != nil {
		return nil, err
	}
	return map[string][]of.Flow{host: list}, nil
}

// head is the line before the flows of a reply.
var head = regexp.MustCompile(`^(NXST_FLOW|OFPST_FLOW) reply \((OF[0-9.]+\) \()?xid=0x[0-9a-f]+\):( flags=\[more\])?$`)

// counted is what a dump says of a flow besides what it is.
var counted = regexp.MustCompile(`\b(duration|n_packets|n_bytes|idle_age|hard_age)=[0-9.]+s?(, *| |$)`)

func parseText(text string) (list []of.Flow, err error) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("it ends within a line, so that flows may be missing: %q", text[strings.LastIndexByte(text, '\n')+1:])
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || head.MatchString(line) {
			continue
		}
		f, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, errors.New("it holds no flow")
	}
	if f := twice(list); f != nil {
		return nil, errTwice(f)
	}
	return list, nil
}

// twice is a flow that stands in a list before, with the same table, priority and match: no switch holds
// such two; nil: none does.
func twice(list []of.Flow) *of.Flow {
	seen := make(map[string]bool, len(list))
	var key []byte
	for i := range list {
		if key = list[i].AppendMatchKey(key[:0]); seen[string(key)] {
			return &list[i]
		}
		seen[string(key)] = true
	}
	return nil
}

func errTwice(f *of.Flow) error {
	return fmt.Errorf("two flows have one table, priority and match, so that it is not one dump of one switch: %s", f)
}

// parseLine reads one flow of a dump, without its counters.
func parseLine(line string) (of.Flow, error) {
	match, actions, found := strings.Cut(line, "actions=")
	if !found {
		return of.Flow{}, fmt.Errorf("%q is no flow: is the dump cut short?", line)
	}
	f, err := of.ParseFlow(counted.ReplaceAllString(match, "") + "actions=" + actions)
	if err != nil && strings.Contains(match, `"`) {
		return f, fmt.Errorf("%w: dump with ovs-ofctl --no-names", err)
	}
	return f, err
}

// parseJSON reads what `sluice flows -o json` prints.
func parseJSON(text string) (map[string][]of.Flow, error) {
	var list []struct{ Host, Text, Change string }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("it is no list of flows, or cut short: %w", err)
	}
	dumps := map[string][]of.Flow{}
	for i, f := range list {
		if f.Host == "" || f.Change != "" {
			return nil, fmt.Errorf("flow %d: it is no flow that a switch holds: write the list with sluice flows --installed -o json", i+1)
		}
		flow, err := parseLine(strings.TrimSpace(f.Text))
		if err != nil {
			return nil, fmt.Errorf("flow %d, of host %s: %w", i+1, f.Host, err)
		}
		dumps[f.Host] = append(dumps[f.Host], flow)
	}
	if len(dumps) == 0 {
		return nil, errors.New("it holds no flow")
	}
	for host, flows := range dumps {
		if f := twice(flows); f != nil {
			return nil, fmt.Errorf("host %s: %w", host, errTwice(f))
		}
	}
	return dumps, nil
}
