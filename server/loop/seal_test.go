package loop_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func (c *county) sealed(want bool) {
	c.t.Helper()
	if done, err := c.loop.Seal(c.t.Context()); err != nil || done != want {
		c.t.Fatalf("sealed %v, %v", done, err)
	}
}

func (c *county) seals() (list []loop.Seal) {
	c.t.Helper()
	err := c.store.Read(c.t.Context(), func(tx loop.ReadTx) error {
		return tx.Seals(1, func(s loop.Seal) error { list = append(list, s); return nil })
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// A seal is written where something was written since, names what has grown, follows from the one before, and its root
// is over the heads of all ledgers as they stand.
func TestSealsAreChained(t *testing.T) {
	c := newCounty(t)
	c.sealed(true)
	c.sealed(false)
	c.now = c.now.Add(time.Minute)
	if err := c.loop.Grant(t.Context(), casework.System, loop.GridGrant{User: c.world.Cast().SurveyorOne.ID, Grid: c.world.Cast().Grid.Code[:13] + "002"}); err != nil {
		t.Fatal(err)
	}
	c.sealed(true)
	list := c.seals()
	if len(list) != 2 {
		t.Fatalf("%d seals", len(list))
	}
	var leaves []syncproto.Hash
	var names []string
	err := c.store.Read(t.Context(), func(tx loop.ReadTx) error {
		return tx.Buckets(func(b loop.Bucket) error {
			leaves = append(leaves, syncproto.SealLeaf(syncproto.BucketHead{Bucket: b.Name, Head: b.Head}))
			names = append(names, b.Name)
			return nil
		})
	})
	if err != nil || !slices.IsSorted(names) {
		t.Fatal(err, names)
	}
	first, second := list[0], list[1]
	body, err := syncproto.ParseObject(second.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if second.N != 2 || body.Str("prev") != syncproto.SealHash(first.Bytes).String() || body.Str("root") != syncproto.NewMerkle(leaves).Root().String() ||
		int(body.Int("buckets")) != len(leaves) || body.Int("at") != c.now.UnixMilli() || !syncproto.VerifySeal(c.loop.ServerKey(), second.Bytes, second.Sig) {
		t.Errorf("%s", second.Bytes)
	}
	heads := body.Get("heads").Items()
	if len(heads) != 1 || heads[0].Items()[0].Str() != syncproto.BucketUser+c.world.Cast().SurveyorOne.ID {
		t.Errorf("one bucket has grown, and the seal names %s", body.Get("heads"))
	}
	c.balanced()
}

// forge writes to the store as somebody would who can write to the database: consistently, but without the key.
func (c *county) forge(fn func(loop.Tx) error) {
	c.t.Helper()
	if err := c.store.Write(c.t.Context(), fn); err != nil {
		c.t.Fatal(err)
	}
}

func (c *county) findings() []loop.Finding {
	c.t.Helper()
	r, err := c.loop.Check(c.t.Context(), noBlobs)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Findings
}

// What nobody signed is found: a seal more, a seal with other words, and a chain that goes on from somewhere else.
func TestForgedSealsAreFound(t *testing.T) {
	c := newCounty(t)
	c.sealed(true)
	s := c.seals()[0]
	if len(c.findings()) > 0 {
		t.Fatal(c.findings())
	}
	c.forge(func(tx loop.Tx) error { return tx.AppendSeal(loop.Seal{N: 2, Bytes: s.Bytes, Sig: s.Sig}) })
	if got := c.findings(); len(got) != 1 || got[0].Where != "seals" {
		t.Errorf("a seal that is there twice: %+v", got)
	}

	c = newCounty(t)
	bent := bytes.Replace(s.Bytes, []byte(`"at":`), []byte(`"at":1`), 1)
	c.forge(func(tx loop.Tx) error { return tx.AppendSeal(loop.Seal{N: 1, Bytes: bent, Sig: s.Sig}) })
	if got := c.findings(); len(got) != 1 || got[0].Where != "seals" {
		t.Errorf("a seal of other words: %+v", got)
	}

	c = newCounty(t)
	c.forge(func(tx loop.Tx) error { return tx.AppendSeal(loop.Seal{N: 2, Bytes: s.Bytes, Sig: s.Sig}) })
	if got := c.findings(); len(got) != 1 || got[0].Where != "seals" {
		t.Errorf("a first seal that is missing: %+v", got)
	}
}

// Sealing reads the buckets' heads and the newest seal and nothing else, so that its cost does not grow with what the
// buckets hold.
func TestSealReadsHeadsOnly(t *testing.T) {
	c := newCounty(t)
	l := c.with(func(o *loop.Options) { o.Store = headsOnly{c.store} })
	if done, err := l.Seal(t.Context()); err != nil || !done {
		t.Fatalf("sealed %v, %v", done, err)
	}
	if got := c.findings(); len(got) > 0 {
		t.Error(got)
	}
}

// headsOnly is a store that can do what sealing needs. Any other method of its transactions is nil and panics.
type headsOnly struct{ loop.Store }

func (s headsOnly) Read(ctx context.Context, fn func(loop.ReadTx) error) error {
	return s.Store.Read(ctx, func(tx loop.ReadTx) error { return fn(&headsRead{nil, tx}) })
}

func (s headsOnly) Write(ctx context.Context, fn func(loop.Tx) error) error {
	return s.Store.Write(ctx, func(tx loop.Tx) error { return fn(&headsWrite{nil, tx}) })
}

type headsRead struct {
	loop.ReadTx
	real loop.ReadTx
}

func (t *headsRead) Buckets(fn func(loop.Bucket) error) error { return t.real.Buckets(fn) }

type headsWrite struct {
	loop.Tx
	real loop.Tx
}

func (t *headsWrite) Incarnation() string                      { return t.real.Incarnation() }
func (t *headsWrite) Buckets(fn func(loop.Bucket) error) error { return t.real.Buckets(fn) }
func (t *headsWrite) LastSeal() (*loop.Seal, error)            { return t.real.LastSeal() }
func (t *headsWrite) AppendSeal(s loop.Seal) error             { return t.real.AppendSeal(s) }
func (t *headsWrite) PutBucket(b loop.Bucket) error            { return t.real.PutBucket(b) }
