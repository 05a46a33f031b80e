package ovsdb

import "github.com/ovn-kubernetes/libovsdb/model"

// The rows and columns of the Open_vSwitch schema (ovs-vswitchd.conf.db(5)) that this
// package reads or writes. A monitor names each column: libovsdb stops updating, without a
// word, rows of which it is sent columns that it has no field for.
type (
	rootRow struct {
		UUID    string   `ovsdb:"_uuid"`
		Bridges []string `ovsdb:"bridges"`
		NextCfg int      `ovsdb:"next_cfg"`
		CurCfg  int      `ovsdb:"cur_cfg"`
		SSL     *string  `ovsdb:"ssl"`
	}
	sslRow struct {
		UUID        string `ovsdb:"_uuid"`
		PrivateKey  string `ovsdb:"private_key"`
		Certificate string `ovsdb:"certificate"`
		CACert      string `ovsdb:"ca_cert"`
		Bootstrap   bool   `ovsdb:"bootstrap_ca_cert"`
	}
	bridgeRow struct {
		UUID         string            `ovsdb:"_uuid"`
		Name         string            `ovsdb:"name"`
		DatapathType string            `ovsdb:"datapath_type"`
		FailMode     *string           `ovsdb:"fail_mode"`
		Protocols    []string          `ovsdb:"protocols"`
		Controllers  []string          `ovsdb:"controller"`
		Ports        []string          `ovsdb:"ports"`
		FlowTables   map[int]string    `ovsdb:"flow_tables"`
		OtherConfig  map[string]string `ovsdb:"other_config"`
	}
	portRow struct {
		UUID       string   `ovsdb:"_uuid"`
		Name       string   `ovsdb:"name"`
		Interfaces []string `ovsdb:"interfaces"`
	}
	interfaceRow struct {
		UUID          string            `ovsdb:"_uuid"`
		Name          string            `ovsdb:"name"`
		Type          string            `ovsdb:"type"`
		Options       map[string]string `ovsdb:"options"`
		ExternalIDs   map[string]string `ovsdb:"external_ids"`
		BFD           map[string]string `ovsdb:"bfd"`
		BFDStatus     map[string]string `ovsdb:"bfd_status"`
		MAC           *string           `ovsdb:"mac"`
		MTURequest    *int              `ovsdb:"mtu_request"`
		OFPortRequest *int              `ovsdb:"ofport_request"`
		OFPort        *int              `ovsdb:"ofport"`
		Error         *string           `ovsdb:"error"`
	}
	controllerRow struct {
		UUID            string  `ovsdb:"_uuid"`
		Target          string  `ovsdb:"target"`
		ConnectionMode  *string `ovsdb:"connection_mode"`
		MaxBackoff      *int    `ovsdb:"max_backoff"`
		InactivityProbe *int    `ovsdb:"inactivity_probe"`
		IsConnected     bool    `ovsdb:"is_connected"`
	}
	tableRow struct {
		UUID string  `ovsdb:"_uuid"`
		Name *string `ovsdb:"name"`
	}
)

func databaseModel() (model.ClientDBModel, error) {
	return model.NewClientDBModel("Open_vSwitch", map[string]model.Model{
		"Open_vSwitch": &rootRow{},
		"Bridge":       &bridgeRow{},
		"Port":         &portRow{},
		"Interface":    &interfaceRow{},
		"Controller":   &controllerRow{},
		"Flow_Table":   &tableRow{},
		"SSL":          &sslRow{},
	})
}
