package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func newRefresh(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "refresh APP[/TOKEN]",
		Short: "ask for a newer version of a token",
		Long: `Asks the cluster for a version newer than the one it holds, or than --after.
Many who ask for the same get one fetch. --force asks the platform for a new
value even if it thinks the old one good, which platforms allow sparingly. With
--all every token of the app is refreshed. --wait waits for the new version.`,
		Example: `  freshet refresh shop
  freshet refresh shop --force --wait 10s
  freshet refresh shop --all -o json`,
		Args: exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	var body client.RefreshBody
	wait := 10 * time.Second
	addWait(cmd.Flags(), &wait, "how long to wait for it, at most 60s; 0s does not wait")
	all := cmd.Flags().Bool("all", false, "all tokens of the app")
	cmd.Flags().BoolVar(&body.Force, "force", false, "whatever the platform thinks of the old value")
	addVersion(cmd.Flags(), &body.AfterVersion, "after", "a version above this one (default: the one held)")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		body.Wait = client.Duration(wait)
		answers, err := c.refresh(ctx, args[0], body, *all)
		if err != nil {
			return c.sameAgain(ctx, body.Force, err)
		}
		if output.isJSON() {
			return errors.Join(t.json(client.AppRefreshAnswer{Tokens: answers}), refusedTokens(answers))
		}
		t.table(refreshRows(t, answers))
		return refusedTokens(answers)
	})
}

func (c *cluster) refresh(ctx context.Context, arg string, body client.RefreshBody, all bool) ([]client.RefreshAnswer, error) {
	if all {
		if strings.Contains(arg, "/") || body.AfterVersion > 0 {
			return nil, usagef("--all takes the name of an app, and no --after")
		}
		answer, err := c.RefreshApp(ctx, arg, client.AppRefreshBody{Force: body.Force, Wait: body.Wait})
		return answer.Tokens, err
	}
	name, err := tokenNamed(arg)
	if err != nil {
		return nil, err
	}
	answer, err := c.Refresh(ctx, name, body)
	return []client.RefreshAnswer{answer}, err
}

// sameAgain says so where there is no newer value because the platform repeated
// the old one, which platforms do while they think it good.
func (c *cluster) sameAgain(ctx context.Context, forced bool, err error) error {
	p, ok := errors.AsType[*client.Problem](err)
	if forced || !ok || p.Code != client.CodeNoNewerToken {
		return err
	}
	state, unknown := c.State(ctx, p.App+"/"+p.Token)
	switch {
	case unknown != nil && p.State == string(coordinator.StatusFresh):
		return &codedError{code: exitNoToken, err: fmt.Errorf(
			"%s; where the platform repeats a value that is good, --force makes it give another", detail(p))}
	case unknown != nil || len(state.Outcomes) == 0 || state.Outcomes[0].Result != string(coordinator.ResultSame),
		state.Outcomes[0].Message != "": // it was pushed
		return err
	}
	return &codedError{code: exitNoToken, err: fmt.Errorf(
		"the platform gave the same value of %s again; use --force to make it give another", state.Name())}
}

func refreshRows(t *terminal, answers []client.RefreshAnswer) [][]string {
	rows := [][]string{{"TOKEN", "VERSION", "STATE", "EXPIRES", ""}}
	for _, a := range answers {
		note := fmt.Sprintf("on its way; freshet get %s --after %d --wait 30s", a.Name(), a.After)
		switch {
		case a.Problem != nil:
			note = detail(a.Problem)
		case a.Done():
			note = "new"
		}
		rows = append(rows, []string{a.Name(), fmt.Sprint(a.Version), t.state(a.State.State), when(a.ExpiresAt), note})
	}
	return rows
}

// refusedTokens is the error of a refresh of many that some of them refused.
func refusedTokens(answers []client.RefreshAnswer) error {
	var names []string
	for _, a := range answers {
		if a.Problem != nil {
			names = append(names, a.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &codedError{code: exitNoToken, err: fmt.Errorf("no newer value of %s", strings.Join(names, ", "))}
}

// tokenNamed completes and checks the name of a token.
func tokenNamed(arg string) (string, error) {
	name, err := coordinator.ParseName(arg)
	if err != nil {
		return "", usagef("%w", err)
	}
	return name.String(), nil
}
