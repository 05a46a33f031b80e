package api_test

import (
	"net/http"
	"sluice/controller/client"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is asked for is shown at once, and stays where it is not named. Hosts that no controller reaches have no part, and say so.
func TestBalance(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.register(t, "h1")
	c.register(t, "h2")
	on, ten := true, 10
	want := client.BalanceSettings{Auto: true, Window: 300, CoolDown: 3600, PerHour: 10, AtOnce: 4}
	got, err := c.SetBalance(ctx, client.BalanceOrder{Auto: &on, PerHour: &ten})
	first := got.Modified
	want.Modified = first
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	want.Window = 60
	minute := 60
	got, err = c.SetBalance(ctx, client.BalanceOrder{Window: &minute})
	if want.Modified = got.Modified; err != nil || got != want || got.Modified <= first || first == 0 {
		t.Errorf("the settings are %+v, %v", got, err)
	}
	b, err := c.Balance(ctx)
	if err != nil || b.Settings != want || len(b.Hosts) != 2 || len(b.Moves) != 0 || b.Goal != 1.1 {
		t.Errorf("%+v, %v", b, err)
	}
	for _, h := range b.Hosts {
		if h.Weight != 1 || !strings.Contains(h.Out, "no controller reaches its switch") {
			t.Errorf("%+v", h)
		}
	}
	if resp := c.send(t, `PUT /v1/balance {"auto":true,"window":60,"coolDown":3600,"perHour":10,"atOnce":4,"modified":1}`); resp.StatusCode != http.StatusOK {
		t.Errorf("what was shown is sent back: %s", resp.Status)
	}
	for _, wrong := range []string{`{"window":1}`, `{"perHour":0}`, `{"atOnce":101}`, `{"coolDown":-1}`, `{"automatic":true}`} {
		if resp := c.send(t, "PUT /v1/balance "+wrong); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
}
