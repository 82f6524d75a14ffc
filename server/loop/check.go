package loop

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"aidloop/syncproto"
)

// BlobCheck reads a blob to its end and compares its SHA-256 with its name. ErrNotFound says that it is missing.
type BlobCheck func(ctx context.Context, sha256 string) error

// Checked counts what a check looked at and lists what is wrong.
type Checked struct {
	Buckets  int
	Rows     int
	Entries  int
	Devices  int
	Batches  int
	Groups   int
	Gaps     int // that devices declared
	Blobs    int
	Seals    int
	Root     string // that the newest seal signed
	Findings []Finding
}

// Finding is one thing that is not as it was written.
type Finding struct {
	Where string // the bucket, device or blob
	What  string
}

// Check recomputes everything that is chained, summed or named by its content: the ledger of every bucket, its digest
// from its rows, the chain and the signatures of every device's pushes, the seals over the ledgers' heads, and every
// blob that a record refers to. It reads one snapshot and changes nothing.
func (l *Loop) Check(ctx context.Context, blobs BlobCheck) (*Checked, error) {
	c := &Checked{}
	shas := map[string]bool{}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		err := tx.Buckets(func(b Bucket) error {
			c.Buckets++
			if err := c.ledger(tx, b); err != nil {
				return err
			}
			return c.rows(tx, b, shas)
		})
		if err != nil {
			return err
		}
		devices, err := tx.Devices("")
		if err != nil {
			return err
		}
		for _, d := range devices {
			c.Devices++
			if err := c.device(tx, d); err != nil {
				return err
			}
		}
		return c.seals(tx, l.ServerKey())
	})
	if err != nil {
		return nil, err
	}
	for _, sha := range sortedKeys(shas) {
		c.Blobs++
		if err := blobs(ctx, sha); err != nil {
			c.find("blob "+sha, "%v", err)
		}
	}
	return c, nil
}

func (c *Checked) find(where, format string, args ...any) {
	c.Findings = append(c.Findings, Finding{where, fmt.Sprintf(format, args...)})
}

// ledger follows a bucket's ledger from its start. The last entry must speak of the bucket as it stands.
func (c *Checked) ledger(tx ReadTx, b Bucket) error {
	where := "ledger of " + b.Name
	head, n := syncproto.LedgerStart(b.Name), uint64(0)
	var last syncproto.Object
	broken := false
	err := tx.Ledger(b.Name, 1, func(e LedgerEntry) error {
		c.Entries++
		n++
		head = syncproto.LedgerNext(head, e.Bytes)
		if broken {
			return nil // the chain is cut; what follows cannot be told apart
		}
		if e.N != n || e.Head != head {
			c.find(where, "entry %d does not follow from the one before", n)
			broken = true
		}
		var err error
		if last, err = syncproto.ParseObject(append(syncproto.Raw(nil), e.Bytes...)); err != nil {
			c.find(where, "entry %d cannot be read", n)
			last, broken = nil, true
		}
		return nil
	})
	if err != nil || broken {
		return err
	}
	switch {
	case n != b.Entries || head != b.Head:
		c.find(where, "%d entries lead to another head than the bucket's", n)
	case last != nil && (last.Str("digest") != b.Digest.String() || last.Int("count") != b.Count || uint64(last.Int("seq")) != b.Seq):
		c.find(where, "the last entry speaks of another state than the bucket's")
	}
	return nil
}

// rows sums a bucket's rows up again.
func (c *Checked) rows(tx ReadTx, b Bucket, shas map[string]bool) error {
	where := "bucket " + b.Name
	var sum syncproto.Digest
	count := int64(0)
	err := tx.Feed(b.Name, 0, func(e Entry) (bool, error) {
		if e.Exit {
			return true, nil
		}
		c.Rows++
		env, err := syncproto.ParseEnvelope(e.Env)
		if err != nil || env.Ref != e.Ref || env.Deleted != e.Deleted {
			c.find(where, "%s: the envelope is damaged", e.Ref)
		}
		if syncproto.CheckCanonical(e.Body) != nil {
			c.find(where, "%s: the body is damaged", e.Ref)
		}
		if !e.Deleted {
			sum = sum.Add(syncproto.RowHash(e.Env, e.Body))
			count++
		}
		if e.Ref.Kind == "evidence" && !e.Deleted {
			if body, err := syncproto.ParseObject(append(syncproto.Raw(nil), e.Body...)); err == nil {
				shas[body.Str("sha256")] = true
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if sum != b.Digest || count != b.Count {
		c.find(where, "%d rows with digest %.16s… where %d rows with digest %.16s… were written", count, sum, b.Count, b.Digest)
	}
	return nil
}

// device follows a device's chain from its start, and checks the signature of every push.
func (c *Checked) device(tx ReadTx, d Device) error {
	where := "device " + d.ID
	head, have := syncproto.ChainStart(d.ID), uint64(0)
	gaps, err := tx.Gaps(d.ID, 0, maxGaps)
	if err != nil {
		return err
	}
	// over goes over what the device declared lost behind where the chain stands.
	over := func() {
		for len(gaps) > 0 && gaps[0].From == have+1 {
			g := gaps[0]
			lost := syncproto.Lost{Device: d.ID, From: g.From, To: g.To, Head: g.Head.String(), Sig: g.Sig}
			if _, err := lost.Verify(ed25519.PublicKey(d.PublicKey)); err != nil {
				c.find(where, "that changes %d to %d are lost is not what the device signed", g.From, g.To)
			}
			c.Gaps++
			head, have, gaps = g.Head, g.To, gaps[1:]
		}
	}
	err = tx.Batches(d.ID, func(b *Batch) error {
		c.Batches++
		if b.Foreign {
			return nil
		}
		over()
		groups, err := b.Groups()
		if err != nil {
			c.find(where, "the push up to change %d is damaged: %v", b.Last, err)
			return nil
		}
		if b.Prev != head || b.First != have+1 {
			c.find(where, "the push from change %d does not follow from the one before", b.First)
		}
		chain := b.Prev
		for _, g := range groups {
			c.Groups++
			chain = syncproto.ChainNext(chain, syncproto.GroupHash(g.Bytes))
		}
		if chain != b.Head || !syncproto.VerifyHead(ed25519.PublicKey(d.PublicKey), d.ID, b.Last, b.Head, b.Sig) {
			c.find(where, "the push up to change %d is not what the device signed", b.Last)
		}
		var outs syncproto.Outcomes
		if json.Unmarshal(b.Outcomes, &outs) != nil || len(outs.Groups) != len(groups) {
			c.find(where, "the outcomes of the push up to change %d are damaged", b.Last)
		}
		head, have = b.Head, b.Last
		return nil
	})
	over()
	if err == nil && len(gaps) > 0 {
		c.find(where, "changes from %d on were declared lost where the chain does not stand", gaps[0].From)
	}
	if err == nil {
		err = c.parked(tx, d)
	}
	if err == nil && (head != d.Head || have != d.Have) {
		c.find(where, "its pushes end at change %d, the device's mark at %d", have, d.Have)
	}
	return err
}
