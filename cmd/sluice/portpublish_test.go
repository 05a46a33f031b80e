package main

import (
	"strings"
	"testing"

	agentapi "sluice/hostagent/api"
)

func TestPublishedPort(t *testing.T) {
	for text, want := range map[string]agentapi.Publish{
		"80":                  {Protocol: "tcp", Port: 80, On: 80, Count: 1},
		"8080:80":             {Protocol: "tcp", Port: 80, On: 8080, Count: 1},
		"53:54/udp":           {Protocol: "udp", Port: 54, On: 53, Count: 1},
		"8000-8009:80-89/tcp": {Protocol: "tcp", Port: 80, On: 8000, Count: 10},
	} {
		if got, err := publishedPort(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"0:80": "from 1 to 65535", "a:80": "from 1 to 65535", "80:b": "from 1 to 65535", "8000-8009:80": "as many", "80/sctp": "only tcp and udp", "": "from 1 to 65535",
		"127.0.0.1:80:80": "from 1 to 65535",
	} {
		if _, err := publishedPorts([]string{"80", text}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
