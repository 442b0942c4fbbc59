package model

import (
	"testing"
)

func TestScratchTeeth(t *testing.T) {
	for _, r := range AllRules() {
		for _, k := range []Kind{Plain, Strict, Sibling} {
			for v := 0; v < 4; v++ {
				c := Config{Kind: k, Nodes: 2, Faults: 1, Without: RulesOf(r), States: 400000, Note: false}
				name := "f1"
				switch v {
				case 1:
					c.LastChance, name = true, "chance"
					if k != Strict {
						continue
					}
				case 2:
					c.ChangeLimit, name = 1, "changes"
					c.Changes = []Change{Push, Touch, Reseal, Reconnect, Recreate, NewSecret}
					if k == Plain {
						c.Changes = []Change{Push, Touch, NewSecret, NewParent}
					}
				case 3:
					c.Faults, name, c.Stop = 2, "f2", true
				}
				res := Walk(c)
				if b := res.Broken(); len(b) > 0 {
					t.Logf("%s\t%s\t%s\t%v\t%d states capped=%v", r, k, name, b, res.States, res.Capped)
				}
			}
		}
	}
	for _, k := range Kinds() {
		for _, note := range []bool{false, true} {
			c := Config{Kind: k, Nodes: 2, Faults: 1, States: 3000000, Note: note, ChangeLimit: 1}
			c.Changes = []Change{Push, Touch, Reseal, Reconnect, Recreate, NewSecret}
			if !k.rotates() {
				c.Changes = []Change{Push, Touch, NewSecret, NewParent}
			}
			res := Walk(c)
			t.Logf("ALL\t%s\t%v\t%d states capped=%v", k, res.Broken(), res.States, res.Capped)
			for _, v := range res.Broken() {
				for i, l := range res.Traces[v] {
					t.Logf("     %s %d %s", v, i+1, l)
				}
			}
		}
	}
}
