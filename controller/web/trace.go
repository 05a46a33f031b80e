package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/flows/trace"
)

// tracePage is a form, and what became of the packet that it asked for.
type tracePage struct {
	Asked   map[string]string // the form's fields as they were typed
	Protos  []string
	States  []trace.State
	Refused string // why there is no answer
	Answer  *client.Trace
}

// trace answers a mistake on the page itself, above the form that made it.
func (s *site) trace(r *http.Request) (any, error) {
	q := r.URL.Query()
	page := tracePage{
		Asked: map[string]string{}, Protos: []string{"icmp", "tcp", "udp", "arp"},
		States: []trace.State{trace.StateNew, trace.StateEstablished, trace.StateReply, trace.StateRelated, trace.StateInvalid},
	}
	for name := range q {
		page.Asked[name] = strings.TrimSpace(q.Get(name))
	}
	if !q.Has("from") && !q.Has("to") {
		return page, nil
	}
	query, err := traceQuery(q)
	if err == nil {
		var answer client.Trace
		answer, err = s.api.Trace(r.Context(), query)
		page.Answer = &answer
	}
	if err != nil {
		page.Answer, page.Refused = nil, err.Error()
	}
	return page, nil
}

// traceQuery reads what was typed.
func traceQuery(q url.Values) (client.TraceQuery, error) {
	out := client.TraceQuery{
		From: strings.TrimSpace(q.Get("from")), To: strings.TrimSpace(q.Get("to")), Proto: strings.TrimSpace(q.Get("proto")),
		State: q.Get("state"), View: q.Get("view"),
	}
	for name, port := range map[string]*uint16{"sport": &out.SrcPort, "dport": &out.DstPort} {
		text := strings.TrimSpace(q.Get(name))
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return out, portError(text)
		}
		*port = uint16(n)
	}
	return out, api.Question(&out).Check()
}

// portError is what was typed for a port and is none.
type portError string

func (e portError) Error() string {
	return "port " + strconv.Quote(string(e)) + ": write a number from 1 to 65535"
}
