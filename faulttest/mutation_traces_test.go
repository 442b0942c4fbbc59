//go:build mutation

package faulttest

// mutationsOfTraces take out the rule behind each counterexample of the protocol:
// its replay against etcd must notice, whatever else does.
func mutationsOfTraces() []mutation {
	traced := func(counterexample, guard string, edits ...edit) mutation {
		return mutation{guard: counterexample + ", " + guard, pkg: "store", tests: []string{"TestCounterexamples/" + counterexample}, edits: edits}
	}
	return []mutation{
		traced("C1/1", "deadline counted from before the intent",
			edit{"coordinator/refresh.go", "	a.opened = a.elapsed()\n", "	a.opened = a.elapsed()\n	a.began = a.node.now()\n"}),
		traced("C2/1", "sending again until the answer is definite",
			edit{"store/txn.go", "			unsure = true\n		}\n", "			return answer{}, t.gaveUp(true, err)\n		}\n"}),
		traced("C2/2", "sending again until the answer is definite",
			edit{"store/txn.go", "			unsure = true\n		}\n", "			return answer{}, t.gaveUp(true, err)\n		}\n"}),
		traced("C3/1", "state compare without leadership",
			edit{"store/publish.go", "	s.compareStates(&t, p.States)\n", "	if p.Epoch != 0 {\n		s.compareStates(&t, p.States)\n	}\n"}),
		traced("C4/1", "reading again after a refused transaction",
			edit{"coordinator/settle.go", "		ended, err := a.settleRefused(ctx, yield, failure)\n", "		ended, err := true, err\n"}),
		traced("C5/1", "spool before publishing",
			edit{"coordinator/refresh.go", "	a.keep(saving, yield)\n", "	defer a.keep(saving, yield)\n"}),
		traced("C6/1", "reading on after losing leadership",
			edit{
				"coordinator/refresh.go", "	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.left())\n",
				"	reading, cancel := context.WithTimeout(ctx, a.left())\n",
			}),
		traced("C7/1", "looking at all salvage",
			edit{"coordinator/salvage.go", "		if !a.fits(s) {\n			continue\n", "		if !a.fits(s) || s.Attempt != a.intent.Previous {\n			continue\n"}),
		traced("C7/1", "continuous sweep",
			edit{
				"coordinator/follow.go", "		set(r.salvage, id, kept, len(kept) == 0)\n		t.apps[record.App] = struct{}{}\n",
				"		set(r.salvage, id, kept, len(kept) == 0)\n",
			}),
		traced("C8/1", "sweep of intents of the own node",
			edit{
				"coordinator/plan.go", "	case open && n.neverCalled(intent.Intent):\n",
				"	case open && intent.Node == n.name:\n		return t, false\n	case open && n.neverCalled(intent.Intent):\n",
			}),
		traced("C9/1", "who took over voids nothing",
			edit{"coordinator/refresh.go", "	if a.intent.Previous != \"\" {\n		a.unspool(ctx)\n		return nil\n	}\n", ""}),
		traced("C10/1", "incarnation before generation",
			edit{"coordinator/grant.go", "	return incarnation >= g.Incarnation && by.produces(g)\n", "	return by.produces(g)\n"}),
		traced("C11/1", "incarnation",
			edit{"coordinator/settle.go", "	case a.now.incarnation(a.task.lineage) != nil:\n		return true\n", ""},
			edit{"coordinator/salvage.go", "	case s.Incarnation != a.task.app.Incarnation:\n		return false\n", ""}),
		traced("C11/2", "what a publication compares",
			edit{
				"store/publish.go",
				"	t.mod(s.keys.of(p.Intent), p.Intent.Revision)\n	s.compareStates(&t, p.States)\n	s.compareGrant(&t, p.Intent.App, p.Spent)\n	s.compareLineage(&t, p.Lineage)\n",
				"",
			}),
		traced("C12/1", "order of salvage",
			edit{"coordinator/grant.go", "	return o.intent > g.IntentRevision\n", "	return o.intent != g.IntentRevision\n"}),
		traced("C13/1", "a new grant makes the uncertain sure",
			edit{"coordinator/apply.go", "	if !granted && !state.Unresolved.IsZero() {\n", "	if !state.Unresolved.IsZero() {\n"}),
		traced("C14/1", "joining the former workers",
			edit{"coordinator/lead.go", "	defer r.workers.Wait()\n", ""}),
	}
}
