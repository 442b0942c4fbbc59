package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"freshet/coordinator"
)

// setting is one line of a configuration as flag and variable. The flag of
// "etcd.session_ttl" is --etcd-session-ttl, its variable FRESHET_ETCD_SESSION_TTL.
type setting struct {
	path     string
	usage    string // empty: there is no flag, because others can read a command line
	expected string // completes "expected …"
	set      func(c *config, text string) bool
}

func (s setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.path)
}

func (s setting) variable() string {
	if s.path == "auth.bootstrap_key" {
		return "FRESHET_BOOTSTRAP_KEY"
	}
	return "FRESHET_" + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// apply takes over the flag, else the variable, and reports whether one was given.
func (s setting) apply(c *config, from sources, wrong *mistakes) bool {
	name := "--" + s.flag()
	text, given := from.flags(s.flag())
	if !given {
		name = s.variable()
		text, given = from.env(name)
	}
	if !given || text == "" {
		return false
	}
	if !s.set(c, text) {
		wrong.add(place{}, name, "expected %s", s.expected)
	}
	return true
}

// settings are all settings there are, in the order of the sample configuration.
func settings() []setting {
	return []setting{
		textSetting("node", "name of this node, unique in the cluster (default: the host name)", func(c *config) *string { return &c.Node }),
		boolSetting("refresher", "whether this node may be elected to refresh (default true)", func(c *config) *bool { return &c.Refresher }),
		textSetting("egress", "address platforms see this node by, one name for all nodes behind it (default: the node's name)", func(c *config) *string { return &c.Egress }),
		listSetting("etcd.endpoints", "etcd addresses, comma separated (default "+defaultEndpoint+")", func(c *config) *[]string { return &c.Etcd.Endpoints }),
		textSetting("etcd.prefix", "prefix of every etcd key (default "+defaultPrefix+")", func(c *config) *string { return &c.Etcd.Prefix }),
		{"etcd.session_ttl", "how long a silent node is believed alive (default 15s)", wantDuration, func(c *config, text string) (ok bool) {
			c.Etcd.SessionTTL, ok = parseDuration(text)
			return ok
		}},
		textSetting("etcd.username", "etcd user", func(c *config) *string { return &c.Etcd.Username }),
		secretSetting("etcd.password", func(c *config) *coordinator.Secret { return &c.Etcd.Password }),
		textSetting("etcd.tls.ca", "PEM file of the authority of etcd's certificate", func(c *config) *string { return &c.Etcd.TLS.CA }),
		textSetting("etcd.tls.cert", "PEM file of our certificate for etcd", func(c *config) *string { return &c.Etcd.TLS.Cert }),
		textSetting("etcd.tls.key", "PEM file of its key", func(c *config) *string { return &c.Etcd.TLS.Key }),
		textSetting("etcd.embedded", "run etcd inside this process, with this data folder; for one node only", func(c *config) *string { return &c.Etcd.Embedded }),
		{"etcd.quota", "etcd's storage quota, where its servers do not tell it (before 3.6; default 2GiB)", wantBytes, func(c *config, text string) (ok bool) {
			c.Etcd.Quota, ok = parseBytes(text)
			return ok
		}},
		boolSetting("etcd.allow_dangerous_servers", "work with versions of etcd that have known bugs", func(c *config) *bool { return &c.Etcd.AllowDangerousServers }),
		textSetting("listen.api", "address of the API (default "+defaultAPI+")", func(c *config) *string { return &c.Listen.API }),
		textSetting("listen.ops", "address of health (default "+defaultOps+")", func(c *config) *string { return &c.Listen.Ops }),
		textSetting("listen.wechat", "address of a listener whose root /compat/wechat is (default: none)", func(c *config) *string { return &c.Listen.WeChat }),
		textSetting("listen.oauth2", "address of a listener whose root /compat/oauth2 is (default: none)", func(c *config) *string { return &c.Listen.OAuth2 }),
		textSetting("listen.hub", "address of a listener whose root /compat/hub is (default: none)", func(c *config) *string { return &c.Listen.Hub }),
		boolSetting("listen.insecure", "allow plain HTTP beyond this machine", func(c *config) *bool { return &c.Listen.Insecure }),
		textSetting("listen.tls.cert", "PEM file of the API's certificate", func(c *config) *string { return &c.Listen.TLS.Cert }),
		textSetting("listen.tls.key", "PEM file of its key", func(c *config) *string { return &c.Listen.TLS.Key }),
		textSetting("listen.tls.client_ca", "PEM file of the authority of clients' certificates", func(c *config) *string { return &c.Listen.TLS.CA }),
		{"compat.min_expires_in", "how long a value should live that a drop-in surface hands out (default: any)", wantDuration, func(c *config, text string) (ok bool) {
			c.Compat.MinExpiresIn, ok = parseDuration(text)
			return ok
		}},
		textSetting("seal.file", "key file that seals secrets in etcd; see freshet seal", func(c *config) *string { return &c.Seal.File }),
		secretSetting("auth.bootstrap_key", func(c *config) *coordinator.Secret { return &c.Auth.BootstrapKey }),
		textSetting("apps", "file of apps and clients", func(c *config) *string { return &c.Apps }),
		textSetting("snapshot", "file to keep what is served in, for a start while etcd is away; needs seal.file", func(c *config) *string { return &c.Snapshot }),
		textSetting("spool", "folder of this node alone, for refresh tokens that rotate; needs seal.file", func(c *config) *string { return &c.Spool }),
		countSetting("proxy.at_once", "calls of one client that are forwarded at once (default 256)", func(c *config) *int { return &c.Proxy.AtOnce }),
		countSetting("proxy.rate", "calls of one client that are forwarded in a second (default 500)", func(c *config) *int { return &c.Proxy.Rate }),
		durationSetting("proxy.timeout", "how long a platform may take to answer a forwarded call (default 1m)", func(c *config) *time.Duration { return &c.Proxy.Timeout }),
		durationSetting("proxy.idle", "how long a forwarded call may stand still (default 2m)", func(c *config) *time.Duration { return &c.Proxy.Idle }),
		textSetting("tracing.otlp", "address of an OTLP collector, e.g. 127.0.0.1:4317", func(c *config) *string { return &c.Tracing.OTLP }),
		{"tracing.sample", "share of traces kept (default 0.01)", wantShare, func(c *config, text string) (ok bool) {
			c.Tracing.Sample, ok = parseShare(text)
			return ok
		}},
		textSetting("log.level", "debug, info, warn or error (default info)", func(c *config) *string { return &c.Log.Level }),
		textSetting("log.format", "text or json (default text)", func(c *config) *string { return &c.Log.Format }),
	}
}

func textSetting(path, usage string, field func(*config) *string) setting {
	return setting{path, usage, "a text", func(c *config, text string) bool {
		*field(c) = text
		return true
	}}
}

func boolSetting(path, usage string, field func(*config) *bool) setting {
	return setting{path, usage, wantBool, func(c *config, text string) (ok bool) {
		*field(c), ok = parseBool(text)
		return ok
	}}
}

func listSetting(path, usage string, field func(*config) *[]string) setting {
	return setting{path, usage, "texts, comma separated", func(c *config, text string) bool {
		*field(c) = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		return len(*field(c)) > 0
	}}
}

func secretSetting(path string, field func(*config) *coordinator.Secret) setting {
	return setting{path, "", "a text", func(c *config, text string) bool {
		*field(c) = coordinator.NewSecret(text)
		return true
	}}
}

// addSettings gives a command a flag for every setting.
func addSettings(flags *pflag.FlagSet) {
	flags.StringP("config", "c", "", "configuration file (or FRESHET_CONFIG)")
	for _, s := range settings() {
		if s.usage == "" {
			continue
		}
		if s.expected == wantBool {
			flags.Bool(s.flag(), false, s.usage)
			continue
		}
		flags.String(s.flag(), "", s.usage)
	}
}

// sourcesOf reads the flags of addSettings.
func sourcesOf(flags *pflag.FlagSet, env func(string) (string, bool)) sources {
	given := func(name string) (string, bool) {
		flag := flags.Lookup(name)
		if flag == nil || !flag.Changed {
			return "", false
		}
		return flag.Value.String(), true
	}
	file, ok := given("config")
	if !ok {
		file, _ = env("FRESHET_CONFIG")
	}
	return sources{file: file, env: env, flags: given}
}

// variablesHelp lists the variables of all settings, for people.
func variablesHelp() string {
	var b strings.Builder
	for _, s := range settings() {
		fmt.Fprintf(&b, "  %-37s %s\n", s.variable(), s.path)
	}
	return b.String()
}
