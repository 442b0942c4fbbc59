package tracing

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// check says what is wrong with cfg.
func (cfg Config) check() error {
	var errs []error
	if cfg.Sample > 1 || math.IsNaN(cfg.Sample) {
		errs = append(errs, fmt.Errorf("sample %v is not a share up to 1", cfg.Sample))
	}
	if cfg.Endpoint != "" {
		u, err := parseCollector(cfg.Endpoint)
		switch {
		case err != nil: // whose text may hold user information
			errs = append(errs, errors.New("otlp endpoint is not host:port or a URL"))
		case u.User != nil:
			errs = append(errs, errors.New("otlp endpoint holds user information; use OTEL_EXPORTER_OTLP_HEADERS"))
		case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Port() == "" && u.Scheme == "":
			errs = append(errs, fmt.Errorf("otlp endpoint %q is not host:port or http(s)://host:port", bare(u)))
		}
	}
	return errors.Join(errs...)
}

// collector is the checked Endpoint with its scheme: https for a bare address
// unless it is on this machine or clear text is allowed.
func (cfg Config) collector() *url.URL {
	u, err := parseCollector(cfg.Endpoint)
	if err != nil {
		return &url.URL{} // check refuses it
	}
	if u.Scheme == "" {
		u.Scheme = "https"
		if cfg.Insecure || isLoopback(u.Hostname()) || strings.EqualFold(variable("INSECURE"), "true") {
			u.Scheme = "http"
		}
	}
	return u
}

func parseCollector(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "//" + endpoint
	}
	return url.Parse(endpoint)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkVariables refuses what the exporters would only complain about, on
// standard error and with the header or URL, secret and all, in the complaint.
// Its errors name variables, never the text of a header or endpoint.
func checkVariables() error {
	errs := []error{checkSampler(), oneOf("OTEL_TRACES_EXPORTER", "otlp", "none")}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		errs = append(errs, oneOf(prefix+"PROTOCOL", grpcProtocol, "http/protobuf", "http/json"))
		if _, err := url.Parse(strings.TrimSpace(os.Getenv(prefix + "ENDPOINT"))); err != nil {
			errs = append(errs, fmt.Errorf("variable %sENDPOINT is not a URL", prefix))
		}
		if !headersReadable(os.Getenv(prefix + "HEADERS")) {
			errs = append(errs, fmt.Errorf("variable %sHEADERS is not key=value,… with values percent-encoded", prefix))
		}
	}
	return errors.Join(errs...)
}

func headersReadable(list string) bool {
	if strings.TrimSpace(list) == "" {
		return true
	}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(value); err != nil || !ok || strings.TrimSpace(key) == "" {
			return false
		}
	}
	return true
}

func checkSampler() error {
	err := oneOf("OTEL_TRACES_SAMPLER", "always_on", "always_off", "traceidratio",
		"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")
	arg := strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil || arg == "" || !strings.HasSuffix(os.Getenv("OTEL_TRACES_SAMPLER"), "ratio") {
		return err
	}
	if f, err := strconv.ParseFloat(arg, 64); err != nil || f < 0 || f > 1 || math.IsNaN(f) {
		return fmt.Errorf("variable OTEL_TRACES_SAMPLER_ARG %q is not between 0 and 1", arg)
	}
	return nil
}

// oneOf checks a variable that may also be unset.
func oneOf(name string, allowed ...string) error {
	value := os.Getenv(name)
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("variable %s is %q, want one of %s", name, value, strings.Join(allowed, ", "))
}
