package model_test

import (
	"slices"
	"testing"

	"freshet/coordinator/model"
)

// tooth is a rule that is taken out, and the violation that must follow; with
// none the rule is known to be doubled by others.
type tooth struct {
	rule   model.Rule
	config model.Config
	follow model.Violation
}

// deposed is a run in which A has a result, and B has taken its intent over.
func deposed() []string {
	return []string{
		"A sends Open(a1)", "the store takes Open of a1: committed", "A learns what became of Open of a1",
		"A has read: a1 may call", "A writes the request of a1", "the platform acts on a1", "A receives the answer of a1",
		"the election key of A is deleted by hand", "B leads", "B sees the foreign intent a1", "the deadline of a1 passes",
		"B has waited for a1 to end", "B sends TakeOver(a2 in place of a1)", "the store takes Open of a2: committed",
		"B learns what became of Open of a2",
	}
}

// lastChance is a run in which A takes the last chance after a lost request.
func lastChance() []string {
	return []string{
		"A sends Open(a1)", "the store takes Open of a1: committed", "A learns what became of Open of a1",
		"A has read: a1 may call", "A writes the request of a1", "the request of a1 is lost",
		"A has no answer to the call of a1", "A sends Publish(a1): no answer came",
		"the store takes Publish(failure) of a1: committed", "A learns what became of Publish(failure) of a1",
		"the published value expires", "A sends Open(a2), reason last_chance", "the store takes Open of a2: committed",
		"A learns what became of Open of a2", "A has read: a2 may call", "A writes the request of a2",
	}
}

// plain and strict are runs with one fault.
func plain() model.Config  { return model.Config{Kind: model.Plain, Faults: 1} }
func strict() model.Config { return model.Config{Kind: model.Strict, Faults: 1} }

// after is a run with two faults that goes on after some steps.
func after(kind model.Kind, steps []string) model.Config {
	return model.Config{Kind: kind, Faults: 2, After: steps}
}

// changed is a run in which somebody changes the app, with so many faults.
func changed(kind model.Kind, faults uint8, change model.Change) model.Config {
	return model.Config{Kind: kind, Faults: faults, ChangeLimit: 1, Changes: []model.Change{change}}
}

func chancy(faults uint8, steps []string) model.Config {
	return model.Config{Kind: model.Strict, Faults: faults, LastChance: true, After: steps}
}

func teeth() []tooth {
	touched := after(model.Grace, deposed())
	touched.ChangeLimit, touched.Changes = 1, []model.Change{model.Touch}
	return []tooth{
		{model.DeadlineFromOpening, plain(), model.TwoCalls},
		{model.TakeoverWaits, plain(), model.TwoCalls},
		{model.ResendOnly, after(model.Plain, deposed()), model.CalledForReplaced},
		{model.ReadAgain, strict(), model.Stuck},
		{model.SalvageStored, strict(), model.ResultLost},
		{model.SpoolFirst, strict(), model.ResultLost},
		{model.ReadOn, strict(), model.ReadCancelled},
		{model.SalvageByLife, plain(), model.OlderOverNewer},
		{model.SalvageByLife, changed(model.Strict, 1, model.Recreate), model.FormerLifePublished},
		{model.Sweep, strict(), model.Stuck},
		{model.LookAtAll, chancy(1, nil), model.SpentPresented},
		{model.NeverTwice, strict(), model.SpentPresented},
		{model.VoidFirstOnly, after(model.Grace, deposed()), model.OutcomeForgotten},
		{model.LivesCompared, changed(model.Plain, 0, model.NewParent), model.FormerLifePublished},
		{model.LifeLookedAt, changed(model.Plain, 0, model.NewParent), model.FormerLifePublished},
		{model.IntentWithoutLease, plain(), model.TwoCalls},
		{model.StateCompared, changed(model.Plain, 0, model.Push), model.VersionWentBack},
		{model.EpochCompared, plain(), model.DeposedCommitted},
		{model.SavingComparesIntent, plain(), model.OlderOverNewer},
		{model.SavingComparesState, changed(model.Plain, 1, model.Push), model.VersionWentBack},
		{model.UnknownNoted, strict(), model.OutcomeForgotten},
		{model.TakeoverNoted, strict(), model.OutcomeForgotten},
		{model.UnresolvedKept, changed(model.Strict, 1, model.Touch), model.OutcomeForgotten},
		{model.ReconnectClears, changed(model.Strict, 1, model.Reconnect), model.Stuck},
		{model.GraceWhole, model.Config{Kind: model.Grace, Faults: 1}, model.SpentPresented},
		{model.GraceFromFirst, after(model.Grace, deposed()), model.SpentPresented},
		{model.ChanceOnce, chancy(2, lastChance()), model.SpentPresented},
		{model.ChanceInherited, chancy(3, lastChance()), model.SpentPresented},
		{model.RefusalKept, changed(model.Grace, 1, model.Revoke), model.RefusedPresented},
		{model.FittingKept, chancy(1, nil), model.ResultLost},
		{model.FittingKept, touched, model.ResultLost},
		{model.UnknownWaits, plain(), model.TwoCalls},
		{model.CalmChange, changed(model.Strict, 1, model.NewSecret), model.OutcomeForgotten},
		{model.LifeOfGrant, changed(model.Strict, 1, model.NewSecret), model.ResultLost},
	}
}

func TestEachRuleIsNeeded(t *testing.T) {
	unraced(t)
	for _, tooth := range teeth() {
		t.Run(tooth.rule.String(), func(t *testing.T) {
			c := tooth.config
			c.Nodes, c.Without, c.Stop = 2, model.RulesOf(tooth.rule), true
			result := model.Walk(c)
			if result.Found.Has(tooth.follow) {
				t.Logf("%s after %d situations, by %d steps", tooth.follow, result.States, len(result.Traces[tooth.follow]))
				return
			}
			t.Errorf("without it %v was found in %d situations, want %s", result.Broken(), result.States, tooth.follow)
		})
	}
}

// doubled are the rules that the others cover as far as the model sees: what
// tests of the code must assert instead stands beside each.
func doubled() map[model.Rule]string {
	return map[model.Rule]string{
		model.LocalLease:     "the deadline is enough; assert that a node that may have lost leadership begins nothing",
		model.OneIntent:      "epoch and state tell; assert that a second Open of a group is refused",
		model.GrantCompared:  "whoever changes a grant changes the state or the incarnation; assert the refusal itself",
		model.IntentCompared: "epoch and state tell; assert that a publication under a foreign intent is refused",
		model.NewestFirst:    "what is newer than the result that was published stays; assert the order",
		model.Verified:       "each of its writes is refused; assert how soon a phantom gives up",
		model.Joined:         "late results are salvaged; assert that the workers have ended",
	}
}

func TestDoubledRulesBreakNothingAlone(t *testing.T) {
	unraced(t)
	for rule := range doubled() {
		t.Run(rule.String(), func(t *testing.T) {
			for _, kind := range []model.Kind{model.Plain, model.Strict} {
				holds(t, model.Config{Kind: kind, Nodes: 2, Faults: 1, Without: model.RulesOf(rule), States: 60_000})
			}
		})
	}
}

func TestEveryRuleIsTried(t *testing.T) {
	for _, rule := range model.AllRules() {
		_, spare := doubled()[rule]
		if !spare && !slices.ContainsFunc(teeth(), func(t tooth) bool { return t.rule == rule }) {
			t.Errorf("nothing shows what %s is good for", rule)
		}
	}
}
