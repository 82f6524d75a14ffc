package loop

import (
	"slices"
	"sync"

	"aidloop/syncproto"
)

// renewKeys wraps the keys that a device's group brings under the newest key of their bucket, and puts keys back that a
// restore of the database has taken from under its values.
func (t *trial) renewKeys() error {
	for _, d := range slices.Clone(t.g.order) {
		if d.dirty && d.rec.Kind == "key" && !d.rec.Deleted {
			if _, err := t.g.renewKey(d, false); err != nil {
				return err
			}
		}
	}
	for i := range t.group.Changes {
		if err := t.g.recoverKeys(t.root, t.group.Changes[i].Fields); err != nil {
			return err
		}
	}
	return nil
}

// recoverKeys looks at the keys that values are sealed under. The root's key record names the usual ones, so that nothing
// needs to be opened.
func (g *group) recoverKeys(root syncproto.Ref, fields syncproto.Object) error {
	var own *draft
	for _, f := range fields {
		kid := syncproto.SealedBy(f.Value)
		if kid == "" {
			continue
		}
		if own == nil {
			var err error
			if own, err = g.open(keyRef(root)); err != nil || !own.exists {
				return err
			}
		}
		set, err := syncproto.ParseObject(own.rec.Body.Get("keys"))
		if err != nil {
			return err
		}
		if !set.Has(kid) {
			if err := g.recoverKey(root, kid); err != nil {
				return err
			}
		}
	}
	return nil
}

// recoverKey adds a renewed case key to the key record that it was derived for, unless some record of the root has it. The
// records say so, not the root's keyring: a key may have been recalled onto that for one value alone.
func (g *group) recoverKey(root syncproto.Ref, kid string) error {
	var carriers []syncproto.Ref
	err := g.w.tx.ByRoot(root, "key", func(s *Stored) error { carriers = append(carriers, s.Ref); return nil })
	if err != nil {
		return err
	}
	for _, ref := range carriers {
		d, err := g.open(ref)
		if err != nil {
			return err
		}
		set, err := syncproto.ParseObject(d.rec.Body.Get("keys"))
		if err != nil || set.Has(kid) {
			return err
		}
	}
	for _, ref := range carriers {
		if n := g.w.l.renewals.of(ref)[kid]; n > 0 {
			return g.addKey(ref, g.w.l.secrets.caseKey(ref, n))
		}
	}
	return nil
}

func (g *group) addKey(carrier syncproto.Ref, k syncproto.Key) error {
	d, err := g.live(carrier)
	if err != nil {
		return err
	}
	keys, err := g.w.l.rewrap(g.w.tx, carrier, d.rec.Body.Get("keys"), d.bucket, d.bucket)
	if err != nil {
		return err
	}
	bk, err := g.w.l.bucketKey(g.w.tx, d.bucket)
	if err != nil {
		return err
	}
	keys[k.ID()] = syncproto.NewSealer(bk).Wrap(carrier, k)
	_, err = g.serverSet(carrier, map[string]any{"keys": keys})
	delete(g.w.rings, d.rec.Root)
	return err
}

// maxRenewals bounds the carriers whose renewals are kept in memory.
const maxRenewals = 1024

// renewals keeps the ids of the renewed case keys of carriers that somebody asked for. They are derived, so that what is
// kept never changes: a phone that goes on sealing under a key that nobody knows costs little each time.
type renewals struct {
	secrets Secrets
	mu      sync.Mutex
	known   map[syncproto.Ref]map[string]int
}

// of are the numbers of a carrier's renewals by key id.
func (r *renewals) of(carrier syncproto.Ref) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ids, ok := r.known[carrier]; ok {
		return ids
	}
	if r.known == nil || len(r.known) >= maxRenewals {
		r.known = map[syncproto.Ref]map[string]int{}
	}
	ids := make(map[string]int, maxCaseKeys)
	for n := 1; n <= maxCaseKeys; n++ {
		ids[r.secrets.caseKey(carrier, n).ID()] = n
	}
	r.known[carrier] = ids
	return ids
}
