package main

import (
	"os"
	"path/filepath"
	"testing"

	"freshet/store/seal"
)

// TestSampleConfigurationsAreGood checks every sample we ship as its reader would.
func TestSampleConfigurationsAreGood(t *testing.T) {
	deploy := filepath.Join("..", "..", "deploy")
	secret := func(name string) (string, bool) {
		return "0123456789abcdef-" + name, name == "SHOP_SECRET" || name == "GAME_SECRET" ||
			name == "CRM_SECRET" || name == "CRM_REFRESH_TOKEN" || name == "REPORTS_SECRET" ||
			name == "ORDERS_KEY" || name == "DASHBOARD_KEY" || name == "FRESHET_BOOTSTRAP_KEY"
	}
	keys := filepath.Join(t.TempDir(), "seal.keys") // the samples name one that is still to be made
	if _, err := seal.Create(keys); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"freshet.yaml", "compose/freshet.yaml"} {
		t.Run(file, func(t *testing.T) {
			file = filepath.Join(deploy, file)
			if _, err := os.Stat(file); err != nil {
				t.Fatal(err)
			}
			from := sources{file: file, env: secret, flags: given(map[string]string{"node": "n1", "seal-file": keys})}
			_, apps, err := loadAll(from, checkingProviders())
			if err != nil {
				t.Fatal(err)
			}
			if apps == nil || len(apps.effective) == 0 {
				t.Error("the sample keeps no app")
			}
		})
	}
}
