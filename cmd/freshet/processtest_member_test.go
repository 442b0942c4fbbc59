package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdMain is etcd as far as the tests need it, with etcd's own flags: a machine
// with nothing but Go has no other. It ends by a signal.
func etcdMain(args []string) int {
	cfg := embed.NewConfig()
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	cfg.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	for name, urls := range map[string]*[]url.URL{
		"listen-client-urls": &cfg.ListenClientUrls, "advertise-client-urls": &cfg.AdvertiseClientUrls,
		"listen-peer-urls": &cfg.ListenPeerUrls, "initial-advertise-peer-urls": &cfg.AdvertisePeerUrls,
	} {
		u, err := url.Parse(flags.Lookup(name).Value.String())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitUsage
		}
		*urls = []url.URL{*u}
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	fmt.Fprintln(os.Stderr, <-server.Err())
	return exitFailure
}
