package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"aidloop/fixtures/netproxy"
	"aidloop/mobile-api/client"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

const rowsOfGrid = 6000

// populate registers so many households that the grid is served as a snapshot: each is a row, with its key another.
func (w *world) populate() {
	w.Helper()
	for from := 0; from < rowsOfGrid/3; from += 500 {
		var list []loop.Registration
		for i := from; i < from+500; i++ {
			id := fmt.Sprintf("h-%05d", i)
			list = append(list, loop.Registration{ID: id, Grid: grid, Fields: map[string]any{"members_count": 2, "head_name": "湛国庆", "state": "active", "code": id, "note": strings.Repeat("家里有老人。", 40)},
				Persons: []loop.Member{{ID: "p-" + id, Fields: map[string]any{"household": id, "name": "湛国庆", "relation": "self"}}}})
		}
		_, err := w.app.Loop.Register(w.Context(), casework.System, list)
		w.must(err)
	}
}

// newPhone enrols another phone of the same worker on a store that can be opened again.
func (w *world) newPhone() (*client.Client, *device.Memory) {
	w.Helper()
	code, err := w.app.Loop.NewEnrolCode(w.Context(), casework.System, "u-1")
	w.must(err)
	s := device.NewMemory()
	c, err := client.EnrolPhone(w.Context(), s, w.client.HTTP, w.line.URL(), code, "手机", options(), w.clock.phone)
	w.must(err)
	c.Sleep = w.client.Sleep
	return c, s
}

func (w *world) reopen(s *device.Memory) *client.Client {
	w.Helper()
	c, err := client.OpenPhone(s, w.client.HTTP, options(), w.clock.phone)
	w.must(err)
	c.Sleep = w.client.Sleep
	return c
}

// complete insists that a phone holds the grid as the server does.
func (w *world) complete(c *client.Client) {
	w.Helper()
	held, err := c.Engine.Buckets()
	w.must(err)
	for _, b := range held {
		w.must(w.app.Store.Read(w.Context(), func(tx loop.ReadTx) error {
			head, err := tx.Bucket(b.Name)
			if head.Count != b.Count || head.Digest.String() != b.Digest || !strings.HasSuffix(b.Cursor, fmt.Sprintf(":%d", head.Seq)) {
				w.Errorf("%s: %d rows at %s, the server has %d at %d", b.Name, b.Count, b.Cursor, head.Count, head.Seq)
			}
			return err
		}))
	}
	st, err := c.Engine.Status(0)
	if err != nil || len(held) != 3 || len(st.Incidents) > 0 {
		w.Errorf("%v, %d buckets, incidents %+v", err, len(held), st.Incidents)
	}
}

// A phone fetches a bucket of six thousand rows in chunks. The line breaks in the middle, the app is killed, rows change,
// the server restarts and has forgotten its chunks: the phone goes on where it was, and ends with the server's rows.
func TestALargeBucketComesInChunks(t *testing.T) {
	w := newWorld(t)
	w.populate()
	straight, _ := w.newPhone()
	whole, err := straight.Sync(t.Context())
	w.must(err)
	w.complete(straight)
	if whole.Chunks < 3 {
		t.Fatalf("it came in %d chunks", whole.Chunks)
	}

	c, s := w.newPhone()
	pass, lost := netproxy.Plan{Kind: netproxy.Pass}, netproxy.Plan{Kind: netproxy.CutResponse, At: 0.5}
	w.line.Script(pass, pass, lost, lost, lost, lost, lost) // an exchange, one chunk, and a dead line
	if _, err := c.Sync(t.Context()); err == nil {
		t.Fatal("it came through a dead line")
	}
	c = w.reopen(s)
	w.capture() // on another phone, meanwhile
	_, err = w.client.Sync(t.Context())
	w.must(err)
	w.line.Script(pass, lost, pass, lost) // each is tried again
	rest, err := c.Sync(t.Context())
	w.must(err)
	w.complete(c)
	if rest.Chunks != whole.Chunks-1 || rest.Received > whole.Received {
		t.Errorf("%d chunks and %d bytes after the cut, %d and %d without", rest.Chunks, rest.Received, whole.Chunks, whole.Received)
	}

	c, s = w.newPhone()
	w.line.Script(pass, pass, lost, lost, lost, lost, lost)
	if _, err := c.Sync(t.Context()); err == nil {
		t.Fatal("it came through a dead line")
	}
	w.restart()
	c = w.reopen(s)
	rest, err = c.Sync(t.Context())
	w.must(err)
	w.complete(c)
	if rest.Chunks > whole.Chunks { // one is gone, and of the others the first one is not fetched again
		t.Errorf("%d chunks after a restart, %d in all", rest.Chunks, whole.Chunks)
	}
}

