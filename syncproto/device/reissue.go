package device

import (
	"errors"
	"fmt"

	"aidloop/syncproto"
)

// Reissue gives the phone a new identity of the same user after its history forked or its device was revoked. Every
// group that it still keeps is numbered, chained and signed anew, with a word of where it came from, by which the
// server knows what it has already; only what the author dismissed is left behind. Rows, keys and photos stay. It
// takes no key, so that a phone which was erased can do it too. It returns how many groups were reissued. The engine goes on under the new identity.
func (e *Engine) Reissue(id Identity) (n int, err error) {
	if id.User != e.id.User {
		return 0, fmt.Errorf("device: this phone holds the work of %s", e.id.User)
	}
	newest := id.UserKey
	id.UserKey, id.FormerKeys = e.id.UserKey, e.id.FormerKeys // photos lie under keys that it was given before
	id.renew(newest)
	err = e.store.Update(func(t Tx) error {
		n = 0
		old, err := e.kept(t)
		if err != nil {
			return err
		}
		st, err := loadState(t)
		if err != nil {
			return err
		}
		st = state{Next: 1, Head: syncproto.ChainStart(id.Device).String(), Incarnation: st.Incarnation, SyncedAt: st.SyncedAt,
			ServerNow: st.ServerNow, Former: st.Former, Recipient: st.Recipient}
		if err := putJSON(t, keyState, st); err != nil {
			return err
		}
		stamps := map[syncproto.Stamp]syncproto.Stamp{}
		for _, k := range old {
			if err := t.Delete(keyEntry(k.entry.Dseq)); err != nil {
				return err
			}
			if err := t.Delete(keyGroup(k.entry.Dseq)); err != nil {
				return err
			}
		}
		for _, k := range old {
			if k.entry.State == Dismissed || k.group == nil {
				continue
			}
			if err := k.reissue(t, id, stamps); err != nil {
				return err
			}
			n++
		}
		if err := clearPrefix(t, "receipt"); err != nil {
			return err
		}
		return putJSON(t, keyIdentity, id)
	})
	if err == nil {
		e.id = id
	}
	return n, err
}

// keptGroup is a group of the former identity.
type keptGroup struct {
	entry Entry
	group *syncproto.Group
	hash  syncproto.Hash
}

func (e *Engine) kept(t Tx) (list []keptGroup, err error) {
	err = entries(t, func(x *Entry) (bool, error) {
		sg, err := frozen(t, x.Dseq)
		if errors.Is(err, errGone) {
			list = append(list, keptGroup{entry: *x})
			return true, nil
		}
		if err != nil {
			return false, err
		}
		g, err := sg.Parse(e.id.Device)
		list = append(list, keptGroup{*x, g, syncproto.GroupHash(sg.Bytes)})
		return true, err
	})
	return list, err
}

// reissue writes a group under the new identity. Stamps of changes that were reissued before it are renamed in its
// bases, since the server may know them only under their new names.
func (k *keptGroup) reissue(t Tx, id Identity, stamps map[syncproto.Stamp]syncproto.Stamp) error {
	st, err := loadState(t)
	if err != nil {
		return err
	}
	g := *k.group
	if g.Origin == nil {
		g.Origin = &syncproto.Origin{Device: g.Device, Dseq: g.Dseq, Hash: k.hash}
	}
	g.Device, g.Dseq = id.Device, st.Next
	for i := range g.Changes {
		c := &g.Changes[i]
		if k.entry.State == Pending || k.entry.State == Held { // what is on record keeps its name there
			stamps[syncproto.MakeStamp(k.group.Device, k.entry.Dseq+uint64(i))] = syncproto.MakeStamp(g.Device, g.Dseq+uint64(i))
		}
		if c.Base == nil {
			continue
		}
		base := make(map[string]syncproto.Stamp, len(c.Base))
		for field, s := range c.Base {
			if renamed, ok := stamps[s]; ok {
				s = renamed
			}
			base[field] = s
		}
		c.Base = base
	}
	_, err = keep(t, st, &g, k.entry.Captured)
	return err
}
