package device

import (
	"errors"
	"io"
	"slices"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// Imported counts what a reply brought.
type Imported struct {
	Responses int
	Late      int              // responses that this phone has been told more than; what they say anew was taken all the same
	Former    int              // responses of a life of the server that was lost since; nothing of them was taken
	Fault     *syncproto.Fault // why rows are missing, or nil
}

// Import takes the server's reply to a bundle. It may come late, more than once, in any order, and cut short: what was
// whole is taken, nothing that the phone knows already goes back. A reply to another phone, or to a former identity of
// this one, is refused with CodeForeignBundle and changes nothing. An exchange that is under way must be given up first.
func (e *Engine) Import(r io.Reader, clock syncproto.Clock) (out Imported, err error) {
	plain, err := bundle.Open(r, bundle.DeviceIdentity(e.id.Private))
	if err != nil {
		return out, err
	}
	b, err := syncproto.NewBundleReader(plain)
	if err != nil {
		return out, err
	}
	if b.Head.Kind != syncproto.BundleReply || b.Head.Device != e.id.Device {
		return out, syncproto.Refuse(syncproto.CodeForeignBundle, "not a reply to this phone")
	}
	if !b.Signed.Verify(e.id.ServerKey) {
		return out, syncproto.Refuse(syncproto.CodeBadSignature, "the reply is not signed by the server")
	}
	for {
		item, err := b.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if item.Message == nil {
			continue // a photo says nothing to a phone
		}
		if err := e.carried(item.Message, clock, &out); err != nil {
			return out, err
		}
	}
}

// carried takes one response out of a bundle.
func (e *Engine) carried(msg []byte, clock syncproto.Clock, out *Imported) error {
	r := e.Response(clock)
	r.carried = true
	for len(msg) > 0 {
		f, rest, err := syncproto.NextFrame(msg)
		if err == nil {
			err = r.Frame(f)
		}
		if err != nil {
			return err
		}
		msg = rest
	}
	_, fault, err := r.Finish()
	if err != nil {
		return err
	}
	out.Responses++
	switch {
	case r.former:
		out.Former++
		return nil
	case r.late:
		out.Late++
	}
	if fault != nil {
		out.Fault = fault
	}
	return nil
}

// maxLives bounds the lost lives of the server that a phone remembers.
const maxLives = 32

// outdated says how late a carried response is: it comes from a life of the server that was lost since, or from before
// the server last said where it stands. Within one life the server never has less than before.
func (r *Response) outdated(st *state, h *syncproto.HelloReply) {
	before := h.Now < st.ServerNow
	switch {
	case h.Incarnation == st.Incarnation:
		r.late = before || h.Have < st.Have
	case st.Incarnation != "":
		r.former = before || slices.Contains(st.Former, h.Incarnation)
	}
}

// kept notes which photos of a bundle the server has.
func (r *Response) kept(k *syncproto.BundleKept) error {
	return r.e.store.Update(func(t Tx) error {
		for _, sha := range k.Photos {
			var b Blob
			if ok, err := getJSON(t, keyBlob(sha), &b); err != nil || !ok || b.Sent {
				if err != nil {
					return err
				}
				continue
			}
			b.Sent, b.Offset = true, b.Size
			if err := putJSON(t, keyBlob(sha), b); err != nil {
				return err
			}
		}
		return nil
	})
}
