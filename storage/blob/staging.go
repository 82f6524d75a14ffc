package blob

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Limits bound what uploads may occupy.
type Limits struct {
	MaxBlob      int64         // bytes of one blob
	MaxOpen      int           // unfinished uploads of one owner
	MaxOpenBytes int64         // declared bytes of one owner's unfinished uploads, together
	Lifetime     time.Duration // of an upload, from its creation
}

// DefaultLimits fit a phone that collects for days without a network: 64 MiB a blob, 64 uploads and 512 MiB under way, kept for 14 days.
func DefaultLimits() Limits {
	return Limits{MaxBlob: 64 << 20, MaxOpen: 64, MaxOpenBytes: 512 << 20, Lifetime: 14 * 24 * time.Hour}
}

// StagingConfig says where and how uploads are staged. All fields are required.
type StagingConfig struct {
	Dir    string           // a folder of this process alone, on a disk that survives it
	Keys   *Keys            // derives the keys of the staged bytes
	Limits Limits           // see DefaultLimits
	Now    func() time.Time // for creation and expiry
	Random io.Reader        // cryptographically secure, for nonces
}

// Staging keeps uploads that are under way in a folder: `<id>.json`, the sidecar with what was declared, `<id>.part`, the frames, and for a
// moment `<id>.seal`, the sealed blob on its way to the backend. One process owns the folder; several processes behind one S3 bucket each
// have their own, so a balancer must send a device's uploads to the process that holds them.
type Staging struct {
	dir    string
	keys   *Keys
	limits Limits
	now    func() time.Time
	random io.Reader

	mu      sync.Mutex
	uploads map[string]*part
}

const (
	sidecarExt = ".json"
	partExt    = ".part"
	sealExt    = ".seal"
	tempExt    = ".temp"
)

// maxSidecar bounds what is read of a sidecar: the metadata in base64 twice over, and the rest.
const maxSidecar = 8 << 10

