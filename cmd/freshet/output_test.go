package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

// holding is a node that holds one value, and tells it to who follows.
func holding(t *testing.T) (address string) {
	t.Helper()
	const token = `{"app":"shop","token":"access_token","value":"CANARY","version":7,"expires_in":60}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/stream" {
			_, _ = fmt.Fprint(w, token)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: token\ndata: %s\n\nevent: synced\ndata: {}\n\n", token)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Whoever reads a result must not take what could be written of it for all.
func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	address := holding(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, line := range []string{"get shop", "get shop -o value", "get shop -o json", "watch shop", "watch shop -o json"} {
		var errs strings.Builder
		term := &terminal{in: strings.NewReader(""), out: full{}, err: &errs, env: given(map[string]string{"FRESHET_ADDR": address})}
		code := run(ctx, term, strings.Fields(line))
		if code != exitFailure || !strings.Contains(errs.String(), "could not be written: no space left") || strings.Contains(errs.String(), "CANARY") {
			t.Errorf("%s: exit code %d and %q", line, code, errs.String())
		}
	}
}

// A device, or a pipe that another one waits at, is no file to replace.
func TestOnlyAFileIsReplaced(t *testing.T) {
	env := map[string]string{"FRESHET_ADDR": holding(t)}
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, link} {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		got := runFreshet(t.Context(), env, "get", "shop", "--to", path)
		after, err := os.Lstat(path)
		if err != nil || before.Mode() != after.Mode() || got.code != exitUsage || !strings.Contains(got.err, "that is no file") {
			t.Errorf("%s: exit code %d and %q, mode %s, error %v", path, got.code, got.err, after.Mode(), err)
		}
	}
	for _, name := range []string{"new", "new"} {
		if got := runFreshet(t.Context(), env, "get", "shop", "--to", filepath.Join(folder, name)); got.code != exitOK {
			t.Errorf("a file: exit code %d and %q", got.code, got.err)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 2 {
		t.Errorf("the folder holds %v, error %v", left, err)
	}
}

// A folder in which we may make files, but that we may not open to sync it.
func TestAFileInAFolderThatCannotBeReadIsReplaced(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read every folder")
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o300); err != nil {
		t.Fatal(err)
	}
	got := runFreshet(t.Context(), map[string]string{"FRESHET_ADDR": holding(t)}, "get", "shop", "--to", filepath.Join(folder, "new"))
	text, err := os.ReadFile(filepath.Join(folder, "new"))
	if got.code != exitOK || string(text) != "CANARY" {
		t.Errorf("exit code %d and %q; the file: %v", got.code, got.err, err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
}
