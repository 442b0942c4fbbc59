package coordinator_test

import (
	"maps"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

const (
	oauthClient  = "freshet"
	oauthSubject = "alice"
)

// oauthApp registers a client at the sandbox's OAuth server, has a user consent,
// and returns the app that keeps its token.
func (c *cluster) oauthApp(client sandbox.OAuthClient, options map[string]string) coordinator.App {
	c.Helper()
	c.must(c.sandbox.UpdateOAuthClient(oauthClient, func(registered *sandbox.OAuthClient) error {
		client.ID, client.Secret = oauthClient, "s3cret"
		*registered = client
		return nil
	}))
	app := coordinator.App{
		Name: "crm", Provider: "oauth2", Owner: "api:test", Upstream: "https://login.example.com/oauth/token",
		Credentials: map[string]coordinator.Secret{
			"client_id": coordinator.NewSecret(oauthClient), "client_secret": coordinator.NewSecret("s3cret"),
		},
		Options: map[string]string{"grant": "refresh_token", "rotation": string(client.Rotation)},
		Tokens:  map[string]coordinator.TokenSettings{"access_token": {Options: map[string]string{"scope": "a b"}}},
	}
	maps.Copy(app.Options, options)
	return c.consented(app)
}

// consented returns the app with a refresh token that a user gives now.
func (c *cluster) consented(app coordinator.App) coordinator.App {
	c.Helper()
	refresh, err := c.sandbox.Issue(oauthClient, oauthSubject)
	c.must(err)
	app.Credentials = maps.Clone(app.Credentials)
	app.Credentials[coordinator.CredentialRefresh] = coordinator.NewSecret(refresh)
	return app
}

// unbroken checks that the cluster keeps the refresh token that lives and has never
// presented a replaced one.
func (c *cluster) unbroken() {
	c.Helper()
	oauth := c.sandbox.Oracle().Apps[oauthClient].OAuth
	if !c.sandbox.LiveRefresh(oauthClient, c.grant().Current.Reveal()) || oauth.Reused != 0 || oauth.Revoked != 0 {
		c.Errorf("reused %d, revoked %d, or the grant is lost", oauth.Reused, oauth.Revoked)
	}
	if peak := c.sandbox.Oracle().Apps[oauthClient].Minting.Peak; peak != 1 {
		c.Errorf("%d calls at once", peak)
	}
}

// TestTwoDaysOfGrants keeps an hourly token of each class of rotation, with a
// refresher that is cut off and a platform that is short of patience.
func TestTwoDaysOfGrants(t *testing.T) {
	for _, client := range []sandbox.OAuthClient{
		{Rotation: sandbox.RotateNone},
		{Rotation: sandbox.RotateOldStays},
		{Rotation: sandbox.RotateGrace},
		{Rotation: sandbox.RotateStrict, OmitExpiresIn: true},
	} {
		t.Run(string(client.Rotation), func(t *testing.T) {
			bubbleOf(t, 3, calm(), func(c *cluster) {
				c.apply(c.nodes[0], c.oauthApp(client, nil))
				c.value(c.nodes[1], crmToken, 0)
				for range 2 {
					c.must(c.sandbox.AddFault(sandbox.Fault{App: oauthClient, Do: sandbox.Refuse, Error: "slow_down", Status: 429, Count: 3}))
					time.Sleep(12 * time.Hour)
					leader, others := c.refresher()
					leader.store.Partition()
					time.Sleep(12 * time.Hour)
					for _, m := range others {
						v, err := m.Read(c.Context(), crmToken, coordinator.Want{})
						if err != nil || !c.sandbox.Alive(v.Token.Value.Reveal()) {
							c.Fatalf("%s: %v", m.Name(), err)
						}
					}
					leader.store.Heal()
				}
				c.unbroken()
				c.between("tokens in two days", c.sandbox.Oracle().Apps[oauthClient].OAuth.Issued, 55, 95)
			})
		})
	}
}

// TestAnAnswerLostByTheServer is window W5 at a server that revokes: nothing is
// presented again, and a new consent heals it.
func TestAnAnswerLostByTheServer(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		app := c.oauthApp(sandbox.OAuthClient{Rotation: sandbox.RotateStrict}, nil)
		c.apply(c.nodes[0], app)
		c.value(c.nodes[1], crmToken, 0)
		c.must(c.sandbox.AddFault(sandbox.Fault{App: oauthClient, Do: sandbox.Reset, When: sandbox.After, Count: 1}))
		time.Sleep(12 * time.Hour)
		v, _ := c.nodes[1].View(crmToken)
		oauth := c.sandbox.Oracle().Apps[oauthClient].OAuth
		if v.State.Status != coordinator.StatusUncertain || oauth.Reused != 0 || oauth.RefreshTokens != 3 {
			c.Fatalf("status %s, %+v; want it uncertain after two uses", v.State.Status, oauth)
		}
		_, err := c.nodes[0].Apply(c.Context(), c.consented(app), coordinator.Applying{ReplaceGrant: true})
		c.must(err)
		c.value(c.nodes[1], crmToken, v.Version())
		c.unbroken()
	})
}

// TestAnAnswerLostByAForgivingServer: within the grace the same refresh token is
// presented again and brings the same successor.
func TestAnAnswerLostByAForgivingServer(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.apply(c.nodes[0], c.oauthApp(sandbox.OAuthClient{Rotation: sandbox.RotateGrace}, map[string]string{"grace": "10m"}))
		first := c.value(c.nodes[1], crmToken, 0)
		c.must(c.sandbox.AddFault(sandbox.Fault{App: oauthClient, Do: sandbox.Reset, When: sandbox.After, Count: 1}))
		time.Sleep(time.Hour)
		c.value(c.nodes[1], crmToken, first.Version())
		oauth := c.sandbox.Oracle().Apps[oauthClient].OAuth
		if oauth.Reused != 1 || oauth.Revoked != 0 || !c.sandbox.LiveRefresh(oauthClient, c.grant().Current.Reveal()) {
			c.Errorf("%+v, or the grant is lost", oauth)
		}
	})
}
