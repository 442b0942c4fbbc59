//go:build mutation

package faulttest

import "slices"

// mutations returns one for each guard that the model of the protocol needs,
// and for those that keep more than its data.
func mutations() []mutation {
	return slices.Concat(mutationsOfTransactions(), mutationsOfLeadership(), mutationsOfAttempts(), mutationsOfResults(),
		mutationsOfTraces(), mutationsOfPushes(), mutationsOfRepeatedPushes())
}

// mutationsOfTransactions take out what a transaction compares.
func mutationsOfTransactions() []mutation {
	return []mutation{{
		guard: "epoch compare", first: true, pkg: "store",
		tests: []string{"TestContract/Fence/RefusesEveryWriteOfAnEndedLeadership", "TestZombieIsFenced"},
		edits: []edit{{"store/txn.go", `	t.cmps = append(t.cmps, clientv3.Compare(clientv3.CreateRevision(f.key), "=", int64(f.epoch)))` + "\n", ""}},
	}, {
		guard: "intent without lease", first: true, pkg: "store",
		tests: []string{"TestAnIntentHasNoLease"},
		edits: []edit{{
			"store/open.go", "	t.put(key, s.codec.plain(o.Intent))\n",
			"	t.leased = append(t.leased, leased{key: key, value: s.codec.plain(o.Intent), expires: o.Intent.Began.Add(o.Intent.Timeout)})\n",
		}},
	}, {
		guard: "budget compare", first: true, pkg: "store",
		tests: []string{"TestContract/Open/RefusedWhenBudgetChanged"},
		edits: []edit{{"store/open.go", "		t.mod(s.keys.of(b), b.Revision) // no call is counted twice or not at all\n", "		_ = b\n"}},
	}, {
		guard: "no intent open", pkg: "store",
		tests: []string{"TestContract/Open/RefusedWhenIntentExists", "TestContract/Open/OneOfManyWins"},
		edits: []edit{{"store/open.go", "		t.mod(key, 0) // T1: at most one intent is open for a group\n", "		t.reads = append(t.reads, key)\n"}},
	}, {
		guard: "takeover of exactly the intent that was waited for", pkg: "store",
		tests: []string{"TestContract/Open/TakeoverRefusedWhenForeignIntentTakenOver", "TestContract/Open/TakeoverRefusedWhenForeignIntentEnded"},
		edits: []edit{{"store/open.go", "		t.mod(key, o.Foreign.Revision) // T6: exactly the intent that was waited for\n", "		t.reads = append(t.reads, key)\n"}},
	}, {
		guard: "state compare", pkg: "store",
		tests: []string{"TestContract/Open/RefusedWhenStateChanged", "TestContract/Publish/RefusedWhenStateChanged"},
		edits: []edit{{"store/open.go", "		t.mod(s.keys.of(state), state.Revision)\n", "		t.reads = append(t.reads, s.keys.of(state))\n"}},
	}, {
		guard: "intent compare without leadership", pkg: "store",
		tests: []string{"TestContract/Publish/RefusedWhenIntentTakenOverAndNotFenced", "TestContract/Publish/RefusedWhenIntentEndedAndNotFenced"},
		edits: []edit{{
			"store/publish.go", "	t.mod(s.keys.of(p.Intent), p.Intent.Revision)\n",
			"	if p.Epoch != 0 {\n		t.mod(s.keys.of(p.Intent), p.Intent.Revision)\n	}\n",
		}},
	}, {
		guard: "state compare without leadership", pkg: "store",
		tests: []string{"TestContract/Publish/RefusedWhenStateChangedAndNotFenced"},
		edits: []edit{{"store/publish.go", "	s.compareStates(&t, p.States)\n", "	if p.Epoch != 0 {\n		s.compareStates(&t, p.States)\n	}\n"}},
	}, {
		guard: "grant compare", pkg: "store",
		tests: []string{"TestContract/Grant/OpenRefusedWhenItChanged", "TestContract/Grant/PublishRefusedWhenItChangedAndNotFenced"},
		edits: []edit{{"store/open.go", "	if asRead != nil {\n		t.mod(s.keys.grant(app), asRead.Revision)\n", "	if asRead != nil {\n		t.reads = append(t.reads, s.keys.grant(app))\n"}},
	}, {
		guard: "credentials compare", pkg: "store",
		tests: []string{"TestContract/Open/RefusedWhenParentCredentialsChanged", "TestContract/Publish/RefusedWhenCredentialsChanged"},
		edits: []edit{{"store/open.go", "		t.mod(s.keys.credentials(a.App), a.Revision)\n", "		t.reads = append(t.reads, s.keys.credentials(a.App))\n"}},
	}, {
		guard: "sending again until the answer is definite", pkg: "store",
		tests: []string{"TestALostAnswerIsSettledWhetherOrNotItWasCommitted"},
		edits: []edit{{"store/txn.go", "			unsure = true\n		}\n", "			return answer{}, t.gaveUp(true, err)\n		}\n"}},
	}}
}

