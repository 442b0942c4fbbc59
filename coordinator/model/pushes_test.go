package model_test

import (
	"testing"

	"freshet/coordinator/model"
)

func TestPushesKeepWhatIsPromised(t *testing.T) {
	p := model.Pushes{Faults: 1}
	found, states := p.Walk()
	if found != 0 {
		t.Errorf("violations %b in %d states", found, states)
	}
	if states < 10000 {
		t.Errorf("only %d states were reached", states)
	}
	t.Logf("%d states", states)
}

// Each rule is needed: without it something breaks.
func TestEveryRuleOfPushesIsNeeded(t *testing.T) {
	for rule, broken := range map[model.PushRule]model.PushViolation{
		model.PushComparesState: model.PushedOverNewer,
		model.PushComparesInput: model.PushLost,
		model.TakeFenced:        model.PushByDeposed,
		model.TakeComparesInput: model.PushLost,
		model.InputGoes:         model.PushedTwice,
		model.InputOfOneLife:    model.PushOfFormerLife,
		model.PromiseKept:       model.PromiseBroken,
	} {
		p := model.Pushes{Faults: 2, Without: 1 << rule, Stop: 1 << broken}
		if found, states := p.Walk(); !found.Has(broken) {
			t.Errorf("without rule %d: violations %b in %d states, want %d among them", rule, found, states, broken)
		}
	}
}