// restart stops the server and starts it again under the same address.
func (w *world) restart() {
	w.Helper()
	cfg := app.Config{Addr: strings.TrimPrefix(w.app.URL, "http://"), Data: w.data, Clock: w.server.time}
	w.must(w.app.Close())
	next, err := app.Open(w.Context(), cfg)
	w.must(err)
	*w.app = *next
	w.must(w.app.Listen())
}

// When the grant ends between two chunks, the phone hears that they are gone, asks, and is told to drop the bucket: of
// what it had fetched nothing is left.
func TestScopeLostBetweenChunks(t *testing.T) {
	w := newWorld(t)
	w.populate()
	c, s := w.newPhone()
	pass, lost := netproxy.Plan{Kind: netproxy.Pass}, netproxy.Plan{Kind: netproxy.DropBefore}
	w.line.Script(pass, pass, lost, lost, lost, lost, lost)
	if _, err := c.Sync(t.Context()); err == nil {
		t.Fatal("it came through a dead line")
	}
	w.must(w.app.Loop.RevokeGrant(t.Context(), casework.System, "u-1", grid))
	if next, err := c.Engine.NextChunk(); err != nil || next == nil {
		t.Fatal(next, err)
	}
	_, err := c.Sync(t.Context())
	w.must(err)
	next, err := c.Engine.NextChunk()
	if err != nil || next != nil {
		t.Errorf("%v, it still wants %+v", err, next)
	}
	w.must(s.View(func(tx device.Tx) error {
		for _, prefix := range []string{"chunk/", "plan/", "row/" + syncproto.BucketGrid} {
			if err := tx.Scan(prefix, func(key string, _ []byte) (bool, error) { return false, errors.New(key + " is left") }); err != nil {
				return err
			}
		}
		return nil
	}))
}

// A server that offers what it never has is given up, not asked for ever.
func TestChunksThatAreNeverThere(t *testing.T) {
	asked := 0
	f := newFake(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/sync/v1" {
			asked++
			rw.WriteHeader(http.StatusNotFound)
			reply(t, rw, map[string]any{"code": syncproto.CodeChunkGone})
			return
		}
		b := syncproto.AppendJSON(nil, syncproto.FrameHelloReply, syncproto.HelloReply{Version: 1, Catalog: 1, Incarnation: "life", Now: noon.UnixMilli()})
		b = syncproto.AppendJSON(b, syncproto.FrameSnapshot, syncproto.Snapshot{Bucket: syncproto.BucketGrid + grid, Incarnation: "life", Seq: 1, Count: 1,
			Chunks: []syncproto.Chunk{{SHA256: syncproto.Hash{}.String(), Bytes: 1, Rows: 1}}})
		if _, err := rw.Write(syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: 2})); err != nil {
			t.Error(err)
		}
	})
	c := f.phone(client.Tokens{Access: "a", Expires: noon.UnixMilli() + 900_000})
	_, err := c.Sync(context.Background())
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != string(syncproto.CodeChunkGone) || asked > 10 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
