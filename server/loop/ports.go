package loop

import (
	"context"
	"errors"
	"time"

	"aidloop/syncproto"
)

// Store is where everything is kept. It stores what it is told and never compares versions, applies a policy or
// decides who may do what. Every implementation passes storage/storagetest.
type Store interface {
	// Write runs fn in a write transaction and returns nil only after everything that fn wrote is durable
	// (synchronous=FULL). Where fn returns an error, nothing of it remains and the error comes back as it is.
	// Several writes may share one commit, each behind a savepoint of its own; when the shared commit fails, each is
	// run again alone, so fn must be re-runnable: it may change nothing but the transaction and what it sets anew at
	// every run. Writes are serialised: fn sees everything that was committed before it.
	Write(ctx context.Context, fn func(Tx) error) error
	// Read runs fn on one snapshot, in which no later write is visible. Rows that fn is handed are valid only during
	// the call that hands them over.
	Read(ctx context.Context, fn func(ReadTx) error) error
}

// ErrNotFound is returned for a single thing that does not exist.
var ErrNotFound = errors.New("not found")

// Clock tells the time. Production passes time.Now, tests a fake.
type Clock func() time.Time

// ReadTx is one consistent view.
type ReadTx interface {
	// Incarnation is the id of the database's present life: minted when it is first opened and after every restore.
	Incarnation() string
	// LifeEnd tells how far a bucket's cursors of an incarnation are true: the seq of the bucket's head when that life
	// ended, as it was put back, or its present head in the present life; 0 where the bucket had none. It returns
	// ErrNotFound for an incarnation that this database never had.
	LifeEnd(incarnation, bucket string) (uint64, error)
	// Record returns a record by kind and id, deleted ones included, or ErrNotFound. Its bytes may be kept.
	Record(ref syncproto.Ref) (*Stored, error)
	// ByRoot hands over the live records of a root, the root itself included, in order of kind and id; those of one kind
	// only where kind is not "", at the cost of these.
	ByRoot(root syncproto.Ref, kind string, fn func(*Stored) error) error
	// Bucket returns a bucket's head, or the head of an empty bucket under that name.
	Bucket(name string) (Bucket, error)
	// Buckets hands over every bucket's head in order of names.
	Buckets(fn func(Bucket) error) error
	// Feed hands over a bucket's entries with seq > after in order of seq, the latest entry per record: live rows,
	// deletions and exits. fn returns false to stop. Entries of one seq come together.
	Feed(bucket string, after uint64, fn func(Entry) (bool, error)) error
	// Tombstones hands over the seqs of a bucket's deletions and exits that its feed still holds, in ascending order,
	// one seq as often as it has entries. fn returns false to stop.
	Tombstones(bucket string, fn func(seq uint64) (bool, error)) error
	// Find lists records by their index columns. The page token of the last one continues the list.
	Find(q Query) (Page, error)
	// Count counts live records by kind and state in a region (see Query.Region).
	Count(kind, region string) (map[string]int64, error)
	// History hands over what the record was before, oldest first: the bytes that later versions replaced.
	History(ref syncproto.Ref, fn func(Past) error) error

	// Device returns an enrolment, or ErrNotFound.
	Device(id string) (*Device, error)
	// Devices lists the enrolments of a user, or all of them where user is "".
	Devices(user string) ([]Device, error)
	// Batch returns the batch that holds the device's change dseq, or ErrNotFound.
	Batch(device string, dseq uint64) (*Batch, error)
	// Batches hands over every batch of a device in order.
	Batches(device string, fn func(*Batch) error) error
	// Reissued tells which change last brought a group that was captured under another identity, or ErrNotFound.
	Reissued(o syncproto.Origin) (device string, dseq uint64, err error)
	// Held lists the open groups of a device, or all of them where device is "", in order of receipt, at most limit.
	Held(device string, limit int) ([]Held, error)
	// Ledger hands over a bucket's entries from number from on, in order.
	Ledger(bucket string, from uint64, fn func(LedgerEntry) error) error
	// LastSeal returns the newest seal, or ErrNotFound.
	LastSeal() (*Seal, error)
	// Seals hands over the seals from number from on, in order.
	Seals(from uint64, fn func(Seal) error) error
	// Audit lists audit entries, newest first, with id < before (0: from the newest), at most limit; where root is
	// not the zero Ref, only those of that root.
	Audit(root syncproto.Ref, before int64, limit int) ([]Audit, error)
	// ByBlind lists the records that carry a blind index value.
	ByBlind(index string) ([]syncproto.Ref, error)
	// Twins lists blind index values that several records of a kind carry, in order of values behind after, at most limit.
	Twins(kind, after string, limit int) ([]Twin, error)
	// Witnesses lists what devices brought back of lost lives, in order of arrival behind n, at most limit.
	Witnesses(after int64, limit int) ([]Witness, error)
	// Gaps lists what devices declared lost, in order of declaration, of one device, or of all where device is "", behind
	// n, at most limit.
	Gaps(device string, after int64, limit int) ([]Gap, error)
	// Incidents lists incidents, newest first, with id < before (0: from the newest), at most limit.
	Incidents(before int64, limit int) ([]Incident, error)
	// Parked lists the parts of bundles that wait for what comes before them, of a device, or of all devices where it is
	// "", in order of devices and first changes, without their data.
	Parked(device string) ([]Parked, error)
	// ParkedData returns such a part with its data by its number, or ErrNotFound.
	ParkedData(n int64) (*Parked, error)
	// ByBlob lists the records that refer to a blob.
	ByBlob(sha256 string) ([]syncproto.Ref, error)

	// User returns a user by id, UserByLogin by login name, or ErrNotFound.
	User(id string) (*User, error)
	UserByLogin(login string) (*User, error)
	// Users lists users in order of logins behind after, at most limit; where region is not "", only those in it.
	Users(region, after string, limit int) ([]User, error)
	// EnrolCode returns a one-time code by its hash, or ErrNotFound.
	EnrolCode(hash string) (*EnrolCode, error)
	// Session returns a refresh-token family by id, or ErrNotFound.
	Session(id string) (*Session, error)
	// Setting returns a stored setting, or "" where there is none.
	Setting(name string) (string, error)
	ReadDatasets
	// KeyVersion tells how often a bucket's key was rotated: version 1 where it never was.
	KeyVersion(bucket string) (KeyVersion, error)
	// KeyVersions lists the keys that were rotated, or those whose rotation is under way, in order of buckets behind
	// after, at most limit.
	KeyVersions(pending bool, after string, limit int) ([]KeyVersion, error)
	// Holdings lists what a device last said of each bucket, in order of buckets.
	Holdings(device string) ([]Holding, error)
}

