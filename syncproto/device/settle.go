package device

import (
	"errors"
	"fmt"

	"aidloop/syncproto"
)

// Settle is the drafts that settle an open conflict: with take, the value that lost is written over what stands now (or
// removed, or the record deleted, where that is what lost); without, what stands is confirmed. Capture them under the
// conflict's root. Drafts of a sealed value carry it as it was sealed for the same field.
func (e *Engine) Settle(conflict string, take bool) (root syncproto.Ref, drafts []Draft, err error) {
	ref := syncproto.Ref{Kind: "conflict", ID: conflict}
	err = e.store.View(func(t Tx) error {
		c, err := e.view(t, ref)
		if err != nil {
			return err
		}
		if c == nil || c.Body.Str("state") != "open" || len(c.Acts) > 0 {
			return fmt.Errorf("device: there is no open conflict %s on this phone", conflict)
		}
		root = c.Root
		choice := "keep"
		if take {
			choice = "take"
			d, err := e.taken(t, c)
			if err != nil {
				return err
			}
			drafts = append(drafts, *d)
		}
		drafts = append(drafts, Draft{Op: syncproto.OpAct, Ref: ref, Act: "settle", Args: syncproto.Fields(map[string]any{"choice": choice})})
		return nil
	})
	return root, drafts, err
}

// taken writes the losing side of a conflict.
func (e *Engine) taken(t Tx, c *View) (*Draft, error) {
	rec, err := syncproto.ParseRef(c.Body.Str("rec"))
	if err != nil {
		return nil, err
	}
	if v, err := e.view(t, rec); err != nil || v == nil {
		return nil, errors.Join(err, errors.New("device: the record is gone; only what stands can be kept"))
	}
	field := c.Body.Str("field")
	loser, err := syncproto.ParseObject(c.Body.Get("loser"))
	if err != nil {
		return nil, err
	}
	switch {
	case field == syncproto.FieldDeleted:
		return &Draft{Op: syncproto.OpDelete, Ref: rec}, nil
	case !loser.Has("value"):
		return &Draft{Op: syncproto.OpSet, Ref: rec, Clear: []string{field}}, nil
	}
	return &Draft{Op: syncproto.OpSet, Ref: rec, Fields: syncproto.Object{{Name: field, Value: loser.Get("value")}}}, nil
}
