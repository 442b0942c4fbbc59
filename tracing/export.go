package tracing

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const grpcProtocol = "grpc"

// openExporter returns the exporter that cfg and the variables ask for, nil if
// they ask for none.
func openExporter(ctx context.Context, cfg Config) (sdktrace.SpanExporter, error) {
	wanted := os.Getenv("OTEL_TRACES_EXPORTER")
	switch {
	case cfg.Exporter != nil:
		return cfg.Exporter, nil
	case wanted == "none", cfg.Endpoint == "" && wanted == "" && variableEndpoint() == "":
		return nil, nil
	case cfg.protocol() == grpcProtocol:
		return openGRPC(ctx, cfg)
	default:
		return openHTTP(ctx, cfg)
	}
}

// openGRPC and openHTTP leave everything but the endpoint to the variables,
// which the exporters read themselves.
func openGRPC(ctx context.Context, cfg Config) (sdktrace.SpanExporter, error) {
	if cfg.Endpoint == "" {
		return otlptracegrpc.New(ctx)
	}
	return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(cfg.collector().String()))
}

func openHTTP(ctx context.Context, cfg Config) (sdktrace.SpanExporter, error) {
	if cfg.Endpoint == "" {
		return otlptracehttp.New(ctx)
	}
	u := cfg.collector()
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
}

// protocol is what the variables say, else what the port tells, else gRPC for
// an endpoint of ours and http/protobuf for one of a variable.
func (cfg Config) protocol() string {
	if p := variable("PROTOCOL"); p != "" {
		return p
	}
	u := cfg.collector()
	byDefault := grpcProtocol
	if cfg.Endpoint == "" {
		u, _ = url.Parse(variableEndpoint()) // checked by checkVariables
		byDefault = "http/protobuf"
	}
	switch u.Port() {
	case "4317":
		return grpcProtocol
	case "4318":
		return "http/protobuf"
	default:
		return byDefault
	}
}

// variable returns OTEL_EXPORTER_OTLP_TRACES_<name>, else
// OTEL_EXPORTER_OTLP_<name>.
func variable(name string) string {
	return cmp.Or(
		strings.TrimSpace(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name)),
		strings.TrimSpace(os.Getenv("OTEL_EXPORTER_OTLP_"+name)),
	)
}

func variableEndpoint() string { return variable("ENDPOINT") }

// describe names this process. What the configuration says beats
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME; our defaults do not.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	var said []attribute.KeyValue
	for _, a := range []struct{ key, value string }{
		{"service.name", cfg.Service},
		{"service.version", cfg.Version},
		{"service.instance.id", cfg.Node},
	} {
		if a.value != "" {
			said = append(said, attribute.String(a.key, a.value))
		}
	}
	return resource.New(ctx, // later options win
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", DefaultService)),
		resource.WithFromEnv(),
		resource.WithAttributes(said...),
	)
}
