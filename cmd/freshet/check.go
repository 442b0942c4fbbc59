package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func newCheck(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config FILE]",
		Short: "check a configuration and its apps, without a network",
		Long: `Reads the configuration as "freshet serve" would, with its flags, variables and
secrets, and the file of apps it names. It resolves parents, asks the providers
about every app, and finds apps that are the same registration at a platform.
It prints what it found, or every mistake in one sentence each and exits with 2.
No secret is ever shown.`,
		Example: `  freshet check --config freshet.yaml
  freshet check --apps apps.yaml
  freshet check --config freshet.yaml -o json`,
		Args: exactly(0),
	}
	addSettings(cmd.Flags())
	output := addOutput(cmd, formatTable, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, unknown := t.sources(cmd.Flags())
		c, apps, err := loadAll(from, checkingProviders())
		t.sayAll(unknown())
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(checkedJSON(c, apps))
		}
		t.printChecked(c, apps)
		return nil
	}
	return cmd
}

// checkedApps is a file of apps that passed every check.
type checkedApps struct {
	*appsFile
	effective []coordinator.App // as they will run: inherited and with defaults
}

// loadAll reads and checks a configuration and the apps it names. The error
// tells the mistakes of both. Without a file of apps the second result is nil.
func loadAll(from sources, providers map[string]coordinator.Provider) (config, *checkedApps, error) {
	c, err := from.load()
	wrong := mistakes{list: listOf(err)}
	if c.Apps == "" || wrong.pointsAt("apps") {
		return c, nil, wrong.err()
	}
	apps := &checkedApps{appsFile: readAppsFile(c.Apps, from.env)}
	apps.effective = apps.check(providers)
	wrong.list = append(wrong.list, apps.doc.list...)
	return c, apps, wrong.err()
}

func (t *terminal) printChecked(c config, apps *checkedApps) {
	t.print("node %s, etcd %s, API on %s", c.Node, c.Etcd, c.Listen.API)
	if apps == nil {
		t.print("no file of apps")
	} else {
		t.table(appRows(apps.effective))
		t.print("%s, %s", count(len(apps.apps), "app"), count(len(apps.clients), "client"))
	}
	if c.Auth.BootstrapKey.IsZero() && (apps == nil || len(apps.clients) == 0) {
		t.print("note: neither auth.bootstrap_key nor a client is configured; nobody can call this node until the cluster has a client")
	}
	if c.Seal.File == "" {
		t.print("note: secrets would be kept unsealed in etcd; make a key file with freshet seal init and name it in seal.file")
	}
	t.print("%s", t.paint(green, "OK"))
}

func appRows(apps []coordinator.App) [][]string {
	rows := [][]string{{"APP", "PROVIDER", "PARENT", "TOKENS", "WINDOW", "RETRY", "LABELS"}}
	for _, app := range apps {
		rows = append(rows, []string{
			app.Name, app.Provider, orDash(app.Parent), strings.Join(tokensOf(app), ","),
			client.Window(app.Refresh.Window).String(), client.Retry{Min: app.Refresh.RetryMin, Max: app.Refresh.RetryMax}.String(), orDash(pairs(app.Labels)),
		})
	}
	return rows
}

// checkedJSON is the outcome of a check for programs; it holds no credential.
func checkedJSON(c config, apps *checkedApps) any {
	type app struct {
		Name     string            `json:"name"`
		Provider string            `json:"provider"`
		Parent   string            `json:"parent,omitempty"`
		Tokens   []string          `json:"tokens"`
		Window   string            `json:"window"`
		Labels   map[string]string `json:"labels,omitempty"`
	}
	checked := struct {
		OK      bool     `json:"ok"`
		Node    string   `json:"node"`
		Apps    []app    `json:"apps"`
		Clients []string `json:"clients"`
	}{OK: true, Node: c.Node, Apps: []app{}, Clients: []string{}}
	if apps == nil {
		return checked
	}
	for _, a := range apps.effective {
		checked.Apps = append(checked.Apps, app{a.Name, a.Provider, a.Parent, tokensOf(a), client.Window(a.Refresh.Window).String(), a.Labels})
	}
	for _, client := range apps.clients {
		checked.Clients = append(checked.Clients, client.Name)
	}
	return checked
}

func tokensOf(app coordinator.App) []string {
	tokens := make([]string, 0, len(app.Tokens))
	for _, name := range app.TokenNames() {
		tokens = append(tokens, name.Token)
	}
	return tokens
}

// count says how many there are: "1 app", "2 apps".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