// mutationsOfLeadership take out what tells a leader that it is none.
func mutationsOfLeadership() []mutation {
	return []mutation{{
		guard: "verification after Campaign", first: true, pkg: "store",
		tests: []string{"TestPhantomGivesUpBeforeItTouchesAnything"},
		edits: []edit{{
			"store/lead.go", "	case len(resp.Kvs) == 0, resp.Kvs[0].CreateRevision != int64(f.epoch), !held.alive():\n",
			"	case resp == nil, !held.alive():\n",
		}},
	}, {
		guard: "the session's own deadline", pkg: "store",
		tests: []string{"TestTwoClocksAreAsked"},
		edits: []edit{{"store/session.go", "	return h.ttl - min(marginMax, h.ttl/4) - passed\n", "	return time.Hour - passed\n"}},
	}, {
		guard: "watch of the own election key", pkg: "store",
		tests: []string{"TestLeaderFallsAtOnceWithItsKey"},
		edits: []edit{{"store/reign.go", "	guards.Go(func() { s.guardKey(guarding, r, revision) })\n", ""}},
	}, {
		guard: "a fenced write ends the leadership", pkg: "store",
		tests: []string{"TestAFencedWriteEndsTheLeadership"},
		edits: []edit{{"store/txn.go", "	s.stepDown(a.fence.epoch)\n", ""}},
	}, {
		guard: "joining the former workers", pkg: "coordinator",
		tests: []string{"TestLeadershipIsNotLeftBeforeItsWorkersEnd"},
		edits: []edit{{"coordinator/lead.go", "	defer r.workers.Wait()\n", ""}},
	}, {
		guard: "leadership is looked at last before the call", pkg: "coordinator",
		tests: []string{"TestCallIsNotBegun/WithoutTheLease", "TestCallIsNotBegun/AfterTheEnd"},
		edits: []edit{{
			"coordinator/refresh.go", "	if ctx.Err() != nil || !a.held.Held() || a.late() ||",
			"	if a.late() ||",
		}},
	}}
}

// mutationsOfAttempts take out what keeps two calls apart.
func mutationsOfAttempts() []mutation {
	return []mutation{{
		guard: "wait before a takeover", first: true, pkg: "coordinator",
		tests: []string{"TestTakeoverWaitsForTheDeadline", "TestNoSecondCallBeforeTheFirstIsOver"},
		edits: []edit{{"coordinator/plan.go", "		t.at = intent.seen.Add(intent.Timeout + n.margin)\n", "		t.at = now\n"}},
	}, {
		guard: "deadline counted from before the intent", pkg: "coordinator",
		tests: []string{"TestDeadlineCountsFromTheIntent"},
		edits: []edit{{"coordinator/refresh.go", "	a.opened = a.elapsed()\n", "	a.opened = a.elapsed()\n	a.began = a.node.now()\n"}},
	}, {
		guard: "deadline is looked at last before the call", pkg: "coordinator",
		tests: []string{"TestCallIsNotBegun/AfterItsTime"},
		edits: []edit{{
			"coordinator/refresh.go", "	if ctx.Err() != nil || !a.held.Held() || a.late() ||",
			"	if ctx.Err() != nil || !a.held.Held() ||",
		}},
	}, {
		guard: "the strict never present a refresh token twice", pkg: "coordinator",
		tests: []string{"TestCrashedRefreshersResultIsReplayed"},
		edits: []edit{{"coordinator/rotation.go", "	case first.IsZero():\n		return nil\n", "	case first.IsZero(), true:\n		return nil\n"}},
	}, {
		guard: "who took over voids nothing", pkg: "coordinator",
		tests: []string{"TestTakeoverThatMakesNoCallIsNotVoided"},
		edits: []edit{{"coordinator/refresh.go", "	if a.intent.Previous != \"\" {\n		a.unspool(ctx)\n		return nil\n	}\n", ""}},
	}, {
		guard: "continuous sweep", pkg: "coordinator",
		tests: []string{"TestPausedRefreshersRefreshTokenIsSalvaged"},
		edits: []edit{{
			"coordinator/follow.go", "		set(r.salvage, id, kept, len(kept) == 0)\n		t.apps[record.App] = struct{}{}\n",
			"		set(r.salvage, id, kept, len(kept) == 0)\n",
		}},
	}, {
		guard: "sweep of intents of the own epoch", pkg: "coordinator",
		tests: []string{"TestOwnIntentWithoutAWorkerIsTakenOver"},
		edits: []edit{{"coordinator/plan.go", "	case open:\n", "	case open && intent.Node == n.name:\n		return t, false\n	case open:\n"}},
	}}
}