// sidecar is what `<id>.json` holds.
type sidecar struct {
	Version  int       `json:"v"`
	ID       string    `json:"id"`
	Owner    string    `json:"owner"`
	SHA256   string    `json:"sha256"`
	Length   int64     `json:"length"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Finished bool      `json:"finished"`
	Metadata string    `json:"metadata"` // base64 of nonce and ciphertext under the upload's key: file names may name people
}

// NewStaging opens the folder, creating it if need be, and finds the uploads in it.
func NewStaging(c StagingConfig) (*Staging, error) {
	if c.Dir == "" || c.Keys == nil || c.Now == nil || c.Random == nil || c.Limits.MaxBlob <= 0 || c.Limits.MaxOpen <= 0 || c.Limits.Lifetime <= 0 {
		return nil, fmt.Errorf("%w: the staging configuration lacks a field", ErrInvalid)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("blob: staging: %w", err)
	}
	s := &Staging{dir: c.Dir, keys: c.Keys, limits: c.Limits, now: c.Now, random: c.Random, uploads: map[string]*part{}}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("blob: staging: %w", err)
	}
	for _, entry := range entries {
		id, found := strings.CutSuffix(entry.Name(), sidecarExt)
		if !found || !validID(id) {
			continue
		}
		// A sidecar that cannot be read describes no upload: its client gets a 404 and starts anew, and the sweep removes the files.
		if p, err := s.readSidecar(id); err == nil {
			s.uploads[id] = p
		}
	}
	return s, nil
}

func (s *Staging) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Staging) create(info Info) (*part, error) {
	if !validID(info.ID) || !validOwner(info.Owner) || !ValidSHA(info.SHA256) || info.Length < 0 || len(info.Metadata) > MaxMetadata {
		return nil, fmt.Errorf("%w: upload", ErrInvalid)
	}
	if info.Length > s.limits.MaxBlob {
		return nil, ErrTooLong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	count, bytes := 0, info.Length
	for _, p := range s.uploads {
		if p.info.Owner != info.Owner || p.finished.Load() || !now.Before(p.info.Expires) {
			continue
		}
		if p.info.SHA256 == info.SHA256 && p.info.Length == info.Length {
			return p, nil
		}
		count, bytes = count+1, bytes+p.info.Length
	}
	if count >= s.limits.MaxOpen || bytes > s.limits.MaxOpenBytes {
		return nil, ErrTooMany
	}
	if _, taken := s.uploads[info.ID]; taken {
		return nil, fmt.Errorf("%w: the upload id is taken", ErrInvalid)
	}
	info.Created, info.Expires = now, now.Add(s.limits.Lifetime)
	p := &part{s: s, info: info, known: true}
	if err := s.begin(p); err != nil {
		return nil, err
	}
	s.uploads[info.ID] = p
	return p, nil
}

// begin makes the files of a new upload, the sidecar last: without it the others are leftovers.
func (s *Staging) begin(p *part) error {
	sealed, err := s.sealMetadata(p.info)
	if err != nil {
		return err
	}
	p.meta = sealed
	f, err := os.OpenFile(p.path(partExt), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("blob: staging: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("blob: staging: %w", err)
	}
	return s.writeSidecar(p, false)
}

func (s *Staging) find(id string) (*part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.uploads[id]
	if !ok {
		return nil, ErrNotFound
	}
	if !s.now().Before(p.info.Expires) {
		return nil, ErrExpired
	}
	return p, nil
}

func (s *Staging) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
}

var metadataAAD = []byte("metadata of an upload")

func (s *Staging) sealMetadata(info Info) (string, error) {
	nonce := make([]byte, frameNonce)
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return "", fmt.Errorf("blob: nonce: %w", err)
	}
	raw := s.keys.upload(info.ID).aead().Seal(nonce, nonce, []byte(info.Metadata), metadataAAD)
	return base64.StdEncoding.EncodeToString(raw), nil
}

func (s *Staging) openMetadata(id, sealed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < frameNonce {
		return "", ErrCorrupt
	}
	plain, err := s.keys.upload(id).aead().Open(nil, raw[:frameNonce], raw[frameNonce:], metadataAAD)
	if err != nil {
		return "", ErrCorrupt
	}
	return string(plain), nil
}

func (s *Staging) writeSidecar(p *part, finished bool) error {
	data, err := json.Marshal(sidecar{
		Version: 1, ID: p.info.ID, Owner: p.info.Owner, SHA256: p.info.SHA256, Length: p.info.Length,
		Created: p.info.Created, Expires: p.info.Expires, Finished: finished, Metadata: p.meta,
	})
	if err != nil {
		return fmt.Errorf("blob: sidecar: %w", err)
	}
	if err := writeFile(p.path(sidecarExt), p.path(tempExt), data); err != nil {
		return fmt.Errorf("blob: sidecar: %w", err)
	}
	return nil
}

func (s *Staging) readSidecar(id string) (*part, error) {
	f, err := os.Open(s.path(id + sidecarExt))
	if err != nil {
		return nil, fmt.Errorf("blob: sidecar: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSidecar+1))
	if err != nil {
		return nil, fmt.Errorf("blob: sidecar: %w", err)
	}
	return s.parseSidecar(id, data)
}

// parseSidecar decodes a sidecar and refuses (ErrCorrupt) one that create could not have made.
func (s *Staging) parseSidecar(id string, data []byte) (*part, error) {
	var c sidecar
	if len(data) > maxSidecar || json.Unmarshal(data, &c) != nil {
		return nil, ErrCorrupt
	}
	if c.Version != 1 || c.ID != id || !validOwner(c.Owner) || !ValidSHA(c.SHA256) || c.Length < 0 || c.Length > s.limits.MaxBlob {
		return nil, ErrCorrupt
	}
	metadata, err := s.openMetadata(id, c.Metadata)
	if err != nil {
		return nil, err
	}
	p := &part{s: s, meta: c.Metadata, info: Info{
		ID: id, Owner: c.Owner, SHA256: c.SHA256, Length: c.Length, Metadata: metadata, Created: c.Created, Expires: c.Expires,
	}}
	p.finished.Store(c.Finished)
	return p, nil
}

// sweep removes expired uploads and files that belong to none.
func (s *Staging) sweep(now time.Time) (expired, leftovers int, err error) {
	s.mu.Lock()
	var old []*part
	for _, p := range s.uploads {
		if !now.Before(p.info.Expires) {
			old = append(old, p)
		}
	}
	s.mu.Unlock()
	for _, p := range old {
		if err := p.abort(); err != nil {
			return expired, 0, err
		}
		expired++
	}
	leftovers, err = s.removeLeftovers(now)
	return expired, leftovers, err
}

// leftoverAge keeps the sweep away from files that a running call has just made.
const leftoverAge = time.Hour

func (s *Staging) removeLeftovers(now time.Time) (removed int, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, fmt.Errorf("blob: staging: %w", err)
	}
	for _, entry := range entries {
		if s.inUse(entry.Name()) {
			continue
		}
		stat, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) || (err == nil && now.Sub(stat.ModTime()) < leftoverAge) {
			continue
		}
		if err == nil {
			err = removeFile(s.path(entry.Name()))
		}
		if err != nil {
			return removed, fmt.Errorf("blob: staging: %w", err)
		}
		removed++
	}
	return removed, nil
}

// inUse says whether a file belongs to an upload of the index. The temporary copy of a sidecar never counts as one.
func (s *Staging) inUse(name string) bool {
	ext := filepath.Ext(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.uploads[strings.TrimSuffix(name, ext)]
	return ok && ext != tempExt
}
