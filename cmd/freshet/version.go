package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "show which freshet this is",
		Long: `Shows the version, the commit it was built from, the Go release and the
platform. Nodes tell the same version to the cluster; see "freshet status".`,
		Example: `  freshet version
  freshet version -o json`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := readBuild()
		if output.isJSON() {
			return t.json(b)
		}
		t.print("freshet %s (%s, %s)", b.Version, b.Go, b.Platform)
		return nil
	}
	return cmd
}

// build says which program this is.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "dev", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	if b.Version == "dev" && len(b.Commit) >= 12 {
		b.Version = "dev-" + b.Commit[:12]
	}
	return b
}

func buildVersion() string { return readBuild().Version }
