package api_test

import (
	"context"
	"fmt"

	"sluice/hostagent/api"
)

// A runtime gives a container an interface in a tenant's network, and takes it away again.
func ExampleClient_Attach() {
	agent := api.Dial("") // the agent of this host
	defer agent.Close()
	ctx := context.Background()
	port, err := agent.Attach(ctx, api.AttachRequest{
		Tenant: "alice", Name: "web-1", NetNS: "/run/netns/web-1", ContainerID: "web-1", Runtime: "mine",
	})
	if err != nil { // nothing is left of it
		fmt.Println(err)
		return
	}
	fmt.Println(port.Addresses, port.Gateways, port.MTU)
	err = agent.Detach(ctx, api.DetachRequest{Tenant: "alice", Name: "web-1"})
	if err != nil && !api.IsNotFound(err) {
		fmt.Println(err)
	}
}
