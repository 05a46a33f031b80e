package ovstest

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
)

// Call runs a command of ovs-vswitchd by its control socket, as ovs-appctl does, and returns what it
// prints: a process for each would take longer than all the rest.
func (o *OVS) Call(command string, args ...string) string {
	o.t.Helper()
	conn, err := net.Dial("unix", o.Control())
	o.must(err)
	defer conn.Close()
	request := map[string]any{"method": command, "params": append([]string{}, args...), "id": 0}
	o.must(json.NewEncoder(conn).Encode(request))
	var reply struct {
		Result string
		Error  any
	}
	o.must(json.NewDecoder(conn).Decode(&reply))
	if reply.Error != nil {
		o.must(fmt.Errorf("%s %s: %v", command, strings.Join(args, " "), reply.Error))
	}
	return reply.Result
}
