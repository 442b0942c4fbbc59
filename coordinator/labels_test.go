package coordinator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"freshet/coordinator"
)

func TestLabelsFitATableAndAFilter(t *testing.T) {
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprint(i)] = ""
	}
	bubble(t, 1, func(c *cluster) {
		for _, good := range []map[string]string{
			nil, {"team": "retail"}, {"Kostenstelle": "4711 / Süd"}, {strings.Repeat("n", 64): strings.Repeat("v", 256)}, {"flag": ""},
		} {
			app := shop("plain")
			app.Labels = good
			c.apply(c.nodes[0], app)
		}
		for _, bad := range []map[string]string{
			{"": "x"},
			{"a=b": ""},
			{"a,b": ""},
			{"a\nb": ""},
			{"\x1b[1A": ""},
			{strings.Repeat("n", 65): ""},
			{"team": "a,b"},
			{"team": "a\tb"},
			{"team": "\xff"},
			{"team": strings.Repeat("v", 257)},
			many,
		} {
			app := shop("plain")
			app.Labels = bad
			if _, err := c.nodes[0].Apply(c.Context(), app, coordinator.Applying{}); !errors.Is(err, coordinator.ErrInvalid) {
				c.Errorf("labels %.100q: %v", fmt.Sprint(bad), err)
			}
		}
	})
}
