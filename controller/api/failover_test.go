package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/client"
)

// What is set is shown at once; how often is probed stays where it is not named.
func TestFailOver(t *testing.T) {
	c, ctx := start(t), t.Context()
	for _, tt := range []struct{ set, want client.FailOver }{
		{client.FailOver{On: true}, client.FailOver{On: true, Interval: 100}},
		{client.FailOver{On: true, Interval: 300}, client.FailOver{On: true, Interval: 300}},
		{client.FailOver{}, client.FailOver{Interval: 300}},
	} {
		if tt.want.On { // there is no host at all
			tt.want.Note = "fail-over is on, and there are not two gateway hosts: no gateway has a backup until an agent runs with --gateway on another host"
		}
		got, err := c.SetFailOver(ctx, tt.set)
		if tt.want.Modified = got.Modified; err != nil || !cmp.Equal(got, tt.want) || got.Modified == 0 {
			t.Errorf("after %+v: %+v, %v", tt.set, got, err)
		}
		if got, err := c.FailOver(ctx); err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("then %+v, %v", got, err)
		}
	}
	for _, wrong := range []string{`{"on":true,"interval":20}`, `{"on":true,"interval":5000}`, `{"interval":100}`} {
		if resp := c.send(t, "PUT /v1/fail-over "+wrong); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
}
