// Command sluice-cni is a CNI plugin (CNI 1.1): container runtimes run it to attach a
// container to a tenant's network. It asks the host's agent over its unix socket and does
// nothing by itself.
package main

import (
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/version"
)

func main() {
	funcs := skel.CNIFuncs{Add: add, Del: del, Check: check, GC: collect, Status: status}
	supported := version.PluginSupports("0.4.0", "1.0.0", "1.1.0")
	skel.PluginMainFuncs(funcs, supported, "sluice-cni attaches containers to tenants' networks")
}
