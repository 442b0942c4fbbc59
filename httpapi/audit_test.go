package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/tracing"
)

// newest returns the records made since there were so many, oldest first.
func newest(t *testing.T, admin *client.Client, since int) []client.AuditRecord {
	t.Helper()
	list, err := admin.Audit(t.Context(), client.AuditOptions{Limit: 1000})
	if err != nil || list.NextCursor != "" || len(list.Records) < since {
		t.Fatalf("%d records, next %q, error %v", len(list.Records), list.NextCursor, err)
	}
	made := []client.AuditRecord{}
	for _, r := range list.Records[:len(list.Records)-since] {
		made = append([]client.AuditRecord{r}, made...)
	}
	return made
}

// step is an action, and the record it leaves: action, objects and what changed;
// empty: none.
type step struct {
	name string
	do   func() error
	want string
}

// administering is what ann does, and what others do beside it.
func (s *served) administering(t *testing.T, root, ann *client.Client) []step {
	t.Helper()
	ctx := t.Context()
	pushed := client.App{Provider: "static", Tokens: map[string]client.TokenSettings{"access_token": {}}}
	labelled := shopApp()
	labelled.Labels = map[string]string{"team": "canary-label"}
	secretive := shopApp()
	secretive.Labels, secretive.Credentials = labelled.Labels, client.Credentials{"secret": "canary-second-secret"}
	put := func(name string, app client.App, opts client.ApplyOptions) error {
		return third(ann.PutApp(ctx, name, app, opts))
	}
	return []step{
		{"label", func() error { return put("shop", labelled, client.ApplyOptions{}) }, "app_updated [shop] [labels.team owner]"},
		{"the same again", func() error { return put("shop", labelled, client.ApplyOptions{}) }, ""},
		{"dry run", func() error { return put("shop", secretive, client.ApplyOptions{DryRun: true}) }, ""},
		{"credential", func() error { return put("shop", secretive, client.ApplyOptions{}) }, "app_updated [shop] [credentials.secret]"},
		{"new app", func() error { return put("paid", pushed, client.ApplyOptions{}) }, "app_created [paid] [owner provider tokens.access_token]"},
		{"pause", func() error { return ann.PauseApp(ctx, "shop", true) }, "app_paused [shop] []"},
		{"pause again", func() error { return ann.PauseApp(ctx, "shop", true) }, ""},
		{"resume", func() error { return ann.PauseApp(ctx, "shop", false) }, "app_resumed [shop] []"},
		{"pause all", func() error { return ann.Pause(ctx, true) }, "cluster_paused [] []"},
		{"resume all", func() error { return ann.Pause(ctx, false) }, "cluster_resumed [] []"},
		{"lift a bar", func() error { return s.liftBar(t, ann) }, "bars_lifted [shop] [egress.n9]"},
		{"lift no bar", func() error { return third(ann.LiftBars(ctx, "shop", "")) }, ""},
		{"client", func() error {
			return third(ann.AddClient(ctx, client.ClientBody{Name: "orders", Can: client.Permissions{"read": {"shop/*"}}}))
		}, "client_added [orders] []"},
		{"client that goes", func() error { return ann.DeleteClient(ctx, "orders") }, "client_deleted [orders] []"},
		{"finalize", func() error { return third(ann.Finalize(ctx)) }, "format_raised [] [format.1]"},
		{"finalize again", func() error { return third(ann.Finalize(ctx)) }, ""},
		{"refresh", func() error { return third(ann.Refresh(ctx, "shop", client.RefreshBody{})) }, ""},
		{"report", func() error { return third(root.Report(ctx, "shop", client.ReportBody{Version: 1})) }, ""},
		{"push", func() error {
			return third(root.Push(ctx, "paid/access_token", client.PushBody{Value: "canary-pushed", ExpiresIn: 3600}))
		}, ""},
		{"read", func() error { return third(root.Token(ctx, "shop", client.TokenOptions{})) }, ""},
		{"app that goes", func() error { return ann.DeleteApp(ctx, "paid") }, "app_deleted [paid] []"},
	}
}

