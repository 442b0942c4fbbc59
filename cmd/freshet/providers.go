package main

import (
	"log/slog"
	"net/http"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/static"
	"freshet/coordinator/provider/wechat"
)

// checkingProviders are providers that only look at settings and call nobody.
func checkingProviders() map[string]coordinator.Provider { return newProviders(nil, nil) }

// newProviders builds every provider there is, by its name in configurations.
func newProviders(transport http.RoundTripper, log *slog.Logger) map[string]coordinator.Provider {
	return map[string]coordinator.Provider{
		"oauth2": oauth2.New(oauth2.Config{Transport: transport, Logger: log}),
		"static": static.New(),
		"wechat": wechat.New(wechat.Config{Transport: transport, Logger: log}),
	}
}

// dropIns are the providers whose platforms' own calls are served below /compat.
func dropIns() []string { return []string{"wechat"} }
