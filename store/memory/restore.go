package memory

import (
	"maps"
	"slices"
	"time"
)

// Backup keeps all there is now. The function it returns puts it back, as a
// cluster is restored from a backup while its nodes live: revisions begin again
// from that of the backup, watches begin again with a snapshot that says so,
// and sessions that the backup does not know are gone.
func (c *Cluster) Backup() (restore func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	revision, apps, sessions := c.revision, c.apps, slices.Clone(c.sessions)
	keys := map[kind]map[string]*entry{}
	for of, entries := range c.keys {
		keys[of] = maps.Clone(entries)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.expireLocked()
		c.revision, c.apps, c.sessions, c.keys = revision, apps, slices.Clone(sessions), map[kind]map[string]*entry{}
		for of, entries := range keys {
			c.keys[of] = maps.Clone(entries)
		}
		c.history, c.compacted = nil, revision
		c.restores++
		for _, held := range c.sessions {
			held.ends = time.Now().Add(c.config.SessionTTL)
		}
		c.scheduleLocked()
		c.wakeLocked()
	}
}

// scheduleLocked begins again to wait for what expires by itself.
func (c *Cluster) scheduleLocked() {
	c.expiries = nil
	for of, entries := range c.keys {
		for id, e := range entries {
			if e.record == nil {
				continue
			}
			if at := c.expiryOf(e.record); !at.IsZero() {
				c.expiries.add(expiry{at, key{of, id}, e.mod})
			}
		}
	}
}
