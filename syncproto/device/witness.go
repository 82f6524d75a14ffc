package device

import (
	"strings"

	"aidloop/syncproto"
)

// maxWitnesses bounds the rows of lost lives that a phone keeps until the server has them.
const maxWitnesses = 5000

// bearWitness keeps the rows of a bucket that the server does not know any more although it sent them, in a life of its
// database that was lost: next are the rows that take their place. What this phone made itself it pushes again.
func (r *Response) bearWitness(t Tx, bucket string, next map[string][]byte) error {
	var cur cursor
	if ok, err := getJSON(t, keyCursor(bucket), &cur); err != nil || !ok || cur.Incarnation == r.inc {
		return err
	}
	st, err := loadState(t)
	if err != nil {
		return err
	}
	kept := 0
	if err := t.Scan(keyWitness, func(string, []byte) (bool, error) { kept++; return true, nil }); err != nil {
		return err
	}
	lost := map[string][]byte{}
	err = t.Scan(keyRows(bucket), func(key string, old []byte) (bool, error) {
		ref := strings.TrimPrefix(key, keyRows(bucket))
		is, err := r.differs(old, next[ref], st.Pruned)
		if is {
			lost[keyWitness+cur.Incarnation+"/"+bucket+"/"+ref] = old
		}
		return kept+len(lost) < maxWitnesses, err
	})
	for _, key := range sortedKeys(lost) {
		if err == nil {
			err = t.Put(key, lost[key])
		}
	}
	return err
}

const keyWitness = "witness/"

// differs reports whether a row holds a version that another one lacks, and that this phone cannot push again: it did not
// write it, or has forgotten what it captured, up to its change pruned. Outcomes
// are written anew when the groups are judged again, and keys are no business of people's.
func (r *Response) differs(old, next []byte, pruned uint64) (bool, error) {
	was, _, err := parsedRow(old)
	if err != nil || was == nil || was.Kind == "outcome" || was.Kind == "key" {
		return false, nil // a row that has rotted bears no witness
	}
	now, _, err := parsedRow(next)
	if err != nil {
		return false, err
	}
	fields := append([]syncproto.FieldVersion{{Version: was.Version}}, was.Fields...)
	for _, f := range fields {
		if origin, n, _ := f.Stamp.Split(); origin == r.e.id.Device && n > pruned {
			continue
		}
		if now == nil || f.Name == "" && now.Version.Stamp != f.Stamp || f.Name != "" && now.Of(f.Name).Stamp != f.Stamp {
			return true, nil
		}
	}
	return false, nil
}

func parsedRow(payload []byte) (*syncproto.Envelope, syncproto.Row, error) {
	if len(payload) == 0 {
		return nil, syncproto.Row{}, nil
	}
	row, err := syncproto.ParseRow(payload)
	if err != nil {
		return nil, row, err
	}
	env, err := syncproto.ParseEnvelope(row.Envelope)
	return &env, row, err
}

// appendWitnesses adds witness frames to a request, as far as they fit, and names them by their keys.
func (e *Engine) appendWitnesses(t Tx, b *[]byte, limit int) (frames int, keys []string, err error) {
	err = t.Scan(keyWitness, func(key string, row []byte) (bool, error) {
		if frames == syncproto.MaxWitnesses || len(*b)+len(row) > limit {
			return false, nil
		}
		*b = syncproto.AppendWitness(*b, row)
		keys = append(keys, key)
		frames++
		return true, nil
	})
	return frames, keys, err
}

// witnessed forgets the witnesses that the server has taken.
func (r *Response) witnessed(t Tx, n int) error {
	for _, key := range r.e.witnesses[:min(max(n, 0), len(r.e.witnesses))] {
		if err := t.Delete(key); err != nil {
			return err
		}
	}
	r.e.witnesses = nil
	return nil
}

// resend lets every photo go out again that the phone still holds: a server that was put back may lack any of them.
func resend(t Tx) error {
	var list []Blob
	if err := eachBlob(t, func(b *Blob) { list = append(list, *b) }); err != nil {
		return err
	}
	for _, b := range list {
		b.Sent, b.Offset, b.Upload, b.SentAt = false, 0, "", 0
		if err := putJSON(t, keyBlob(b.SHA256), b); err != nil {
			return err
		}
	}
	return nil
}

// pruneBlobs forgets photos that the server has had for as long as acknowledged groups are kept.
func pruneBlobs(t Tx, now int64) error {
	var list []Blob
	if err := eachBlob(t, func(b *Blob) {
		if b.Sent && (b.SentAt == 0 || now-b.SentAt > syncproto.RetentionDays*24*3600*1000) {
			list = append(list, *b)
		}
	}); err != nil {
		return err
	}
	for _, b := range list {
		if b.SentAt == 0 {
			b.SentAt = now
			if err := putJSON(t, keyBlob(b.SHA256), b); err != nil {
				return err
			}
			continue
		}
		if err := t.Delete(keyBlobData(b.SHA256)); err != nil {
			return err
		}
		if err := t.Delete(keyBlob(b.SHA256)); err != nil {
			return err
		}
	}
	return nil
}
