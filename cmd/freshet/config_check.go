package main

import (
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/store"
	"freshet/store/seal"
)

// check says what cannot work. Where a setting came from the file, origin
// points there.
func (c config) check(origin *document, wrong *mistakes) {
	say := func(path, format string, args ...any) {
		wrong.add(origin.placeOf(path), path, format, args...)
	}
	if coordinator.CheckAppName(c.Node) != nil {
		say("node", "use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit")
	}
	c.Etcd.check(say)
	c.Listen.check(say)
	if c.Seal.File != "" {
		if _, err := seal.Load(c.Seal.File); err != nil {
			say("seal.file", "%v", err)
		}
	}
	if key := c.Auth.BootstrapKey; !key.IsZero() && len(key.Reveal()) < minKeyLength {
		say("auth.bootstrap_key", "it has %d characters: use at least %d random ones, e.g. of `openssl rand -hex 24`", len(key.Reveal()), minKeyLength)
	}
	if c.Apps != "" {
		if _, err := os.Stat(c.Apps); err != nil {
			say("apps", "the file %s cannot be read: %s", c.Apps, fileProblem(err))
		}
	}
	if c.Spool != "" && c.Seal.File == "" {
		say("spool", "it would hold refresh tokens unsealed: set seal.file as well")
	}
	oneOf(say, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(say, "log.format", c.Log.Format, "text", "json")
}

// minKeyLength makes a guess hopeless even where the digest leaks.
const minKeyLength = 16

type sayer func(path, format string, args ...any)

func (e etcdConfig) check(say sayer) {
	if e.Embedded != "" && len(e.Endpoints) > 0 {
		say("etcd.embedded", "it cannot stand beside etcd.endpoints: use your etcd, or one inside this process")
	}
	for _, endpoint := range e.Endpoints {
		if !isEndpoint(endpoint) {
			say("etcd.endpoints", "expected addresses like http://127.0.0.1:2379, without user and path")
			break
		}
	}
	if !strings.HasPrefix(e.Prefix, "/") || strings.HasSuffix(e.Prefix, "/") {
		say("etcd.prefix", "it begins with a slash and ends without one, like %s", defaultPrefix)
	}
	if e.SessionTTL < store.MinSessionTTL || e.SessionTTL%time.Second != 0 {
		say("etcd.session_ttl", "expected whole seconds, at least %s", store.MinSessionTTL)
	}
	if (e.Username == "") != e.Password.IsZero() {
		say("etcd.username", "etcd.username and etcd.password go together")
	}
	pair(say, "etcd.tls", e.TLS)
	readable(say, "etcd.tls.ca", e.TLS.CA)
}

func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && strings.Trim(u.Path, "/") == "" &&
		(u.Scheme == "http" || u.Scheme == "https")
}

func (l listenConfig) check(say sayer) {
	if !isHostPort(l.API) {
		say("listen.api", "expected host:port, like %s", defaultAPI)
		return
	}
	if !isHostPort(l.Ops) {
		say("listen.ops", "expected host:port, like %s", defaultOps)
		return
	}
	if l.API == l.Ops && !strings.HasSuffix(l.API, ":0") {
		say("listen.ops", "the API listens on %s already: use another port", l.API)
	}
	if l.TLS.Cert == "" && !l.Insecure && !isLoopback(l.API) {
		say("listen.api", "plain HTTP beyond this machine would show tokens to the network: set listen.tls.cert and listen.tls.key, or listen.insecure: true where something in front speaks TLS")
	}
	l.checkSurfaces(say)
	pair(say, "listen.tls", l.TLS)
	readable(say, "listen.tls.client_ca", l.TLS.CA)
	if l.TLS.CA != "" && l.TLS.Cert == "" {
		say("listen.tls.client_ca", "certificates of clients need listen.tls.cert and listen.tls.key as well")
	}
}

// checkSurfaces checks the listeners of drop-in surfaces, which hand out tokens as
// the API does.
func (l listenConfig) checkSurfaces(say sayer) {
	taken := map[string]string{l.API: "listen.api", l.Ops: "listen.ops"}
	surfaces := l.surfaces()
	for _, name := range slices.Sorted(maps.Keys(surfaces)) {
		address, path := surfaces[name], "listen."+name
		switch other, used := taken[address]; {
		case !isHostPort(address):
			say(path, "expected host:port, like 127.0.0.1:7482")
		case used && !strings.HasSuffix(address, ":0"):
			say(path, "%s has this address already: use another port", other)
		case l.TLS.Cert == "" && !l.Insecure && !isLoopback(address):
			say(path, "plain HTTP beyond this machine would show tokens to the network: set listen.tls.cert and listen.tls.key, or listen.insecure: true where something in front speaks TLS")
		}
		taken[address] = path
	}
}

func isHostPort(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// pair checks a certificate and its key.
func pair(say sayer, path string, files tlsFiles) {
	if (files.Cert == "") != (files.Key == "") {
		say(path, "cert and key go together")
		return
	}
	readable(say, path+".cert", files.Cert)
	readable(say, path+".key", files.Key)
}

func readable(say sayer, path, file string) {
	if file == "" {
		return
	}
	if _, err := readNamed(file); err != nil {
		say(path, "the file %s cannot be read: %s", file, fileProblem(err))
	}
}

func oneOf(say sayer, path, text string, allowed ...string) {
	if slices.Contains(allowed, text) {
		return
	}
	say(path, "expected one of %s", strings.Join(allowed, ", "))
}
