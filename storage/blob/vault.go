package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrExists is Objects' answer to a Put that must not replace.
var ErrExists = errors.New("blob: the object exists")

// Object is a sealed blob in a backend.
type Object struct {
	Name     string    // the blob's name
	Size     int64     // bytes of the sealed form
	Modified time.Time // when this copy was put
}

// Objects is what a backend does: keep sealed bytes under a blob's name, whole or not at all. It checks nothing and knows no key.
type Objects interface {
	// Put makes the synced local file at path visible under name, all of it or nothing, durable when it returns. It may move the file away.
	// Without replace it leaves an existing object alone and returns ErrExists.
	Put(ctx context.Context, name, path string, replace bool) error
	// Get describes an object and returns how to read it. ErrNotFound.
	Get(ctx context.Context, name string) (Object, Source, error)
	// List calls fn for every object in the order of the names and stops at the first error. fn may remove the object it is called with.
	List(ctx context.Context, fn func(Object) error) error
	// Remove removes an object that may be gone already.
	Remove(ctx context.Context, name string) error
	// Tidy removes what broken calls of Put from before that time left behind, and counts it.
	Tidy(ctx context.Context, before time.Time) (int, error)
}

// Vault is the Store over a backend and a staging folder.
type Vault struct {
	objects Objects
	staging *Staging
	// removing is held for reading by whoever puts an object and for writing by the sweep while it looks at one object again and removes
	// it, so that the sweep never takes a copy that has just been renewed.
	removing sync.RWMutex
}

var _ Store = (*Vault)(nil)

// NewVault joins a backend and a staging folder. The staging's keys seal the blobs too.
func NewVault(objects Objects, staging *Staging) *Vault {
	return &Vault{objects: objects, staging: staging}
}

// vaultUpload is the Upload of a Vault.
type vaultUpload struct {
	v *Vault
	p *part
}

// Create implements Store.
func (v *Vault) Create(_ context.Context, info Info) (Upload, error) {
	p, err := v.staging.create(info)
	if err != nil {
		return nil, err
	}
	return vaultUpload{v, p}, nil
}

// Upload implements Store.
func (v *Vault) Upload(_ context.Context, id string) (Upload, error) {
	p, err := v.staging.find(id)
	if err != nil {
		return nil, err
	}
	return vaultUpload{v, p}, nil
}

func (u vaultUpload) Info() Info { return u.p.info }

func (u vaultUpload) Offset(context.Context) (int64, bool, error) { return u.p.currentOffset() }

func (u vaultUpload) Append(ctx context.Context, offset int64, r io.Reader) (int64, error) {
	return u.p.append(ctx, offset, r)
}

func (u vaultUpload) Finish(ctx context.Context, visible func(context.Context) error) error {
	return u.p.finish(ctx, func(ctx context.Context, path string) error { return u.v.put(ctx, u.p.info.SHA256, path) }, visible)
}

func (u vaultUpload) Abort(context.Context) error { return u.p.abort() }

// renewAfter is the age from which a copy that exists already is put again, so that a sweep in any process takes the blob for new and
// waits for the record that refers to it.
const renewAfter = time.Hour

// put makes a sealed file visible. A healthy young copy is left alone; a damaged one is healed by the new one, whose bytes are the same.
func (v *Vault) put(ctx context.Context, sha, path string) error {
	v.removing.RLock()
	defer v.removing.RUnlock()
	err := v.objects.Put(ctx, sha, path, false)
	if !errors.Is(err, ErrExists) {
		return err
	}
	if old, _, err := v.objects.Get(ctx, sha); err == nil && v.staging.now().Sub(old.Modified) < renewAfter && v.Verify(ctx, sha) == nil {
		return nil
	}
	return v.objects.Put(ctx, sha, path, true)
}

// Open implements Store.
func (v *Vault) Open(ctx context.Context, sha string) (io.ReadSeekCloser, int64, error) {
	if !ValidSHA(sha) {
		return nil, 0, ErrNotFound
	}
	object, source, err := v.objects.Get(ctx, sha)
	if err != nil {
		return nil, 0, err
	}
	return Open(source, object.Size, v.staging.keys.Blob(sha))
}

// Has implements Store.
func (v *Vault) Has(ctx context.Context, sha string) (int64, bool, error) {
	if !ValidSHA(sha) {
		return 0, false, nil
	}
	object, _, err := v.objects.Get(ctx, sha)
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	plain, _, err := plainSize(object.Size)
	return plain, err == nil, err
}

// Verify implements Store.
func (v *Vault) Verify(ctx context.Context, sha string) error {
	r, size, err := v.Open(ctx, sha)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != size || hex.EncodeToString(h.Sum(nil)) != sha {
		return fmt.Errorf("%w: the content is not what the name says", ErrCorrupt)
	}
	return nil
}

// Walk implements Store.
func (v *Vault) Walk(ctx context.Context, fn func(sha string, size int64) error) error {
	return v.objects.List(ctx, func(o Object) error {
		plain, _, err := plainSize(o.Size)
		if err != nil {
			plain = -1
		}
		return fn(o.Name, plain)
	})
}

// Sweep implements Store.
func (v *Vault) Sweep(ctx context.Context, keep func(sha string) bool, olderThan time.Duration, now time.Time) (Swept, error) {
	var swept Swept
	if olderThan < MinGrace {
		return swept, fmt.Errorf("%w: a sweep must leave blobs %v", ErrInvalid, MinGrace)
	}
	var err error
	if swept.Uploads, swept.Leftovers, err = v.staging.sweep(now); err != nil {
		return swept, err
	}
	before := now.Add(-olderThan)
	tidied, err := v.objects.Tidy(ctx, before)
	swept.Leftovers += tidied
	if err != nil {
		return swept, err
	}
	err = v.objects.List(ctx, func(o Object) error {
		if !o.Modified.Before(before) || keep(o.Name) {
			return nil
		}
		removed, err := v.removeOld(ctx, o.Name, keep, before)
		if removed {
			swept.Blobs++
		}
		return err
	})
	return swept, err
}

func (v *Vault) removeOld(ctx context.Context, sha string, keep func(string) bool, before time.Time) (bool, error) {
	v.removing.Lock()
	defer v.removing.Unlock()
	object, _, err := v.objects.Get(ctx, sha)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || !object.Modified.Before(before) || keep(sha) {
		return false, err
	}
	return true, v.objects.Remove(ctx, sha)
}
