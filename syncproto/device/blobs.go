package device

import (
	"crypto/sha256"
	"encoding/hex"
)

// Blob is a photo or signature on its way to the server. It is named by the SHA-256 of its bytes, and goes its own way
// after the text.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	MIME   string `json:"mime"`
	Upload string `json:"upload,omitempty"` // the address of the upload that was begun
	Offset int64  `json:"offset"`           // how much of it the server has
	Sent   bool   `json:"sent"`
	SentAt int64  `json:"sent_at,omitempty"` // by the server's clock, from the exchange that followed; 0 before it
	Order  int64  `json:"order"`             // smaller ones go first: signatures before photos
}

func keyBlob(sha string) string     { return "blob/" + sha }
func keyBlobData(sha string) string { return "blobdata/" + sha }

// AddBlob keeps a blob until it is sent. The same bytes again are the same blob.
func (e *Engine) AddBlob(data []byte, mime string) (sha string, err error) {
	sum := sha256.Sum256(data)
	sha = hex.EncodeToString(sum[:])
	return sha, e.store.Update(func(t Tx) error {
		if b, err := t.Get(keyBlob(sha)); err != nil || b != nil {
			return err
		}
		if err := t.Put(keyBlobData(sha), data); err != nil {
			return err
		}
		return putJSON(t, keyBlob(sha), Blob{SHA256: sha, Size: int64(len(data)), MIME: mime, Order: int64(len(data))})
	})
}

func eachBlob(t Tx, fn func(*Blob)) error {
	return t.Scan("blob/", func(_ string, value []byte) (bool, error) {
		var b Blob
		if err := unmarshal(value, &b); err != nil {
			return false, err
		}
		fn(&b)
		return true, nil
	})
}

// NextBlob is the smallest blob that has not been sent, or nil.
func (e *Engine) NextBlob() (next *Blob, err error) {
	err = e.store.View(func(t Tx) error {
		return eachBlob(t, func(b *Blob) {
			if !b.Sent && (next == nil || b.Order < next.Order) {
				next = b
			}
		})
	})
	return next, err
}

// BlobData returns the bytes of a blob.
func (e *Engine) BlobData(sha string) (data []byte, err error) {
	err = e.store.View(func(t Tx) error {
		data, err = t.Get(keyBlobData(sha))
		return err
	})
	return data, err
}

// BlobProgress writes down how far a blob has come, so that a later process goes on from there.
func (e *Engine) BlobProgress(b Blob) error {
	return e.store.Update(func(t Tx) error { return putJSON(t, keyBlob(b.SHA256), b) })
}
