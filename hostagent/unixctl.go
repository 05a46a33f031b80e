package hostagent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// defaultRunDir is where Debian's Open vSwitch keeps its sockets.
const defaultRunDir = "/var/run/openvswitch"

// control is a connection to ovs-vswitchd's control socket, as ovs-appctl has one (JSON-RPC
// 1.0, see ovs-appctl(8)). A process for each command would take 30 to 100 ms.
type control struct {
	conn net.Conn
	out  *json.Encoder
	in   *json.Decoder
	id   int
}

// switchPID is the process id of ovs-vswitchd, by its pidfile.
func switchPID(runDir string) (string, error) {
	pid, err := os.ReadFile(filepath.Join(cmp.Or(runDir, defaultRunDir), "ovs-vswitchd.pid"))
	if err != nil {
		return "", fmt.Errorf("find ovs-vswitchd: %w", err)
	}
	return strings.TrimSpace(string(pid)), nil
}

func dialSwitch(ctx context.Context, runDir string) (*control, error) {
	pid, err := switchPID(runDir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cmp.Or(runDir, defaultRunDir), "ovs-vswitchd."+pid+".ctl")
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control ovs-vswitchd: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(stepTimeout)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("control ovs-vswitchd: %w", err)
	}
	return &control{conn: conn, out: json.NewEncoder(conn), in: json.NewDecoder(conn)}, nil
}

func (c *control) close() { c.conn.Close() }

// call runs one command.
func (c *control) call(method string, params ...string) error {
	_, err := c.ask(method, params...)
	return err
}

// ask runs one command and gives back what it says.
func (c *control) ask(method string, params ...string) (string, error) {
	c.id++
	if params == nil {
		params = []string{}
	}
	request := struct {
		ID     int      `json:"id"`
		Method string   `json:"method"`
		Params []string `json:"params"`
	}{c.id, method, params}
	if err := c.out.Encode(request); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	var reply struct {
		Result any `json:"result"`
		Error  any `json:"error"`
	}
	if err := c.in.Decode(&reply); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	if reply.Error != nil {
		return "", fmt.Errorf("%s: %w", method, errors.New(strings.TrimSpace(fmt.Sprint(reply.Error))))
	}
	text, _ := reply.Result.(string)
	return text, nil
}
