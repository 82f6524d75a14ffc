package device

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"aidloop/syncproto"
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
	Key    string `json:"key,omitempty"`     // the id of the user's key that it lies under; "" where there was only one
	Spoilt bool   `json:"spoilt,omitempty"`  // its bytes on this phone are not what they were: it cannot be sent
}

func keyBlob(sha string) string     { return "blob/" + sha }
func keyBlobData(sha string) string { return "blobdata/" + sha }

// blobBox encrypts one blob at rest: AES-256-GCM under a key of its own, by HKDF-SHA-256 from the user's key with the
// blob's name as info. Since the key is for one content only, the nonce may be zero. The engine's own store
// holds the user's key too: on a lost phone the photos are only as closed as that store, until the app keeps the key
// elsewhere.
func blobBox(user syncproto.Key, sha string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, user[:], nil, "aidloop/device/blob/1|"+sha, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

var blobNonce [12]byte

// AddBlob keeps a blob until it is sent. The same bytes again are the same blob.
func (e *Engine) AddBlob(data []byte, mime string) (sha string, err error) {
	sum := sha256.Sum256(data)
	sha = hex.EncodeToString(sum[:])
	if e.id.UserKey == (syncproto.Key{}) {
		return "", errErased
	}
	box, err := blobBox(e.id.UserKey, sha)
	if err != nil {
		return "", err
	}
	return sha, e.store.Update(func(t Tx) error {
		if b, err := t.Get(keyBlob(sha)); err != nil || b != nil {
			return err
		}
		if err := t.Put(keyBlobData(sha), box.Seal(nil, blobNonce[:], data, nil)); err != nil {
			return err
		}
		return putJSON(t, keyBlob(sha), Blob{SHA256: sha, Size: int64(len(data)), MIME: mime, Order: int64(len(data)), Key: e.id.UserKey.ID()})
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

// NextBlob is the smallest blob that can be sent and has not been, or nil. One that has spoilt on this phone, or whose key
// is not here, does not stand in the way of the others.
func (e *Engine) NextBlob() (next *Blob, err error) {
	err = e.store.View(func(t Tx) error {
		return e.eachWaiting(t, func(b *Blob, stuck bool) {
			if !stuck && (next == nil || b.Order < next.Order) {
				next = b
			}
		})
	})
	return next, err
}

// eachWaiting calls fn with every blob that has not been sent. It is stuck if it has spoilt, or its key is not here.
func (e *Engine) eachWaiting(t Tx, fn func(b *Blob, stuck bool)) error {
	keys, err := e.userKeys(t)
	if err != nil {
		return err
	}
	here := func(b *Blob) bool {
		return b.Key == "" && len(keys) > 0 || slices.ContainsFunc(keys, func(k syncproto.Key) bool { return k.ID() == b.Key })
	}
	return eachBlob(t, func(b *Blob) {
		if !b.Sent {
			fn(b, b.Spoilt || !here(b))
		}
	})
}

// SetAside takes a blob out of those that are sent, since its bytes have spoilt. People are told by Status.
func (e *Engine) SetAside(sha string) error {
	return e.store.Update(func(t Tx) error {
		var b Blob
		ok, err := getJSON(t, keyBlob(sha), &b)
		if err != nil || !ok {
			return err
		}
		b.Spoilt = true
		return putJSON(t, keyBlob(sha), b)
	})
}

// ErrSpoilt says that a photo's bytes on this phone are not what they were.
var ErrSpoilt = errors.New("device: the photo is damaged on this phone")

// ErrLocked says that the key of a photo is not on this phone: it was erased, or enrolled anew and has not synced yet.
var ErrLocked = errors.New("device: the key of the photo is not on this phone: sync first")

// BlobData returns the bytes of a blob. One that lies under a user key which is not here fails with ErrLocked: after a new
// enrolment the first exchange brings the older keys.
func (e *Engine) BlobData(sha string) (data []byte, err error) {
	err = e.store.View(func(t Tx) error {
		var b Blob
		ok, err := getJSON(t, keyBlob(sha), &b)
		if err != nil || !ok {
			return err
		}
		closed, err := t.Get(keyBlobData(sha))
		if err != nil || closed == nil {
			return err
		}
		keys, err := e.userKeys(t)
		if err != nil {
			return err
		}
		err = ErrLocked
		for _, k := range keys {
			if b.Key != "" && b.Key != k.ID() {
				continue
			}
			box, berr := blobBox(k, sha)
			if berr != nil {
				return berr
			}
			if data, berr = box.Open(nil, blobNonce[:], closed, nil); berr == nil {
				return nil
			}
			err = ErrSpoilt
		}
		return err
	})
	return data, err
}

// BlobProgress writes down how far a blob has come, so that a later process goes on from there.
func (e *Engine) BlobProgress(b Blob) error {
	return e.store.Update(func(t Tx) error { return putJSON(t, keyBlob(b.SHA256), b) })
}
