package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

// cluster is the other side of a verb that talks to one.
type cluster struct {
	*client.Client
	addresses []string
	hasKey    bool
}

// clusterFlags say which cluster, and as whom.
type clusterFlags struct {
	addr, keyFile, ca, cert, certKey string
}

// onCluster makes a verb talk to a cluster: it gets the flags that say which
// one, and its errors are told in words that say what to do.
func onCluster(t *terminal, cmd *cobra.Command, do func(ctx context.Context, c *cluster, args []string) error) *cobra.Command {
	var f clusterFlags
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "", "addresses of nodes, comma separated (or FRESHET_ADDR; default http://"+defaultAPI+")")
	flags.StringVar(&f.keyFile, "key-file", "", "file that holds the client key (or FRESHET_KEY with the key itself)")
	flags.StringVar(&f.ca, "ca", "", "PEM file of the authority of the nodes' certificates (or FRESHET_CA)")
	flags.StringVar(&f.cert, "cert", "", "PEM file of our certificate, where the nodes ask for one")
	flags.StringVar(&f.certKey, "cert-key", "", "PEM file of its key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := f.connect(t)
		if err != nil {
			return err
		}
		return c.explain(do(cmd.Context(), c, args))
	}
	return cmd
}

// connect reads the client key and prepares to call; it calls nobody yet.
func (f clusterFlags) connect(t *terminal) (*cluster, error) {
	key, err := f.key(t)
	if err != nil {
		return nil, err
	}
	transport, err := f.transport(t)
	if err != nil {
		return nil, err
	}
	list := firstSet(f.addr, variable(t, "FRESHET_ADDR"), "http://"+defaultAPI)
	addresses := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	c, err := client.New(client.Config{Addresses: addresses, Key: key, HTTPClient: transport})
	if err != nil {
		return nil, usagef("%w; see --addr and --key-file", err)
	}
	return &cluster{Client: c, addresses: addresses, hasKey: key != ""}, nil
}

// key returns the client key, empty where there is none.
func (f clusterFlags) key(t *terminal) (string, error) {
	file := f.keyFile
	if file == "" {
		if key := variable(t, "FRESHET_KEY"); key != "" {
			return strings.TrimSpace(key), nil
		}
		file = variable(t, "FRESHET_KEY_FILE")
	}
	if file == "" {
		return "", nil
	}
	text, err := readNamed(file)
	if err != nil {
		return "", usagef("the key file %s cannot be read: %s", file, fileProblem(err))
	}
	return strings.TrimSpace(string(text)), nil
}

// transport returns an HTTP client for certificates of our own, nil for the usual one.
func (f clusterFlags) transport(t *terminal) (*http.Client, error) {
	files := tlsFiles{CA: firstSet(f.ca, variable(t, "FRESHET_CA")), Cert: f.cert, Key: f.certKey}
	if files.isZero() {
		return nil, nil //nolint:nilnil // nil is the client's default
	}
	settings, err := files.client()
	if err != nil {
		return nil, usagef("%w", err)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true}}, nil
}

// client returns the TLS settings of somebody who calls.
func (t tlsFiles) client() (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pool, err := readAuthority(t.CA)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = pool
	}
	if t.Cert == "" && t.Key == "" {
		return settings, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, usagef("the certificate %s and its key %s do not work together: %w", t.Cert, t.Key, err)
	}
	settings.Certificates = []tls.Certificate{pair}
	return settings, nil
}

func readAuthority(file string) (*x509.CertPool, error) {
	text, err := readNamed(file)
	if err != nil {
		return nil, usagef("the file %s cannot be read: %s", file, fileProblem(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("the file %s holds no certificate in PEM", file)
	}
	return pool, nil
}

func variable(t *terminal, name string) string {
	text, _ := t.env(name)
	return text
}

// firstSet returns the first text that is not empty.
func firstSet(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
