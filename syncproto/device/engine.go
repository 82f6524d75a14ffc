package device

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"aidloop/syncproto"
)

// Identity is one enrolment: who the device is, and the keys that it begins with.
type Identity struct {
	Device   string             `json:"device"`
	User     string             `json:"user"`
	UserName string             `json:"user_name"`
	Region   string             `json:"region"`
	Role     string             `json:"role"`
	Server   string             `json:"server"` // the address that it was enrolled at
	Private  ed25519.PrivateKey `json:"private"`
	UserKey  syncproto.Key      `json:"user_key"` // zero: erased
	// FormerKeys are user keys that this phone was given before, newest first; photos may lie under them.
	FormerKeys []syncproto.Key   `json:"former_keys,omitempty"`
	ServerKey  ed25519.PublicKey `json:"server_key"`
	Recipient  string            `json:"bundle_recipient,omitempty"` // bundles are encrypted to it; "" where it was enrolled before there were any
}

// Options are what an engine needs besides its store.
type Options struct {
	// PolicyOf is the server's merge policy of a field; nil stands for latest everywhere. It only decides what the
	// person sees while a change is pending.
	PolicyOf func(kind, field string) syncproto.Policy
	// Random gives new case keys.
	Random io.Reader
	// Catalog is the catalog version that the app was built with.
	Catalog int
	// Retention is how long acknowledged groups are kept without word of a backup, milliseconds by the server's clock; 0
	// stands for the 60 days of the protocol. Less is for tests and simulations.
	Retention int64
	// RepairRows is from how many rows on a bucket is repaired by leaves; 0 stands for the protocol's number.
	RepairRows int
}

// Engine is a device. It keeps nothing in memory that its store does not hold, except what belongs to the exchange
// under way: whether it asked for rows, and those that have not reached a page yet. One goroutine uses it at a time.
type Engine struct {
	store     Store
	opts      Options
	id        Identity
	pulls     bool            // whether the last request asked for rows
	witnesses []string        // that the last request brought, by their keys
	declared  *syncproto.Lost // that the last request brought
}

// ErrNotEnrolled says that the store belongs to no device yet.
var ErrNotEnrolled = errors.New("device: not enrolled")

// Enrol writes a new identity into an empty store.
func Enrol(s Store, id Identity) error {
	return s.Update(func(t Tx) error {
		if b, err := t.Get(keyIdentity); err != nil || b != nil {
			return errors.Join(err, errors.New("device: the store belongs to an enrolment already"))
		}
		state := state{Next: 1, Head: syncproto.ChainStart(id.Device).String()}
		if err := putJSON(t, keyState, state); err != nil {
			return err
		}
		return putJSON(t, keyIdentity, id)
	})
}

// Open opens an enrolled device.
func Open(s Store, o Options) (*Engine, error) {
	if o.PolicyOf == nil {
		o.PolicyOf = func(string, string) syncproto.Policy { return syncproto.PolicyLatest }
	}
	if o.Retention == 0 {
		o.Retention = syncproto.RetentionDays * 24 * 3600 * 1000
	}
	if o.Random == nil {
		return nil, errors.New("device: Options.Random is needed")
	}
	if o.RepairRows <= 0 {
		o.RepairRows = syncproto.RepairRows
	}
	e := &Engine{store: s, opts: o}
	err := s.View(func(t Tx) error {
		ok, err := getJSON(t, keyIdentity, &e.id)
		if err == nil && !ok {
			err = ErrNotEnrolled
		}
		return err
	})
	return e, err
}

// Identity is who the device is.
func (e *Engine) Identity() Identity { return e.id }

func (e *Engine) userBucket() string { return syncproto.BucketUser + e.id.User }

// state is the device's chain and what it knows of the server.
type state struct {
	Next        uint64 `json:"next"` // the number of the next change
	Head        string `json:"head"` // the chain's head behind the last one
	Have        uint64 `json:"have"` // the last change whose outcome was heard
	Safe        uint64 `json:"safe"` // changes up to here are in a backup of the server
	Incarnation string `json:"incarnation"`
	Trouble     string `json:"trouble,omitempty"` // a code that needs a person: fork, revoked, …
	SyncedAt    int64  `json:"synced_at,omitempty"`
	// Pruned is the last change whose group was forgotten, PrunedHead the chain's head behind it: what comes next builds
	// on it.
	Pruned     uint64 `json:"pruned,omitempty"`
	PrunedHead string `json:"pruned_head,omitempty"`
	// Offset is how far the phone's wall clock was ahead of the server's when they last spoke, milliseconds.
	Offset     int64 `json:"offset,omitempty"`
	ExaminedAt int64 `json:"examined_at,omitempty"` // when all rows were last added up, by the server's clock
	// ServerNow is the server's clock when it last said where it stands, and Former the lives of it that were lost since:
	// what a bundle brings from before says nothing new.
	ServerNow int64    `json:"server_now,omitempty"`
	Former    []string `json:"former,omitempty"`
	Recipient string   `json:"bundle_recipient,omitempty"` // as heard in a hello
	// Order is what the server last asked for; Erased is set once rows and keys are gone.
	Order  string            `json:"order,omitempty"`
	Erased *syncproto.Erased `json:"erased,omitempty"`
}

// The keys of the store. Rows and the outbox come in order of keys.
const (
	keyIdentity  = "identity"
	keyState     = "state"
	keyIncidents = "incidents"
)

func keyCursor(bucket string) string          { return "cursor/" + bucket }
func keyRows(bucket string) string            { return "row/" + bucket + "|" }
func keyRow(b string, r syncproto.Ref) string { return keyRows(b) + r.String() }
func keyPlace(r syncproto.Ref) string         { return "place/" + r.String() }
func keyStaged(bucket string) string          { return "staged/" + bucket + "|" }
func keyStaging(bucket string) string         { return "staging/" + bucket }
func keyEntry(dseq uint64) string             { return fmt.Sprintf("outbox/%016d", dseq) }
func keyGroup(dseq uint64) string             { return fmt.Sprintf("group/%016d", dseq) }
func keyLeft(bucket string) string            { return "left/" + bucket }
func keyRepair(bucket string) string          { return "repair/" + bucket }

func putJSON(t Tx, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.Put(key, b)
}

func getJSON(t Tx, key string, v any) (bool, error) {
	b, err := t.Get(key)
	if err != nil || b == nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("device: %s is damaged: %w", key, err)
	}
	return true, nil
}

func loadState(t Tx) (state, error) {
	var s state
	_, err := getJSON(t, keyState, &s)
	return s, err
}

// cursor is where the device stands in a bucket, with what its own rows add up to.
type cursor struct {
	Incarnation string `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	Count       int64  `json:"count"`
	Digest      string `json:"digest"`
}

func (c cursor) String() string {
	return syncproto.Cursor{Incarnation: c.Incarnation, Seq: c.Seq}.String()
}
