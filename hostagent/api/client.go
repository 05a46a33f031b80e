package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
)

// maxAnswer bounds what a client reads of one answer, in bytes.
const maxAnswer = 64 << 20

// Client talks to the agent of this host. Its methods may run concurrently.
type Client struct {
	socket string
	http   http.Client
}

// Dial returns a client for the agent behind a unix socket; empty: DefaultSocket. It
// connects with the first call.
func Dial(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Attach gives a container an interface in a tenant's network. It returns when the
// port's flows are in this host's switch; a failed attach has left nothing behind.
func (c *Client) Attach(ctx context.Context, r AttachRequest) (Attachment, error) {
	var a Attachment
	err := c.do(ctx, http.MethodPost, PathPorts, r, &a)
	return a, err
}

// Detach removes a port and its interface. See IsNotFound for a port that is not there.
func (c *Client) Detach(ctx context.Context, r DetachRequest) error {
	q := url.Values{"containerID": {r.ContainerID}, "interface": {r.Interface}}
	maps.DeleteFunc(q, func(_ string, said []string) bool { return said[0] == "" })
	path := portPath(r)
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Get is one port of this host. See IsNotFound for a port that is not there.
func (c *Client) Get(ctx context.Context, r DetachRequest) (Attachment, error) {
	var a Attachment
	err := c.do(ctx, http.MethodGet, portPath(r), nil, &a)
	return a, err
}

// Check reports what keeps a port, or its interface in the container, from being as it was made.
func (c *Client) Check(ctx context.Context, r CheckRequest) error {
	q := url.Values{"netns": {r.NetNS}, "ifName": {r.IfName}}
	return c.do(ctx, http.MethodGet, portPath(r.DetachRequest)+PathCheck+"?"+q.Encode(), nil, nil)
}

// List is every port of this host, by tenant, network and name.
func (c *Client) List(ctx context.Context) ([]Attachment, error) {
	var all []Attachment
	err := c.do(ctx, http.MethodGet, PathPorts, nil, &all)
	return all, err
}

// Reserve takes an address for a port that is attached soon.
func (c *Client) Reserve(ctx context.Context, r ReserveRequest) (Reservation, error) {
	var one Reservation
	err := c.do(ctx, http.MethodPost, PathReservations, r, &one)
	return one, err
}

// Unreserve frees a reserved address. One that belongs to a port, or is free, stays as it is.
func (c *Client) Unreserve(ctx context.Context, r UnreserveRequest) error {
	path := PathReservations + "/" + url.PathEscape(r.Tenant) + "/" + url.PathEscape(r.Network) + "/" + url.PathEscape(r.Address)
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Networks are those of a tenant, by name. See IsNotFound for a tenant that does not exist.
func (c *Client) Networks(ctx context.Context, tenant string) ([]Network, error) {
	var all []Network
	err := c.do(ctx, http.MethodGet, PathNetworks+"/"+url.PathEscape(tenant), nil, &all)
	return all, err
}

// Status is how the agent is doing.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, PathStatus, nil, &s)
	return s, err
}

func portPath(r DetachRequest) string {
	if r.Network == "" {
		r.Network = DefaultNetwork
	}
	return PathPorts + "/" + url.PathEscape(r.Tenant) + "/" + url.PathEscape(r.Network) + "/" + url.PathEscape(r.Name)
}

// do sends in as JSON, where it is not nil, and reads the answer into out likewise.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("agent at %s: %w (is sluice agent running?)", c.socket, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("agent at %s: read answer: %w", c.socket, err)
	}
	return decode(resp.StatusCode, b, out)
}

func decode(status int, body []byte, out any) error {
	if status >= 300 {
		var p Problem
		if json.Unmarshal(body, &p) != nil || p.Detail == "" {
			// Not with its status: 404 would say that the port is gone.
			return NewProblem(http.StatusBadGateway, "who answered at the agent's socket is no agent of this version: status %d: %s", status, bytes.TrimSpace(body))
		}
		p.Status = status
		return &p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("decode the agent's answer: %w", err)
	}
	return nil
}
