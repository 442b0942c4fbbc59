package main

// read takes over what a configuration file says.
func (c *config) read(s *section) {
	s.text("node", &c.Node)
	s.boolean("refresher", &c.Refresher)
	s.text("egress", &c.Egress)
	s.child("etcd", c.Etcd.read)
	s.child("listen", c.Listen.read)
	s.child("compat", func(s *section) {
		s.duration("min_expires_in", &c.Compat.MinExpiresIn)
		s.done("setting")
	})
	s.child("seal", func(s *section) {
		s.file("file", &c.Seal.File)
		s.done("setting")
	})
	s.child("auth", func(s *section) {
		s.secret("bootstrap_key", &c.Auth.BootstrapKey)
		s.done("setting")
	})
	s.file("apps", &c.Apps)
	s.file("snapshot", &c.Snapshot)
	s.file("spool", &c.Spool)
	s.child("proxy", c.Proxy.read)
	s.child("tracing", func(s *section) {
		s.text("otlp", &c.Tracing.OTLP)
		s.share("sample", &c.Tracing.Sample)
		s.done("setting")
	})
	s.child("log", func(s *section) {
		s.text("level", &c.Log.Level)
		s.text("format", &c.Log.Format)
		s.done("setting")
	})
	s.later("public_url")
	s.done("setting")
}

func (c *etcdConfig) read(s *section) {
	s.texts("endpoints", &c.Endpoints)
	s.text("prefix", &c.Prefix)
	s.duration("session_ttl", &c.SessionTTL)
	s.text("username", &c.Username)
	s.secret("password", &c.Password)
	s.child("tls", func(s *section) {
		s.file("ca", &c.TLS.CA)
		s.file("cert", &c.TLS.Cert)
		s.file("key", &c.TLS.Key)
		s.done("setting")
	})
	s.file("embedded", &c.Embedded)
	value(s, "quota", wantBytes, &c.Quota, parseBytes)
	s.boolean("allow_dangerous_servers", &c.AllowDangerousServers)
	s.done("setting")
}

func (c *listenConfig) read(s *section) {
	s.text("api", &c.API)
	s.text("ops", &c.Ops)
	s.text("wechat", &c.WeChat)
	s.text("oauth2", &c.OAuth2)
	s.text("hub", &c.Hub)
	s.boolean("insecure", &c.Insecure)
	s.child("tls", func(s *section) {
		s.file("cert", &c.TLS.Cert)
		s.file("key", &c.TLS.Key)
		s.file("client_ca", &c.TLS.CA)
		s.done("setting")
	})
	s.done("setting")
}

// later refuses names that a later version will know, rather than to ignore
// what somebody counts on.
func (s *section) later(names ...string) {
	for _, name := range names {
		if e, found := s.find(name); found {
			s.asked = append(s.asked, name)
			e.wrong("it is not supported by this version of freshet: remove it")
		}
	}
}