// Tx is a write transaction. It sees its own writes.
type Tx interface {
	ReadTx
	// NextNumbers reserves n consecutive change numbers of the server's incarnation and returns the first.
	NextNumbers(n int) (uint64, error)
	// PutRecord writes a record in place of what stood under its kind and id. Where the record lay in another bucket
	// before, its row there is gone afterwards; the caller writes the exit.
	PutRecord(*Stored) error
	// PutExit writes that a record left a bucket at seq. It replaces the record's earlier exit from that bucket; a
	// later return of the record removes it.
	PutExit(bucket string, seq uint64, ref syncproto.Ref) error
	// Trim takes the deletions and exits with a seq up to to out of a bucket's feed for good. Deleted records stay
	// where Record finds them; a later version of one enters the feed again. The caller raises the floor.
	Trim(bucket string, to uint64) error
	// PutBucket writes a bucket's head.
	PutBucket(Bucket) error
	// PutPast keeps bytes that are about to be replaced.
	PutPast(Past) error
	PutDevice(*Device) error
	// PutBatch stores a batch; Batch.ID is set.
	PutBatch(*Batch) error
	// SetOutcomes replaces the stored outcomes of a batch: a held group became terminal.
	SetOutcomes(batch int64, outcomes []byte) error
	// PutReissued writes which change brought such a group, in place of what was written before.
	PutReissued(o syncproto.Origin, device string, dseq uint64) error
	// PutParked keeps a part of a bundle; DeleteParked forgets it by its number.
	PutParked(*Parked) error
	DeleteParked(n int64) error
	PutHeld(Held) error
	DeleteHeld(device string, dseq uint64) error
	// AppendLedger writes a bucket's next entry.
	AppendLedger(bucket string, e LedgerEntry) error
	// AppendSeal writes the next seal.
	AppendSeal(Seal) error
	AppendAudit(Audit) error
	// PutWitness keeps a witness; the same row again, or one beyond MaxWitnesses, changes nothing.
	PutWitness(Witness) error
	// PutGap keeps what a device declared lost.
	PutGap(Gap) error
	// PutIncident keeps an incident. The same device, bucket and cursor again changes nothing; of a device the newest
	// MaxIncidents are kept.
	PutIncident(Incident) error
	// PutBlind makes the record findable by a blind index value of one of its fields, in place of the former one; the
	// value "" removes it.
	PutBlind(ref syncproto.Ref, field, index string) error
	PutBlobRef(sha256 string, ref syncproto.Ref) error
	PutUser(*User) error
	PutEnrolCode(*EnrolCode) error
	PutSession(*Session) error
	PutSetting(name, value string) error
	WriteDatasets
	PutKeyVersion(KeyVersion) error
	// PutHolding writes what a device says of a bucket, in place of what it said before.
	PutHolding(device string, h Holding) error
}

