package manifestfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/store/manifest"
)

// Write is a manifest as people write it, its fields in the order of their declaration.
func Write(m *manifest.Manifest) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil { // JSON is YAML
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	plain(&n)
	text, err = yaml.Marshal(&n)
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return text, nil
}

// switches are words that older readers of YAML take for yes or no.
var switches = []string{"on", "off", "yes", "no", "y", "n"}

// plain takes the braces and quotes of JSON away; what needs quotes gets them again.
func plain(n *yaml.Node) {
	n.Style = 0
	if slices.Contains(switches, strings.ToLower(n.Value)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, inner := range n.Content {
		plain(inner)
	}
}
