// Package bundle encrypts bundles: an .aidsync file is the age encryption (age-encryption.org/v1) of the frames that
// syncproto writes, to one native X25519 recipient. A push is for the server, whose identity is derived from a secret of
// its own; a reply is for one device, whose identity is its Ed25519 key in the form of an X25519 key, so that the server
// can write to every device that was ever enrolled.
package bundle

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/edwards25519"

	"aidloop/syncproto"
)

// Recipient is who a bundle is encrypted to, Identity who opens it.
type (
	Recipient = age.X25519Recipient
	Identity  = age.X25519Identity
)

// IdentityOf is the identity whose X25519 scalar are these 32 bytes.
func IdentityOf(scalar [32]byte) *Identity {
	id, err := age.ParseX25519Identity(upper(bech32("age-secret-key-", scalar[:])))
	if err != nil {
		panic(err) // every 32 bytes are a scalar
	}
	return id
}

// ParseRecipient reads a recipient, "age1…".
func ParseRecipient(s string) (*Recipient, error) {
	if len(s) > 128 {
		return nil, errors.New("bundle: not a recipient")
	}
	return age.ParseX25519Recipient(s)
}

// DeviceIdentity opens what is written to a device: the scalar is the first half of SHA-512 of its Ed25519 seed, which
// is also what it signs with (RFC 8032, 5.1.5). X25519 clamps it.
func DeviceIdentity(key ed25519.PrivateKey) *Identity {
	h := sha512.Sum512(key.Seed())
	return IdentityOf([32]byte(h[:32]))
}

// DeviceRecipient is where bundles for a device are encrypted to: its Ed25519 public key, mapped to Curve25519 (RFC
// 7748, 4.1: u = (1+y)/(1−y)).
func DeviceRecipient(key ed25519.PublicKey) (*Recipient, error) {
	p, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return nil, fmt.Errorf("bundle: not a public key: %w", err)
	}
	pub, err := ecdh.X25519().NewPublicKey(p.BytesMontgomery())
	if err != nil {
		return nil, err
	}
	return age.ParseX25519Recipient(bech32("age", pub.Bytes()))
}

// Seal encrypts what is written to it. Close ends the file; it does not close dst.
func Seal(dst io.Writer, to *Recipient) (io.WriteCloser, error) { return age.Encrypt(dst, to) }

// Open decrypts a file. What it returns is authenticated piece by piece, 64 KiB each; a cut or changed file ends in an
// error. CodeForeignBundle says that the file was made for somebody else, CodeMalformed that it is no such file at all.
func Open(src io.Reader, id *Identity) (io.Reader, error) {
	head := &headReader{r: src, left: maxHead}
	r, err := age.Decrypt(head, id)
	head.left = -1
	var foreign *age.NoIdentityMatchError
	var known *syncproto.Error
	switch {
	case errors.As(err, &foreign):
		return nil, syncproto.Refuse(syncproto.CodeForeignBundle, "encrypted to another recipient")
	case errors.As(err, &known):
		return nil, known
	case err != nil:
		return nil, syncproto.Refuse(syncproto.CodeMalformed, "not an age file, or cut within its head")
	}
	return r, nil
}

// maxHead bounds what is read before anything is known of a file, in bytes: age itself takes lines of any length.
const maxHead = 32 << 10

// headReader reads at most left bytes, or any number where left is negative.
type headReader struct {
	r    io.Reader
	left int
}

func (h *headReader) Read(p []byte) (int, error) {
	if h.left < 0 {
		return h.r.Read(p)
	}
	if h.left == 0 {
		return 0, errors.New("bundle: the head of the file is too long")
	}
	n, err := h.r.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}
