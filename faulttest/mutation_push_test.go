//go:build mutation

package faulttest

// mutationsOfPushes take out what keeps a pushed value from being lost, from
// coming twice, and from replacing one that was pushed after it.
func mutationsOfPushes() []mutation {
	return []mutation{{
		guard: "push stands on the state that it saw", pkg: "store",
		tests: []string{"TestContract/Input/RefusedWhenStateChanged", "TestContract/Input/RefusedWhenAppDeleted"},
		edits: []edit{{
			"store/input.go", "	t.mod(stateKey, seen.Revision) // no later push was published, and the app is the same\n",
			"	t.reads = append(t.reads, stateKey)\n",
		}},
	}, {
		guard: "push replaces only what it saw waiting", pkg: "store",
		tests: []string{"TestContract/Input/RefusedWhenAnotherCame"},
		edits: []edit{{
			"store/input.go", "	t.mod(key, i.Revision)         // nor does one wait that the caller has not seen\n",
			"	t.reads = append(t.reads, key)\n",
		}},
	}, {
		guard: "pushed value is published as it was read", first: true, pkg: "store",
		tests: []string{"TestContract/Input/TakingRefusedWhenAnotherCame", "TestContract/Input/TakingRefusedWhenTokenWasDropped"},
		edits: []edit{{
			"store/input.go", "	t.mod(s.keys.of(in.Input), in.Input.Revision) // it is published once, and only where no later one has come\n", "",
		}},
	}, {
		guard: "pushed value is published on the state that was read", pkg: "store",
		tests: []string{"TestContract/Input/TakingRefusedWhenStateChanged"},
		edits: []edit{{
			"store/input.go", "	s.compareStates(&t, []coordinator.State{in.State})\n",
			"	t.reads = append(t.reads, s.keys.of(in.State))\n",
		}},
	}, {
		guard: "pushed value is published by the refresher alone", pkg: "store",
		tests: []string{"TestContract/Fence/RefusesEveryWriteOfAnEndedLeadership"},
		edits: []edit{{"store/input.go", "	t, err := s.fenced(ctx, in.Epoch, doing)\n", "	t, err := txn{doing: doing}, error(nil)\n"}},
	}, {
		guard: "input goes with its publication", pkg: "store",
		tests: []string{"TestContract/Input/TakingIsOneBatch"},
		edits: []edit{{"store/input.go", "	t.delete(s.keys.of(in.Input))\n", ""}},
	}, {
		guard: "publication of a push is recognised", pkg: "store",
		tests: []string{"TestALostAnswerIsSettledWhetherOrNotItWasCommitted/TakeInput/Committed"},
		edits: []edit{{"store/input.go", "	case found && state.Ended(in.Input.ID):\n", "	case found && state.Ended(\"\"):\n"}},
	}, {
		guard: "push is recognised after its publication", pkg: "store",
		tests: []string{"TestAPushIsRecognisedAfterItWasPublished"},
		edits: []edit{{"store/input.go", "there.ID == i.ID || state.Ended(i.ID), err", "there.ID == i.ID || state.Ended(\"\"), err"}},
	}, {
		guard: "push that may have been replaced is not repeated", pkg: "store",
		tests: []string{"TestAPushInWhosePlaceAnotherCameIsNotRepeated"},
		edits: []edit{{"store/input.go", "	return t.gaveUp(true, errors.New(\"something else was written since\"))\n", "	_ = errors.New\n	return s.refused(t, a)\n"}},
	}, {
		guard: "push goes with its app", pkg: "store",
		tests: []string{"TestContract/DeleteApp/LeavesTombstonesAndOtherApps"},
		edits: []edit{{"store/registry.go", "	t.deleteAll(s.keys.inputsOf(app))\n", ""}},
	}, {
		guard: "push goes with its token", pkg: "store",
		tests: []string{"TestContract/Input/TakingRefusedWhenTokenWasDropped"},
		edits: []edit{{"store/registry.go", "		t.delete(s.keys.input(name))\n", ""}},
	}, {
		guard: "lease of an input", pkg: "store",
		tests: []string{"TestAnInputHasTheLeaseOfItsValue"},
		edits: []edit{{"store/input.go", "	t.writeLeased(s.codec, i, i.Expires)\n", "	t.write(s.codec, i)\n"}},
	}, {
		guard: "pushed value is sealed", pkg: "store",
		tests: []string{"TestNoSecretIsReadableInEtcdOrTheLog"},
		edits: []edit{{"store/sealing.go", "coordinator.Token, coordinator.Input, coordinator.Salvage,", "coordinator.Token, coordinator.Salvage,"}},
	}, {
		guard: "push of a former life", pkg: "coordinator",
		tests: []string{"TestInputOfAFormerLifeIsDropped"},
		edits: []edit{{"coordinator/pushed.go", "	case input.Incarnation != a.task.app.Incarnation:\n		return \"the app was changed since\"\n", ""}},
	}, {
		guard: "promised version comes", pkg: "coordinator",
		tests: []string{"TestPromisedVersionComes"},
		edits: []edit{{"coordinator/pushed.go", "	if same && input.Wanted <= state.Version {", "	if same {"}},
	}, {
		guard: "promise to one in whose place another came", pkg: "coordinator",
		tests: []string{"TestPromisedVersionComes"},
		edits: []edit{{"coordinator/push.go", "		i.Wanted = max(i.Wanted, waiting.Wanted)\n", ""}},
	}}
}

