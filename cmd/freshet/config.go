package main

import (
	"maps"
	"net"
	"os"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/store"
)

// Defaults of a configuration.
const (
	defaultAPI        = "127.0.0.1:7480"
	defaultOps        = "127.0.0.1:7481"
	defaultEndpoint   = "http://127.0.0.1:2379"
	defaultPrefix     = store.DefaultPrefix
	defaultSessionTTL = store.DefaultSessionTTL
)

// config is what `serve` and `check` need to know. A setting comes from its
// flag, else its FRESHET_* variable, else the file, else the default.
type config struct {
	Node      string // unique in the cluster
	Refresher bool   // whether this node may lead
	Egress    string // address platforms see it by; empty: the node's name
	Etcd      etcdConfig
	Listen    listenConfig
	Compat    compatConfig
	Seal      sealConfig
	Auth      authConfig
	Apps      string // file of apps and clients; empty: none
	Snapshot  string // file to serve from where etcd is away at the start; empty: none
	Spool     string // folder for rotated refresh tokens that are not published yet; empty: none
	Proxy     proxyConfig
	Tracing   tracingConfig
	Log       logConfig
}

type etcdConfig struct {
	Endpoints  []string
	Prefix     string
	SessionTTL time.Duration
	Username   string
	Password   coordinator.Secret
	TLS        tlsFiles
	Embedded   string // folder of an etcd inside this process; for one node only
	Quota      int64  // bytes, for servers that do not tell theirs; 0: etcd's default

	AllowDangerousServers bool // work with versions of etcd that have known bugs
}

// String says where etcd is, for people.
func (e etcdConfig) String() string {
	if e.Embedded != "" {
		return "embedded in " + e.Embedded
	}
	return strings.Join(e.Endpoints, ",")
}

// urls completes the addresses: the default where there is none, the scheme
// where it was left out.
func (e etcdConfig) urls() []string {
	if len(e.Endpoints) == 0 && e.Embedded == "" {
		return []string{defaultEndpoint}
	}
	scheme := "http://"
	if !e.TLS.isZero() {
		scheme = "https://"
	}
	urls := make([]string, 0, len(e.Endpoints))
	for _, endpoint := range e.Endpoints {
		if !strings.Contains(endpoint, "://") {
			endpoint = scheme + endpoint
		}
		urls = append(urls, endpoint)
	}
	return urls
}

type listenConfig struct {
	API      string
	Ops      string
	Insecure bool // allows plain HTTP beyond this machine
	TLS      tlsFiles

	// Each the address of a listener whose root one drop-in surface is; empty: none.
	WeChat, OAuth2, Hub string
}

// surfaces are the listeners of drop-in surfaces, by the surface's name.
func (l listenConfig) surfaces() map[string]string {
	all := map[string]string{"wechat": l.WeChat, httpapi.SurfaceOAuth2: l.OAuth2, httpapi.SurfaceHub: l.Hub}
	maps.DeleteFunc(all, func(_, address string) bool { return address == "" })
	return all
}

// compatConfig is what drop-in surfaces hand out.
type compatConfig struct {
	MinExpiresIn time.Duration // a value with less left is not handed out while a newer one can be had
}

// tlsFiles are names of PEM files. CA is whom we trust: of the other side's certificate.
type tlsFiles struct {
	CA   string
	Cert string
	Key  string
}

func (t tlsFiles) isZero() bool { return t == tlsFiles{} }

type sealConfig struct {
	File string // the key file; empty: secrets are kept unsealed
}

type authConfig struct {
	BootstrapKey coordinator.Secret
}

type tracingConfig struct {
	OTLP   string
	Sample float64 // 0: the default or OTEL_TRACES_SAMPLER; negative: none
}

type logConfig struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

func defaultConfig() config {
	name, err := os.Hostname()
	if err != nil {
		name = "" // checked later, where a flag or the file may have said it
	}
	return config{
		Node:      name,
		Refresher: true,
		Etcd:      etcdConfig{Prefix: defaultPrefix, SessionTTL: defaultSessionTTL},
		Listen:    listenConfig{API: defaultAPI, Ops: defaultOps},
		Log:       logConfig{Level: "info", Format: "text"},
	}
}

// sources says where a configuration comes from.
type sources struct {
	file  string                           // empty: no file
	env   func(name string) (string, bool) // os.LookupEnv, except in tests
	flags func(name string) (string, bool) // the flags that were given
}

// load reads the configuration from its sources. The error tells every mistake found.
func (s sources) load() (config, error) {
	c := defaultConfig()
	var wrong mistakes
	var origin *document
	if s.file != "" {
		doc, root := openDocument(s.file, s.env)
		c.read(root)
		wrong.list, origin = doc.list, doc
	}
	for _, setting := range settings() {
		if setting.apply(&c, s, &wrong) && origin != nil {
			delete(origin.places, setting.path)
		}
	}
	c.Etcd.Endpoints = c.Etcd.urls()
	c.check(origin, &wrong)
	return c, wrong.err()
}

// isLoopback reports whether an address to listen on is only reachable from this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
