package device

import (
	"crypto/ed25519"
	"errors"

	"aidloop/syncproto"
)

var errErased = errors.New("device: this phone was shut out and erased: it must be enrolled anew")

// mayErase says whether everything that can be sent was sent. A phone whose history is not the server's any more can send
// nothing under its name; its outbox waits for another one.
func (st *state) mayErase() bool {
	return st.Order == syncproto.OrderErase && st.Erased == nil &&
		(st.Have+1 == st.Next || st.Trouble != "" && st.Trouble != string(syncproto.CodeRevoked))
}

// erase does what a server asks of a phone that was shut out, once nothing is left to send: rows, staged rows, keys and
// the photos that the server has go. The outbox stays, its sealed values closed for want of a key, so that a phone that
// turns up again is enrolled anew and reissues it; so do photos that never arrived, encrypted as they are. What was held
// of each bucket goes into a signed word to the server. Erasing works on phones that cooperate: one that never comes by,
// or runs something else, keeps what it has.
func (r *Response) erase(t Tx, st *state) error {
	said := &syncproto.Erased{At: r.now}
	err := t.Scan("cursor/", func(key string, value []byte) (bool, error) {
		var c cursor
		err := unmarshal(value, &c)
		said.Left = append(said.Left, syncproto.Left{Bucket: key[len("cursor/"):], Cursor: c.String(), Count: c.Count, Digest: c.Digest})
		return len(said.Left) < syncproto.MaxCursors, err
	})
	if err != nil {
		return err
	}
	for _, prefix := range []string{"row/", "place/", "staged/", "staging/", "plan/", "chunk/", "repair/", "cursor/", "left/", keyWitness, "receipt"} {
		if err := clearPrefix(t, prefix); err != nil {
			return err
		}
	}
	var sent []string
	if err := eachBlob(t, func(b *Blob) {
		if b.Sent {
			sent = append(sent, b.SHA256)
		}
	}); err != nil {
		return err
	}
	for _, sha := range sent {
		if err := t.Delete(keyBlobData(sha)); err != nil {
			return err
		}
		if err := t.Delete(keyBlob(sha)); err != nil {
			return err
		}
	}
	said.Sig = ed25519.Sign(r.e.id.Private, said.Text(r.e.id.Device))
	id := r.e.id
	id.UserKey, id.FormerKeys = syncproto.Key{}, nil
	st.Erased, st.Trouble = said, string(syncproto.CodeRevoked)
	return putJSON(t, keyIdentity, id)
}