// mutationsOfRepeatedPushes take out what tells a push from itself, sent again, and
// from one that a backup or another node brings back.
func mutationsOfRepeatedPushes() []mutation {
	return []mutation{{
		guard: "push that is sent again is known", pkg: "coordinator",
		tests: []string{"TestAPushSentAgainReplacesNoLaterOne", "TestAPushSentAgainWhileItWaitsChangesNothing"},
		edits: []edit{{"coordinator/pushonce.go", "	if p.IdempotencyKey == \"\" {\n", "	if len(p.IdempotencyKey) >= 0 {\n"}},
	}, {
		guard: "value on its way is waited for", pkg: "coordinator",
		tests: []string{"TestTheSameValueKeepsItsVersionWhileItArrives"},
		edits: []edit{{"coordinator/push.go", "on.view == nil || on.view.State.Revision < on.seen.Revision {", "on.view == nil {"}},
	}, {
		guard: "push that waits in a backup is overtaken", pkg: "coordinator",
		tests: []string{"TestAPushThatWaitsInABackupReplacesNoLaterOne"},
		edits: []edit{{"coordinator/repush.go", "	if !waits || !known || v.Token == nil || !", "	if !waits || !known || v.Token == nil || shown >= 0 || !"}},
	}, {
		guard: "push that waits after a restore stays", pkg: "coordinator",
		tests: []string{"TestAPushThatWaitsAfterARestoreStays"},
		edits: []edit{{"coordinator/repush.go", "!waiting.Pushed.Before(v.Token.Issued) || ", ""}},
	}, {
		guard: "same value again", pkg: "coordinator",
		tests: []string{"TestSameValuePushedAgainKeepsItsVersion"},
		edits: []edit{{"coordinator/pushed.go", "	if same && input.Wanted <= state.Version {", "	if same && input.Wanted < 0 {"}},
	}, {
		guard: "pause holds what is pushed", pkg: "coordinator",
		tests: []string{"TestPushWaitsForThePauseToEnd", "TestPromisedVersionComes"},
		edits: []edit{{"coordinator/pushed.go", "ok && !paused {", "ok && (paused || !paused) {"}},
	}, {
		guard: "pause holds no answer", pkg: "coordinator",
		tests: []string{"TestReportDuringAPauseIsAnswered"},
		edits: []edit{{"coordinator/plan.go", "	case n.fetcher(t.app) == nil:\n", "	case n.fetcher(t.app) == nil && !paused:\n"}},
	}, {
		guard: "pushed value that has ended is not published", pkg: "coordinator",
		tests: []string{"TestPushThatEndedMeanwhileIsDropped"},
		edits: []edit{{"coordinator/pushed.go", "	case input.ends(now).Sub(now) <= leastMargin:\n", "	case input.ends(now).Sub(now) <= -1000*time.Hour:\n"}},
	}, {
		guard: "end of a pushed value by the refresher's clock", pkg: "coordinator",
		tests: []string{"TestPushThroughAClockThatIsAhead"},
		edits: []edit{{"coordinator/input.go", "	return earlier(i.Expires, now.Add(i.Expires.Sub(i.Pushed)))\n", "	return earlier(i.Expires, i.Expires)\n"}},
	}, {
		guard: "apps that are refreshed are not pushed to", pkg: "coordinator",
		tests: []string{"TestWhatCannotBePushedIsSaid"},
		edits: []edit{{"coordinator/push.go", "	if n.fetcher(app) != nil {\n", "	if n.fetcher(app) != nil && name.App == \"\" {\n"}},
	}, {
		guard: "refresh of a pushed value asks nobody", pkg: "coordinator",
		tests: []string{"TestRefreshOfAPushedValueIsAnsweredAtOnce"},
		edits: []edit{{"coordinator/request.go", "	if v.State.Version <= above && v.pushed {\n", "	if v.State.Version < 0 && v.pushed {\n"}},
	}, {
		guard: "report of a pushed value shows", pkg: "coordinator",
		tests: []string{"TestReportOfAPushedValueIsVisibleUntilTheNextPush"},
		edits: []edit{{"coordinator/pushed.go", "	if request.Reason == ReasonReport {\n", "	if request.Reason == \"\" {\n"}},
	}, {
		guard: "known death is not written again", pkg: "coordinator",
		tests: []string{"TestReportOfAPushedValueIsVisibleUntilTheNextPush"},
		edits: []edit{{"coordinator/request.go", "	if knownDead(v.State, version) {\n", "	if knownDead(v.State, -1) {\n"}},
	}}
}
