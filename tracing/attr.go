package tracing

import (
	"encoding"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"reflect"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// convert turns slog's attributes into OpenTelemetry's.
func convert(attrs []slog.Attr) []attribute.KeyValue {
	return appendAttrs(make([]attribute.KeyValue, 0, len(attrs)), "", attrs)
}

func appendAttrs(to []attribute.KeyValue, prefix string, attrs []slog.Attr) []attribute.KeyValue {
	for _, a := range attrs {
		v := a.Value.Resolve()
		switch {
		case v.Kind() == slog.KindGroup && a.Key == "": // slog inlines these
			to = appendAttrs(to, prefix, v.Group())
		case v.Kind() == slog.KindGroup:
			to = appendAttrs(to, prefix+a.Key+".", v.Group())
		case a.Key != "":
			to = append(to, attribute.KeyValue{Key: attribute.Key(prefix + a.Key), Value: value(v)})
		}
	}
	return to
}

func value(v slog.Value) attribute.Value {
	switch v.Kind() {
	case slog.KindString:
		return attribute.StringValue(scrub(v.String()))
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64())
	case slog.KindUint64:
		return unsigned(v.Uint64())
	case slog.KindFloat64:
		return attribute.Float64Value(v.Float64())
	case slog.KindBool:
		return attribute.BoolValue(v.Bool())
	case slog.KindDuration:
		return attribute.Float64Value(v.Duration().Seconds())
	case slog.KindTime:
		return attribute.StringValue(v.Time().UTC().Format(time.RFC3339Nano))
	default:
		return anything(v.Any())
	}
}

// anything takes text only from types that mean to have one. URLs and user
// information do mean to, and are the very thing to keep out.
func anything(v any) attribute.Value {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
		return attribute.StringValue("<nil>") // whose methods would panic
	}
	switch v := v.(type) {
	case nil:
		return attribute.StringValue("<nil>")
	case error:
		return attribute.StringValue(redact(v))
	case *url.URL:
		return attribute.StringValue(bare(v))
	case *url.Userinfo:
		return attribute.StringValue(redacted)
	case []string:
		return attribute.StringSliceValue(scrubAll(v))
	case encoding.TextMarshaler:
		if text, err := v.MarshalText(); err == nil {
			return attribute.StringValue(scrub(string(text)))
		}
	case fmt.Stringer:
		return attribute.StringValue(scrub(v.String()))
	}
	return basic(reflect.ValueOf(v))
}

// basic keeps named strings and numbers, and the bare type name of the rest.
func basic(v reflect.Value) attribute.Value {
	switch {
	case v.Kind() == reflect.String:
		return attribute.StringValue(scrub(v.String()))
	case v.Kind() == reflect.Bool:
		return attribute.BoolValue(v.Bool())
	case v.CanInt():
		return attribute.Int64Value(v.Int())
	case v.CanUint():
		return unsigned(v.Uint())
	case v.CanFloat():
		return attribute.Float64Value(v.Float())
	default:
		return attribute.StringValue(v.Type().String())
	}
}

// unsigned keeps the digits of what OpenTelemetry's signed numbers cannot hold.
func unsigned(n uint64) attribute.Value {
	if n > math.MaxInt64 {
		return attribute.StringValue(fmt.Sprint(n))
	}
	return attribute.Int64Value(int64(n))
}