// Stored is a record as it lies in the store: the canonical bytes that devices hash, and columns to find it by.
type Stored struct {
	Ref     syncproto.Ref
	Root    syncproto.Ref
	Bucket  string
	Seq     uint64
	Env     syncproto.Raw
	Body    syncproto.Raw
	Deleted bool
	Index   Index
}

// Index holds the columns that records are found by. They are copies of what the body says.
type Index struct {
	State  string
	Region string // of the root: a 12-digit code or a grid's id; prefixes are regions that contain it
	Owner  string // who has to act or did: a user id, or a department's code
	Due    string // a date, "2006-01-02"
	Parent string // the id of the record that this one belongs to, such as a visit of its evidence
}

// Query selects live records. Empty members do not restrict. The order is by Due, then by id, where ByDue is set, else
// by id descending (newest first, since ids begin with their time).
type Query struct {
	Kind   string
	States []string
	Region string // a prefix of Index.Region
	Owner  string
	Parent string
	DueTo  string // due on or before
	ByDue  bool
	Oldest bool   // in order of ids ascending, where ByDue is not set
	After  string // a page token
	Limit  int    // 1 to 500
}

// Page is a page of records; Next is "" on the last one.
type Page struct {
	Items []*Stored
	Next  string
}

// Twin is a blind index value with the records that carry it, two or more.
type Twin struct {
	Index string
	Refs  []syncproto.Ref
}

// Witness is a row that a device received from a life of the database that was lost, as it was.
type Witness struct {
	N      int64
	Device string // that brought it first
	At     int64
	Ref    syncproto.Ref
	Env    syncproto.Raw
	Body   syncproto.Raw
}

// Gap is a range of changes, From to To, that a device declared lost for good. Head is its chain's head behind them, Sig
// its signature (see syncproto.LostText).
type Gap struct {
	N      int64
	Device string
	From   uint64
	To     uint64
	Head   syncproto.Hash
	Sig    []byte
	At     int64
}

// MaxWitnesses bounds how many rows of lost lives are kept.
const MaxWitnesses = 200_000

// Incident is a bucket whose rows did not add up on a device at a cursor: what they came to there, and what the bucket
// was when the device asked for a repair.
type Incident struct {
	ID           int64
	At           int64
	Device       string
	Bucket       string
	Cursor       string
	Count        int64
	Digest       syncproto.Digest
	Seq          uint64 // the bucket's head
	ServerCount  int64
	ServerDigest syncproto.Digest
	Leaves       string // those that differed, a syncproto.LeafSet; "" where the whole bucket was sent
}

// MaxIncidents bounds how many incidents of a device are kept.
const MaxIncidents = 200

// Entry is one entry of a bucket's feed.
type Entry struct {
	Seq     uint64
	Ref     syncproto.Ref
	Exit    bool // the record left the bucket; Env and Body are nil
	Deleted bool
	Env     syncproto.Raw
	Body    syncproto.Raw
}

// Bucket is a bucket's head. Count and Digest are over its live rows; Head is its ledger's.
type Bucket struct {
	Name    string
	Seq     uint64
	Count   int64
	Digest  syncproto.Digest
	Entries uint64 // how many ledger entries there are
	Head    syncproto.Hash
	Floor   uint64 // entries of deletions and exits up to and including this seq were trimmed
	Sealed  uint64 // how many of the ledger's entries the newest seal covers
}

// Seal is one of the signed roots over the heads of all ledgers: number N (from 1), canonical bytes (see Loop.Seal),
// and the server's signature.
type Seal struct {
	N     uint64
	Bytes syncproto.Raw
	Sig   []byte
}

// Past is what a record was until its version was replaced by By at the time At (milliseconds).
type Past struct {
	Ref  syncproto.Ref
	Env  syncproto.Raw
	Body syncproto.Raw
	By   syncproto.Stamp
	At   int64
}

// KeyVersion is how far the rotation of a bucket's key has come. The key of "user:<id>" is the user's own.
type KeyVersion struct {
	Bucket  string
	Version uint64 // from 1
	Cases   bool   // the case keys are renewed too
	Pending bool   // not every key record is done
	After   uint64 // the bucket's seq up to which every key record is done
	Done    int64  // key records so far
	Begun   int64  // milliseconds since 1970 UTC; 0 where it was never rotated
}

// Holding is what a device says it holds of a bucket, or held when it erased it. It is its word, not a proof.
type Holding struct {
	Bucket string
	Cursor string
	Count  int64 // -1: it did not say
	Digest string
	Gone   bool
	At     int64
}

