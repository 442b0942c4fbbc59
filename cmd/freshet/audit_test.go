package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"freshet/httpapi/client"
)

// More records than one page has are put together of several.
func TestAuditReadsAsManyPagesAsItNeeds(t *testing.T) {
	const there = 2500
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var from, limit int
		_, _ = fmt.Sscan(q.Get("cursor"), &from)
		_, _ = fmt.Sscan(q.Get("limit"), &limit)
		asked = append(asked, q.Encode())
		var page client.AuditList
		for n := from; n < min(from+limit, there); n++ {
			page.Records = append(page.Records, client.AuditRecord{ID: fmt.Sprint(n)})
		}
		if from+limit < there {
			page.NextCursor = fmt.Sprint(from + limit)
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer server.Close()
	c, err := client.New(client.Config{Addresses: []string{server.URL}, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ wanted, got, calls int }{{50, 50, 1}, {1000, 1000, 1}, {2100, 2100, 3}, {9000, there, 3}} {
		asked = nil
		records, err := (&cluster{Client: c}).newestAudit(t.Context(), client.AuditOptions{By: "api:ann"}, test.wanted)
		if err != nil || len(records) != test.got || len(asked) != test.calls {
			t.Errorf("%d wanted: %d records by %q, error %v; want %d by %d calls", test.wanted, len(records), asked, err, test.got, test.calls)
		}
		for n, r := range records {
			if r.ID != fmt.Sprint(n) {
				t.Fatalf("%d wanted: record %d is %s", test.wanted, n, r.ID)
			}
		}
	}
}