// Each action of an administrator is one record of who did it, and none of what
// was refused, changed nothing, or only read.
func TestEachActionOfAnAdministratorIsRecordedOnce(t *testing.T) {
	s := serve(t)
	root := s.client(t, bootstrapKey)
	s.ready(t, root)
	ctx := t.Context()
	made, err := root.AddClient(ctx, client.ClientBody{Name: "ann", Note: "canary-note", Can: client.Permissions{"admin": {"**"}, "view": {"**"}, "refresh": {"**"}}})
	if err != nil {
		t.Fatal(err)
	}
	ann := s.client(t, made.Key)
	known := len(newest(t, root, 0))
	for _, step := range s.administering(t, root, ann) {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		var want, got []string
		if step.want != "" {
			want = []string{"api:ann " + step.want}
		}
		records := newest(t, root, known)
		for _, r := range records {
			got = append(got, fmt.Sprintf("%s %s %v %v", r.By, r.Action, r.Objects, r.Changed))
			if r.Node != "n1" || time.Since(r.At) > time.Minute || len(r.ID) != 26 {
				t.Errorf("%s: record %+v", step.name, r)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		known += len(records)
	}
	for _, refused := range []error{
		ann.DeleteApp(ctx, "nothere"), ann.DeleteClient(ctx, "nothere"), third(ann.PutApp(ctx, "crm", client.App{Provider: "nobody"}, client.ApplyOptions{})),
		third(ann.AddClient(ctx, client.ClientBody{Name: "ann", Can: client.Permissions{"read": {"**"}}})),
	} {
		if refused == nil {
			t.Error("something is not refused: this test shows nothing")
		}
	}
	if records := newest(t, root, known); len(records) != 0 {
		t.Errorf("records of what was refused: %+v", records)
	}
	all, err := json.Marshal(newest(t, root, 0))
	if err != nil || !strings.Contains(string(all), "api:bootstrap") {
		t.Errorf("records %s, error %v; want some of the bootstrap key", all, err)
	}
	for _, secret := range []string{"canary", appSecret, bootstrapKey, made.Key, "value-"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("a record holds %q: %s", secret, all)
		}
	}
}

// liftBar lifts a bar of the shop app that a node has met.
func (s *served) liftBar(t *testing.T, admin *client.Client) error {
	t.Helper()
	bar := coordinator.Bar{App: "shop", Egress: "n9", Until: time.Now().Add(time.Hour)}
	if err := s.store.PutBar(t.Context(), bar); err != nil {
		return err
	}
	for bars := []client.Bar(nil); len(bars) == 0; {
		var err error
		if bars, err = admin.Bars(t.Context()); err != nil {
			return err
		}
	}
	return third(admin.LiftBars(t.Context(), "shop", ""))
}

func TestWhoChangedWhatIsForThoseWhoAdministerAll(t *testing.T) {
	s := serve(t)
	root := s.client(t, bootstrapKey)
	s.ready(t, root)
	for name, can := range map[string]client.Permissions{
		"views-all":     {"view": {"**"}, "read": {"**"}, "refresh": {"**"}},
		"administers-1": {"admin": {"shop/*"}},
	} {
		made, err := root.AddClient(t.Context(), client.ClientBody{Name: name, Can: can})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.client(t, made.Key).Audit(t.Context(), client.AuditOptions{}); !isProblem(err, client.CodeForbidden) {
			t.Errorf("a client that may %v: %v", can, err)
		}
	}
	if _, err := s.client(t, "nobodys-key").Audit(t.Context(), client.AuditOptions{}); !isProblem(err, client.CodeUnauthenticated) {
		t.Errorf("without a key that is known: %v", err)
	}
}

func TestWhoChangedWhatIsListedInPagesAndByName(t *testing.T) {
	s := serve(t)
	root := s.client(t, bootstrapKey)
	s.ready(t, root)
	for range 3 {
		for _, paused := range []bool{true, false} {
			if err := root.PauseApp(t.Context(), "shop", paused); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.node.PauseCluster(t.Context(), "file:apps.yaml", true); err != nil {
		t.Fatal(err)
	}
	var actions []string
	opts := client.AuditOptions{Limit: 3, App: "shop"}
	for pages := 1; ; pages++ {
		list, err := root.Audit(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Records {
			actions = append(actions, r.Action)
		}
		if opts.Cursor = list.NextCursor; opts.Cursor == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	again := []string{"app_resumed", "app_paused"}
	want := append(append(append(append([]string{}, again...), again...), again...), "app_created")
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Errorf("what was done to the app (-want +got):\n%s", diff)
	}
	list, err := root.Audit(t.Context(), client.AuditOptions{By: "file:apps.yaml"})
	if err != nil || len(list.Records) != 1 || list.Records[0].Action != "cluster_paused" {
		t.Errorf("what one actor did: %+v, %v", list, err)
	}
	for _, opts := range []client.AuditOptions{{Cursor: "shop"}, {Limit: 1001}} {
		if _, err := root.Audit(t.Context(), opts); !isProblem(err, client.CodeInvalidRequest) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

// The record names the trace of the call, by which a log finds the rest.
func TestARecordNamesTheCall(t *testing.T) {
	s := serve(t)
	s.ready(t, s.client(t, bootstrapKey))
	tracer, _ := tracing.NewRecorder()
	api, err := httpapi.New(httpapi.Config{Node: s.node, Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	const trace = "0af7651916cd43dd8448eb211c80319c"
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/pause", nil)
	r.Header.Set("Authorization", "Bearer "+bootstrapKey)
	r.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	api.Handler().ServeHTTP(httptest.NewRecorder(), r)
	if got := newest(t, s.client(t, bootstrapKey), 1); len(got) != 1 || !strings.Contains(got[0].Traceparent, trace) {
		t.Errorf("records %+v, want one of trace %s", got, trace)
	}
}

// An import of many apps must not drive all else out of what is kept.
func TestAnImportIsRecordedInFewRecords(t *testing.T) {
	s := serveSynced(t)
	var body strings.Builder
	for i := range 100 {
		body.WriteString(importLine(fmt.Sprintf("app%d", i)))
	}
	s.importAll(t, "", body.String())
	records := newest(t, s.client(t, bootstrapKey), 0)
	named := map[string]bool{}
	for _, r := range records {
		if r.Action != string(coordinator.ActionAppCreated) {
			t.Errorf("record %+v", r)
		}
		for _, app := range r.Objects {
			named[app] = true
		}
	}
	if len(records) != 2 || len(named) != 100 {
		t.Errorf("%d records name %d apps, want 2 and 100", len(records), len(named))
	}
}