// Device states; casework.DeviceMachine says how they follow each other.
const (
	DeviceActive   = "active"
	DeviceRetiring = "retiring" // told to hand over what it holds
	DeviceRetired  = "retired"
	DeviceLost     = "lost"    // shut out until it is found
	DeviceStolen   = "stolen"  // shut out for good; it is told to erase itself
	DeviceRevoked  = "revoked" // shut out for good without a rotation of keys
	DeviceFrozen   = "frozen"  // forked; the phone has to enrol again
)

// Out says that the device was shut out: its sessions are void and its groups are held in quarantine.
func (d *Device) Out() bool {
	switch d.State {
	case DeviceLost, DeviceStolen, DeviceRevoked, DeviceRetired:
		return true
	}
	return false
}

// works says that the device may do its user's work: it has not been shut out, and its history is the server's.
func (d *Device) works() bool { return d.State == DeviceActive || d.State == DeviceRetiring }

// Unsent is how many changes the device says that it has captured and not sent.
func (d *Device) Unsent() uint64 { return d.Claimed - min(d.Claimed, d.Have) }

// Device is one enrolment of one user.
type Device struct {
	ID        string
	User      string
	Name      string
	PublicKey []byte
	State     string
	Have      uint64 // the last change on record
	Head      syncproto.Hash
	CreatedAt int64
	SeenAt    int64
	DayBytes  int64  // received on Day, against the quota
	Day       string // "2006-01-02"
	Claimed   uint64 // the last change that it says it has captured; 0 where it never said
	Photos    int64  // that wait on it, by its word
	ErasedAt  int64  // when it said that its rows and keys are erased
	Reason    string // why it is in its state
	Since     int64  // since when, milliseconds; 0 since its enrolment
}

// Batch is what one push brought, as it came: Data is the request's body in its encoding ("", "gzip" or "zstd").
// First and Last bound the changes that were new in it; Data may repeat earlier ones before them. Outcomes is the
// stored answer.
type Batch struct {
	ID       int64
	Device   string
	First    uint64
	Last     uint64
	Prev     syncproto.Hash
	Head     syncproto.Hash
	Sig      []byte
	At       int64
	Encoding string
	Data     []byte
	Outcomes []byte
	Foreign  bool // kept as evidence of a fork; not part of the chain
}

// Parked is a signed part of a bundle whose groups do not connect to what is on record of the device yet. Data is the
// whole request in its encoding; Bytes is its decompressed size.
type Parked struct {
	N        int64
	Device   string
	First    uint64
	Last     uint64
	Prev     syncproto.Hash
	Head     syncproto.Hash
	At       int64
	Bytes    int64
	Encoding string
	Data     []byte
}

// Held is an open group.
type Held struct {
	Device  string
	Dseq    uint64
	Batch   int64
	User    string
	Root    syncproto.Ref
	Code    syncproto.Code
	Refs    []string // "kind/id" of the records that it touches
	At      int64
	Expires int64
	Group   syncproto.Raw
}

// LedgerEntry is one entry of a bucket's ledger: number N (from 1), canonical bytes, and the chain's head behind it.
type LedgerEntry struct {
	N     uint64
	Bytes syncproto.Raw
	Head  syncproto.Hash
}

// Audit says who did what to whom. Details never hold a sealed value in the open.
type Audit struct {
	ID      int64
	At      int64
	Actor   string // a user id, or "system"
	Role    string
	Verb    string
	Ref     syncproto.Ref
	Root    syncproto.Ref
	Details syncproto.Raw
}

// User is an account.
type User struct {
	ID       string
	Login    string
	Name     string
	Role     string
	Region   string
	Dept     string
	Password string // an argon2id hash in PHC form, or "" where only devices log in
	Failed   int    // wrong passwords in a row
	LockedTo int64
	Disabled bool
	Until    int64 // 0: no end
	Version  int64 // tokens of an older version are void
}

// EnrolCode is a one-time code, kept as its SHA-256.
type EnrolCode struct {
	Hash    string
	User    string
	By      string
	Expires int64
	UsedAt  int64
	Device  string // that it was exchanged for
}

// Session is a family of refresh tokens. Valid are those last handed out in exchange for one token, and that token
// itself until one of them was used, since a phone may have received none or any of them. Any other of the family voids
// the whole family.
type Session struct {
	ID        string
	User      string
	Device    string // "" for the desk
	Token     string // SHA-256 of the refresh tokens last handed out, oldest first, with spaces between
	Prev      string // SHA-256 of the one that they were handed out for
	CreatedAt int64
	Expires   int64
	RevokedAt int64
}
