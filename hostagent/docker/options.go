package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Keys of Docker's own among the options of networks, endpoints and addresses.
const (
	dockers       = "com.docker.network."
	keyGeneric    = dockers + "generic" // what -o says
	keyInternal   = dockers + "internal"
	keyPortMap    = dockers + "portmap"
	keyMAC        = dockers + "endpoint.macaddress"
	keyGateway    = dockers + "gateway"
	keyAddressFor = "RequestAddressType"
)

// Options of users.
const (
	optionTenant  = "tenant"
	optionNetwork = "network"
	optionName    = "name"
	optionSticky  = "sticky"
)

// furthest is how many characters a misspelt option may differ in from the one that was meant.
const furthest = 3

// texts are the options of a user, under a flag's name. An option that is not known is refused.
func texts[V any](flag string, options map[string]V, known ...string) (map[string]string, error) {
	said := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if strings.HasPrefix(key, dockers) || key == keyAddressFor {
			continue
		}
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("%s %s: there is no such option%s (%s)", flag, key, nearest(key, known), strings.Join(known, ", "))
		}
		said[key] = fmt.Sprint(options[key])
	}
	return said, nil
}

func nearest(key string, known []string) string {
	best, least := "", furthest+1
	for _, other := range known {
		if d := levenshtein.Distance(key, other, nil); d < least {
			best, least = other, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}
