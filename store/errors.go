package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// hopeless reports whether the same request will fail again: it is wrong or not
// permitted. Whatever else etcd or the way to it says may pass.
func hopeless(err error) bool {
	if _, ok := errors.AsType[finalError](err); ok {
		return true
	}
	switch {
	case fatal(err):
		return true
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, rpctypes.ErrTooManyRequests),
		errors.Is(err, rpctypes.ErrAuthOldRevision), errors.Is(err, rpctypes.ErrUserEmpty):
		return false
	}
	switch codeOf(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.ResourceExhausted, codes.Unimplemented:
		return true
	default:
		return false
	}
}

// fatal reports whether nothing at all can be done any more. A seal key that is
// not here may come.
func fatal(err error) bool {
	return errors.Is(err, ErrUnsupported) && !awaitsKey(err) || errors.Is(err, errClosed)
}

// endOf returns the error of a context that has ended, and its cause.
func endOf(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// codeOf returns the code of an error of etcd or of the connection to it.
func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	}
	return status.Code(err)
}

// leaseLost reports whether a transaction was refused, as a whole, because a
// lease it names has ended.
func leaseLost(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }
