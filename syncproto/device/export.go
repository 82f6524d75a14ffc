package device

import (
	"errors"
	"io"
	"slices"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// ErrNoRecipient says that this phone has not heard yet where bundles are encrypted to.
var ErrNoRecipient = errors.New("device: this phone does not know its server's recipient yet: sync once, or enrol anew")

// Carry says what a bundle takes along.
type Carry struct {
	PhotoBytes int64 // of photos that wait, smallest first, as far as they fit; 0 for none
	MaxBytes   int   // how much each response of the reply may bring; 0 leaves it to the server
	PushBytes  int   // how much one request of the bundle pushes at most; 0 stands for half of what a server takes
}

// Exported counts what a bundle holds.
type Exported struct {
	First, Last uint64 // changes; 0 where there are none
	Groups      int
	Messages    int
	Photos      int
	Left        int // photos that wait and did not fit
}

// Export writes a bundle for the server: every group whose outcome has not been heard, what the phone wants, and photos
// that wait. It changes nothing, so that a bundle may get lost and another one be made at any time. The bundle can be
// opened by the server alone.
func (e *Engine) Export(w io.Writer, clock syncproto.Clock, c Carry) (out Exported, err error) {
	recipient, err := e.recipient()
	if err != nil {
		return out, err
	}
	sealed, err := bundle.Seal(w, recipient)
	if err != nil {
		return out, err
	}
	head := syncproto.BundleHead{Kind: syncproto.BundlePush, Device: e.id.Device, Created: clock.Wall}
	b, err := syncproto.NewBundleWriter(sealed, syncproto.SignBundle(e.id.Private, &head))
	if err != nil {
		return out, err
	}
	if err := e.exportGroups(b, clock, c, &out); err != nil {
		return out, err
	}
	if err := e.exportPhotos(b, c.PhotoBytes, &out); err != nil {
		return out, err
	}
	return out, errors.Join(b.Close(), sealed.Close())
}

// Recipient is where this phone's bundles are encrypted to, "" where it does not know yet.
func (e *Engine) Recipient() (s string, err error) {
	err = e.store.View(func(t Tx) error {
		st, err := loadState(t)
		if s = st.Recipient; s == "" {
			s = e.id.Recipient
		}
		return err
	})
	return s, err
}

func (e *Engine) recipient() (*bundle.Recipient, error) {
	s, err := e.Recipient()
	if err != nil {
		return nil, err
	}
	if s == "" {
		return nil, ErrNoRecipient
	}
	return bundle.ParseRecipient(s)
}

// exportGroups writes one request after another until every group is in one; the last one says what the phone wants.
func (e *Engine) exportGroups(b *syncproto.BundleWriter, clock syncproto.Clock, c Carry, out *Exported) error {
	limit := c.PushBytes
	if limit <= 0 {
		limit = syncproto.MaxPushBytes / 2
	}
	return e.store.View(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		lost, err := e.gap(t, st)
		if errors.Is(err, errNoHead) {
			lost, err = nil, nil // the identity is over: the next exchange says so
		}
		if err != nil {
			return err
		}
		for after, more := st.Have, true; more; {
			msg, err := e.openRequest(t, st, clock, false)
			if err != nil {
				return err
			}
			from := 1
			declared := lost
			if lost = nil; declared != nil {
				msg = syncproto.AppendJSON(msg, syncproto.FrameLost, declared)
				from++
			}
			p, err := e.appendGroups(t, &msg, after, declared, limit)
			if err != nil {
				return err
			}
			from += p.frames
			if p.frames > 0 && out.First == 0 {
				out.First = p.first
			}
			if p.frames > 0 {
				after, out.Last, out.Groups = p.last, p.last, out.Groups+p.frames-1
			}
			if more = p.more; !more {
				n, _, err := e.appendWitnesses(t, &msg, limit)
				if err != nil {
					return err
				}
				want, err := e.want(t, false)
				if err != nil {
					return err
				}
				want.MaxBytes = c.MaxBytes
				msg = syncproto.AppendJSON(msg, syncproto.FrameWant, want)
				from += n + 1
			}
			out.Messages++
			if err := b.Message(syncproto.AppendJSON(msg, syncproto.FrameEnd, syncproto.End{Frames: from})); err != nil {
				return err
			}
		}
		return nil
	})
}

// exportPhotos adds photos that wait, the smallest first, as far as they fit into the limit.
func (e *Engine) exportPhotos(b *syncproto.BundleWriter, limit int64, out *Exported) error {
	var list []Blob
	err := e.store.View(func(t Tx) error {
		return eachBlob(t, func(x *Blob) {
			if !x.Sent {
				list = append(list, *x)
			}
		})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b Blob) int { return int(a.Order - b.Order) })
	for _, x := range list {
		if x.Size > limit || x.Size > syncproto.MaxPhotoBytes {
			out.Left++
			continue
		}
		data, err := e.BlobData(x.SHA256)
		if errors.Is(err, ErrLocked) || errors.Is(err, ErrSpoilt) {
			out.Left++
			continue
		}
		if err != nil {
			return err
		}
		mime := x.MIME
		if len(mime) > syncproto.MaxMIMELen {
			mime = ""
		}
		if err := b.Photo(syncproto.BundlePhoto{SHA256: x.SHA256, Size: x.Size, MIME: mime}, data); err != nil {
			return err
		}
		limit -= x.Size
		out.Photos++
	}
	return nil
}
