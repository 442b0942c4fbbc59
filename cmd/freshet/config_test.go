package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/store/seal"
)

// written writes a file into a folder of the test and returns its name.
func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// given makes a lookup of a map.
func given(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := m[name]
		return text, ok
	}
}

// sameSecrets compares secrets by their text.
func sameSecrets() cmp.Option {
	return cmp.Comparer(func(a, b coordinator.Secret) bool { return a.Equal(b) })
}

func TestConfigReadsEverySetting(t *testing.T) {
	file := written(t, "freshet.yaml", `
node: n7
refresher: false
etcd:
  endpoints: ["https://e1:2379", "https://e2:2379"]
  prefix: /tokens
  session_ttl: 20s
  quota: 8GiB
  allow_dangerous_servers: true
  username: freshet
  password: {env: ETCD_PASSWORD}
  tls: {ca: tls.pem, cert: tls.pem, key: tls.pem}
listen:
  api: 0.0.0.0:7000
  ops: 0.0.0.0:7001
  wechat: 0.0.0.0:7002
  oauth2: 0.0.0.0:7003
  hub: 0.0.0.0:7004
  insecure: true
  tls: {cert: tls.pem, key: tls.pem, client_ca: tls.pem}
compat: {min_expires_in: 1500s}
auth: {bootstrap_key: {value: bootstrap-bootstrap}}
apps: tls.pem
snapshot: node/snapshot.sealed
spool: /var/spool/freshet
seal: {file: seal.keys}
proxy: {at_once: 7, rate: 70, timeout: 5s, idle: 1m}
tracing: {otlp: "127.0.0.1:4317", sample: 0.5}
log: {level: debug, format: json}
`)
	pem := filepath.Join(filepath.Dir(file), "tls.pem")
	if err := os.WriteFile(pem, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(filepath.Dir(file), "seal.keys")
	if _, err := seal.Create(keys); err != nil {
		t.Fatal(err)
	}
	from := sources{file: file, env: given(map[string]string{"ETCD_PASSWORD": "pw"}), flags: given(nil)}

	got, err := from.load()
	if err != nil {
		t.Fatal(err)
	}
	all := tlsFiles{CA: pem, Cert: pem, Key: pem}
	want := config{
		Node: "n7",
		Etcd: etcdConfig{
			Endpoints: []string{"https://e1:2379", "https://e2:2379"}, Prefix: "/tokens", SessionTTL: 20 * time.Second,
			Quota: 8 << 30, AllowDangerousServers: true,
			Username: "freshet", Password: coordinator.NewSecret("pw"), TLS: all,
		},
		Listen: listenConfig{
			API: "0.0.0.0:7000", Ops: "0.0.0.0:7001", Insecure: true, TLS: all,
			WeChat: "0.0.0.0:7002", OAuth2: "0.0.0.0:7003", Hub: "0.0.0.0:7004",
		},
		Compat:   compatConfig{MinExpiresIn: 1500 * time.Second},
		Auth:     authConfig{BootstrapKey: coordinator.NewSecret("bootstrap-bootstrap")},
		Apps:     pem,
		Snapshot: filepath.Join(filepath.Dir(file), "node", "snapshot.sealed"), Spool: "/var/spool/freshet", Seal: sealConfig{File: keys},
		Proxy:   proxyConfig{AtOnce: 7, Rate: 70, Timeout: 5 * time.Second, Idle: time.Minute},
		Tracing: tracingConfig{OTLP: "127.0.0.1:4317", Sample: 0.5},
		Log:     logConfig{Level: "debug", Format: "json"},
	}
	if diff := cmp.Diff(want, got, sameSecrets()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfigDefaults(t *testing.T) {
	got, err := sources{env: given(nil), flags: given(map[string]string{"node": "n1"})}.load()
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Node: "n1", Refresher: true,
		Etcd:   etcdConfig{Endpoints: []string{"http://127.0.0.1:2379"}, Prefix: "/freshet", SessionTTL: 15 * time.Second},
		Listen: listenConfig{API: "127.0.0.1:7480", Ops: "127.0.0.1:7481"},
		Log:    logConfig{Level: "info", Format: "text"},
	}
	if diff := cmp.Diff(want, got, sameSecrets()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestFlagWinsOverVariableOverFile(t *testing.T) {
	file := written(t, "freshet.yaml", "node: of-the-file\netcd: {prefix: /file, session_ttl: 9s}\nlog: {level: debug}\n")
	env := map[string]string{"FRESHET_NODE": "of-the-variable", "FRESHET_ETCD_PREFIX": "/variable", "FRESHET_LOG_FORMAT": ""}
	got, err := sources{file: file, env: given(env), flags: given(map[string]string{"node": "of-the-flag"})}.load()
	if err != nil {
		t.Fatal(err)
	}
	have := []string{got.Node, got.Etcd.Prefix, got.Etcd.SessionTTL.String(), got.Log.Level, got.Log.Format}
	want := []string{"of-the-flag", "/variable", "9s", "debug", "text"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestEverySettingHasAVariable(t *testing.T) {
	env := map[string]string{
		"FRESHET_NODE": "n1", "FRESHET_REFRESHER": "false", "FRESHET_ETCD_ENDPOINTS": "10.0.0.1:2379, 10.0.0.2:2379",
		"FRESHET_ETCD_USERNAME": "u", "FRESHET_ETCD_PASSWORD": "p", "FRESHET_BOOTSTRAP_KEY": "bootstrap-bootstrap",
		"FRESHET_LISTEN_API": "0.0.0.0:1", "FRESHET_LISTEN_OPS": "0.0.0.0:2", "FRESHET_LISTEN_INSECURE": "true",
		"FRESHET_LISTEN_WECHAT": "0.0.0.0:3", "FRESHET_LISTEN_OAUTH2": "0.0.0.0:4", "FRESHET_LISTEN_HUB": "0.0.0.0:5", "FRESHET_COMPAT_MIN_EXPIRES_IN": "20m",
		"FRESHET_TRACING_OTLP": "c:4317", "FRESHET_TRACING_SAMPLE": "0", "FRESHET_ETCD_SESSION_TTL": "7s",
		"FRESHET_PROXY_AT_ONCE": "3", "FRESHET_PROXY_RATE": "4", "FRESHET_PROXY_TIMEOUT": "5s", "FRESHET_PROXY_IDLE": "6s",
	}
	got, err := sources{env: given(env), flags: given(nil)}.load()
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Node: "n1",
		Etcd: etcdConfig{
			Endpoints: []string{"http://10.0.0.1:2379", "http://10.0.0.2:2379"}, Prefix: "/freshet", SessionTTL: 7 * time.Second,
			Username: "u", Password: coordinator.NewSecret("p"),
		},
		Listen:  listenConfig{API: "0.0.0.0:1", Ops: "0.0.0.0:2", WeChat: "0.0.0.0:3", OAuth2: "0.0.0.0:4", Hub: "0.0.0.0:5", Insecure: true},
		Compat:  compatConfig{MinExpiresIn: 20 * time.Minute},
		Auth:    authConfig{BootstrapKey: coordinator.NewSecret("bootstrap-bootstrap")},
		Proxy:   proxyConfig{AtOnce: 3, Rate: 4, Timeout: 5 * time.Second, Idle: 6 * time.Second},
		Tracing: tracingConfig{OTLP: "c:4317", Sample: -1},
		Log:     logConfig{Level: "info", Format: "text"},
	}
	if diff := cmp.Diff(want, got, sameSecrets()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfigMistakesAreToldInOneSentence(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"endpoint":         {`etcd: {endpoints: ["http://user:CANARY@h:2379"]}`, "1:8: etcd.endpoints: expected addresses like http://127.0.0.1:2379"},
		"both etcds":       {`etcd: {endpoints: ["http://h:2379"], embedded: ./data}`, "etcd.embedded: it cannot stand beside etcd.endpoints"},
		"prefix":           {`etcd: {prefix: freshet}`, "etcd.prefix: it begins with a slash"},
		"session":          {`etcd: {session_ttl: 1500ms}`, "etcd.session_ttl: expected whole seconds, at least 2s"},
		"half a login":     {`etcd: {username: u}`, "etcd.username and etcd.password go together"},
		"half a pair":      {`listen: {tls: {cert: a.pem}}`, "listen.tls: cert and key go together"},
		"no such pair":     {`listen: {tls: {cert: a.pem, key: b.pem}}`, "listen.tls.cert: the file "},
		"address":          {`listen: {api: "7480"}`, "listen.api: expected host:port, like 127.0.0.1:7480"},
		"the same address": {`listen: {api: "127.0.0.1:7480", ops: "127.0.0.1:7480"}`, "listen.ops: the API listens on 127.0.0.1:7480 already"},
		"network":          {`listen: {api: ":7480"}`, "listen.api: plain HTTP beyond this machine"},
		"short key":        {`auth: {bootstrap_key: {value: CANARY}}`, "auth.bootstrap_key: it has 6 characters: use at least 16"},
		"empty variable":   {`auth: {bootstrap_key: {env: EMPTY}}`, "auth.bootstrap_key: the environment variable EMPTY is not set"},
		"not a variable":   {`auth: {bootstrap_key: {env: "CANARY CANARY"}}`, "auth.bootstrap_key: env: takes the name of an environment variable"},
		"two references":   {`auth: {bootstrap_key: {env: A, value: CANARY}}`, "auth.bootstrap_key: expected one of {env: NAME}"},
		"unknown kind":     {`auth: {bootstrap_key: {CANARY: A}}`, "auth.bootstrap_key: expected one of {env: NAME}"},
		"unsealed spool":   {`spool: spool`, "1:1: spool: it would hold refresh tokens unsealed: set seal.file as well"},
		"level":            {`log: {level: loud}`, "log.level: expected one of debug, info, warn, error"},
		"no calls":         {`proxy: {at_once: 0}`, "proxy.at_once: expected a whole number above zero"},
		"calls by halves":  {`proxy: {rate: 1.5}`, "proxy.rate: expected a whole number above zero"},
		"sample":           {`tracing: {sample: 2}`, "tracing.sample: expected a number from 0 to 1"},
		"node":             {`node: "CANARY CANARY"`, "node: use 1 to 128 letters"},
		"nothing":          {"node:\n", "node: nothing is written here: expected a text"},
		"list":             {`etcd: {endpoints: [{a: CANARY}]}`, "etcd.endpoints: expected a list of texts"},
		"two documents":    {"node: a\n---\nnode: CANARY\n", "a file holds one document"},
		"twice":            {"node: a\nnode: b\n", "node: it is written twice, in lines 1 and 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := written(t, "freshet.yaml", test.text)
			_, err := sources{file: file, env: given(map[string]string{"EMPTY": ""}), flags: given(nil)}.load()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %q, want one with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the error shows a value: %s", err)
			}
			if exitCode(err) != exitUsage {
				t.Errorf("exit code %d, want %d", exitCode(err), exitUsage)
			}
		})
	}
}

func TestMistakesOfVariablesAndFlagsNameThem(t *testing.T) {
	env := given(map[string]string{"FRESHET_REFRESHER": "CANARY"})
	_, err := sources{env: env, flags: given(map[string]string{"etcd-session-ttl": "CANARY"})}.load()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"FRESHET_REFRESHER: expected true or false", "--etcd-session-ttl: expected a positive duration"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want one with %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the error shows a value: %s", err)
	}
}
