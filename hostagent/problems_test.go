package hostagent

import (
	"errors"
	"log/slog"
	"testing"
)

func TestBriefNamesOneReasonOnce(t *testing.T) {
	p := newProblems(slog.New(slog.DiscardHandler))
	if got := p.brief(); got != "" {
		t.Errorf("without problems: %q", got)
	}
	for what, text := range map[string]string{
		"infrastructure": "list hosts: etcd unavailable: it did not answer",
		"registration":   "get farewells/h1: etcd unavailable: it did not answer",
		"store":          "etcd unavailable: it did not answer",
		"nftables":       "nft: no such file",
		"ports":          "list ports: etcd at e1: it refuses",
	} {
		p.tell(what, errors.New(text))
	}
	const want = "infrastructure, registration, store: etcd unavailable: it did not answer; nftables: nft: no such file; ports: etcd at e1: it refuses"
	if got := p.brief(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