// mutationsOfResults take out what keeps a result, or keeps it from replacing a newer one.
func mutationsOfResults() []mutation {
	return []mutation{{
		guard: "salvage", first: true, pkg: "coordinator",
		tests: []string{"TestSalvagedResultIsPublished", "TestPausedRefreshersRefreshTokenIsSalvaged"},
		edits: []edit{{"coordinator/salvage.go", "	if err := a.node.store.Salvage(ctx, a.result(yield)); err != nil {\n", "	if err := ctx.Err(); err != nil {\n"}},
	}, {
		guard: "version order in the cache", first: true, pkg: "coordinator",
		tests: []string{"TestVersionNeverGoesBackOnANode"},
		edits: []edit{{"coordinator/follow.go", "	case token != nil && token.Version < cell.highest:\n", "	case token != nil && token.Version < 0:\n"}},
	}, {
		guard: "spool before publishing", pkg: "coordinator",
		tests: []string{"TestCrashedRefreshersResultIsReplayed", "TestResultIsReplayedUnderItsOwnIntent"},
		edits: []edit{{"coordinator/refresh.go", "	a.keep(saving, yield)\n", "	defer a.keep(saving, yield)\n"}},
	}, {
		guard: "reservation before the call", pkg: "coordinator",
		tests: []string{"TestFullDiskSpendsNoRefreshToken"},
		edits: []edit{{"coordinator/spool.go", "	if err := a.node.spool.Reserve(attempt); err != nil {\n", "	if err := error(nil); err != nil {\n"}},
	}, {
		guard: "note of the call", pkg: "coordinator",
		tests: []string{"TestProcessThatComesBackVoidsNoCall"},
		edits: []edit{{"coordinator/refresh.go", "		if err := a.calling(); err != nil {\n", "		if err := ctx.Err(); err != nil {\n"}},
	}, {
		guard: "voiding what a former process never called", pkg: "coordinator",
		tests: []string{"TestProcessThatComesBackVoidsWhatItNeverCalled"},
		edits: []edit{{"coordinator/spool.go", "			if intent.Attempt == attempt && intent.Previous == \"\" {\n", "			if intent.Attempt == \"\" {\n"}},
	}, {
		guard: "reading on after losing leadership", pkg: "coordinator",
		tests: []string{"TestDeposedRefresherSavesItsResult"},
		edits: []edit{{
			"coordinator/refresh.go", "	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.left())\n",
			"	reading, cancel := context.WithTimeout(ctx, a.left())\n",
		}},
	}, {
		guard: "reading again after a refused transaction", pkg: "coordinator",
		tests: []string{"TestDeposedRefresherSavesItsResult", "TestSalvagedResultIsPublished"},
		edits: []edit{{"coordinator/settle.go", "		ended, err := a.settleRefused(ctx, yield, failure)\n", "		ended, err := true, err\n"}},
	}, {
		guard: "reading again after the platform refused a refresh token", pkg: "coordinator",
		tests: []string{"TestRefusalOfAReplacedRefreshTokenIsNoEnd"},
		edits: []edit{{"coordinator/settle.go", "		failure = a.refused(ctx, upstream)\n", "		_ = upstream\n"}},
	}, {
		guard: "looking at all salvage", pkg: "coordinator",
		tests: []string{"TestNewestSalvageWins"},
		edits: []edit{{"coordinator/salvage.go", "		if !a.fits(s) {\n			continue\n", "		if !a.fits(s) || s.Attempt != a.intent.Previous {\n			continue\n"}},
	}, {
		guard: "order of salvage", pkg: "coordinator",
		tests: []string{"TestNewestSalvageWins"},
		edits: []edit{{"coordinator/grant.go", "	return o.intent > g.IntentRevision\n", "	return o.intent != g.IntentRevision\n"}},
	}, {
		guard: "salvage that replaces nothing newer", pkg: "coordinator",
		tests: []string{"TestDeposedRefresherReplacesNothing"},
		edits: []edit{{"coordinator/salvage.go", "		if s.Bases[state.Name.Token] != state.Version {\n", "		if s.Bases[state.Name.Token] < 0 {\n"}},
	}, {
		guard: "incarnation", pkg: "coordinator",
		tests: []string{"TestResultOfAFormerLifeIsDropped", "TestResultUnderFormerCredentialsOfAParentIsDropped"},
		edits: []edit{
			{"coordinator/settle.go", "	case a.now.incarnation(a.task.lineage) != nil:\n		return true\n", ""},
			{"coordinator/salvage.go", "	case s.Incarnation != a.task.app.Incarnation:\n		return false\n", ""},
		},
	}}
}
