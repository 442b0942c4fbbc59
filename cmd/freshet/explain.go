package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"freshet/httpapi/client"
)

// explain says in one sentence what a failed call means and what to do, and
// gives it its exit code.
func (c *cluster) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, decided := errors.AsType[*codedError](err); decided || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ours := errors.AsType[*configError](err); ours {
		return err // a mistake in a file, which no node has seen
	}
	if problem, ok := errors.AsType[*client.Problem](err); ok {
		return c.explainProblem(problem)
	}
	return &codedError{code: exitUnreachable, err: c.explainSilence(err)}
}

// explainProblem is about a node that answered.
func (c *cluster) explainProblem(p *client.Problem) error {
	switch p.Code {
	case client.CodeUnauthenticated:
		return &codedError{code: exitRefused, err: errors.New(c.whyUnauthenticated())}
	case client.CodeForbidden:
		return &codedError{code: exitRefused, err: errors.New(whyForbidden(p))}
	case client.CodeUnknownToken:
		return &codedError{code: exitRefused, err: fmt.Errorf("%s; freshet status shows those there are", detail(p))}
	case client.CodeUnknownApp:
		return &codedError{code: exitRefused, err: fmt.Errorf("%s; freshet apps list shows those there are", detail(p))}
	case client.CodeUnknownClient:
		return &codedError{code: exitRefused, err: fmt.Errorf("%s; freshet clients list shows those there are", detail(p))}
	case client.CodeNotFound:
		return &codedError{code: exitUnreachable, err: fmt.Errorf("what answers at %s has no such route: is it the port of the API?", c.where())}
	case client.CodeTokenPending, client.CodeNoValidToken, client.CodeNoNewerToken, client.CodeReauthorize, client.CodeBudgetExhausted:
		return &codedError{code: exitNoToken, err: errors.New(tokenDetail(p))}
	case client.CodeInvalidRequest, client.CodeBodyTooLarge, client.CodeMediaType:
		return &codedError{code: exitUsage, err: errors.New(detail(p))}
	case client.CodeUnavailable, client.CodeStale: // their details say to try again
		return &codedError{code: exitUnreachable, err: errors.New(detail(p))}
	case client.CodeNotSynced, client.CodeDraining:
		return &codedError{code: exitUnreachable, err: fmt.Errorf("%s; try again, or another node", detail(p))}
	}
	if strings.HasPrefix(p.Code, "http_") {
		return &codedError{code: exitUnreachable, err: fmt.Errorf("what answers at %s is not freshet's API (status %d): check the address, its port and http or https", c.where(), p.Status)}
	}
	return &codedError{code: exitFailure, err: errors.New(detail(p))}
}

func (c *cluster) whyUnauthenticated() string {
	if c.hasKey {
		return "the cluster does not know this client key, or it has expired: check FRESHET_KEY or --key-file"
	}
	return "a client key is needed: set FRESHET_KEY, or name a file with --key-file"
}

// whyForbidden says once that the client may not, and of what that is known.
func whyForbidden(p *client.Problem) string {
	if rest, found := strings.CutPrefix(p.Detail, "this client may not do this"); found {
		return "the client key may not do this" + rest
	}
	return "the client key may not do this: " + detail(p)
}

// explainSilence is about a call that no node answered.
func (c *cluster) explainSilence(err error) error {
	where := c.where()
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("the certificate of %s is not of a known authority: name it with --ca", where)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("nobody answers at %s: start a node, or say with --addr or FRESHET_ADDR where one is (%w)", where, op.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer from %s in time: is it freshet, and is the network fine?", where)
	}
	text := err.Error()
	for _, sign := range []string{"malformed HTTP", "HTTP response to HTTPS client", "is not what this API answers", "tls:"} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("what answers at %s is not freshet's API: check the address, its port and http or https", where)
		}
	}
	return err
}

func (c *cluster) where() string { return strings.Join(c.addresses, ", ") }

// isCode reports whether a node refused with this code.
func isCode(err error, code string) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Code == code
}

func detail(p *client.Problem) string { return firstSet(p.Detail, p.Title) }

// tokenDetail adds what is known of the token, and when to ask again.
func tokenDetail(p *client.Problem) string {
	text := detail(p)
	if p.Reason != "" && !strings.Contains(text, p.Reason) {
		text += ": " + p.Reason
	}
	if p.State != "" {
		text += " (state " + p.State + ")"
	}
	if p.RetryAfter > 0 {
		text += "; ask again in " + roughly(p.RetryAfter)
	}
	return text
}
