package mobileapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func (p *phone) chunk(sha string, headers ...string) answer {
	p.w.Helper()
	if p.Access != "" {
		headers = append(headers, "Authorization", "Bearer "+p.Access)
	}
	return p.w.do(http.MethodGet, "/sync/v1/chunks/"+sha, nil, headers...)
}

// A large bucket is offered to a phone that fetches chunks, and each comes under its content's name, in an encoding that
// the phone takes, to be cached by nobody else; to a phone that does not fetch them, the rows come.
func TestChunksAreServedByContent(t *testing.T) {
	w := newWorld(t)
	p, stranger := w.phone(anna), w.phone(bao)
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("h%d", i))
	}
	p.exchange(p.households(gridA, ids...))
	bucket := syncproto.BucketGrid + gridA
	if plain := p.exchange(p.pull()); len(plain.rows[bucket]) < 30 || len(plain.snapshots) > 0 {
		t.Errorf("without chunks: %d rows, %v", len(plain.rows[bucket]), plain.snapshots)
	}
	pull := p.pull()
	pull.hello.Caps = []string{syncproto.CapSnapshot}
	got := p.exchange(pull)
	s := got.snapshots[bucket]
	if len(got.rows[bucket]) > 0 || s.Check() != nil || len(s.Chunks) < 3 {
		t.Fatalf("%d rows, %+v", len(got.rows[bucket]), s)
	}
	var sum syncproto.Digest
	rows := int64(0)
	for i, c := range s.Chunks {
		encoding := []string{"zstd", "gzip", "identity"}[i%3]
		a := p.chunk(c.SHA256, "Accept-Encoding", encoding)
		b, err := loop.Decompress(strings.TrimPrefix(a.header.Get("Content-Encoding"), "identity"), a.body, syncproto.MaxChunkBytes)
		if a.status != http.StatusOK || err != nil || syncproto.ChunkName(b) != c.SHA256 || len(b) != c.Bytes || encoding != "identity" && a.header.Get("Content-Encoding") != encoding {
			t.Fatalf("chunk %d in %s: %d %v", i, encoding, a.status, err)
		}
		if cc := a.header.Get("Cache-Control"); !strings.Contains(cc, "private") || !strings.Contains(cc, "immutable") || !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("headers %v", a.header)
		}
		if again := p.chunk(c.SHA256, "If-None-Match", a.header.Get("ETag")); again.status != http.StatusNotModified || len(again.body) > 0 {
			t.Errorf("asked again with its tag: %d", again.status)
		}
		w.must(syncproto.EachRow(b, func(payload []byte) error {
			row, err := syncproto.ParseRow(payload)
			sum = sum.Add(syncproto.RowHash(row.Envelope, row.Body))
			rows++
			return err
		}))
	}
	if sum.String() != s.Digest || rows != s.Count {
		t.Errorf("%d rows %s, %d %s were announced", rows, sum, s.Count, s.Digest)
	}
	sha := s.Chunks[0].SHA256
	w.refused(stranger.chunk(sha), 404, syncproto.CodeChunkGone)
	w.refused(p.chunk(strings.Repeat("0", 64)), 404, syncproto.CodeChunkGone)
	w.refused(p.chunk("..%2f..%2fkeys"), 404, syncproto.CodeChunkGone)
	w.must(w.loop.RevokeGrant(context.Background(), casework.System, anna, gridA))
	w.refused(p.chunk(sha), 404, syncproto.CodeChunkGone)
	p.Access = ""
	w.refused(p.chunk(sha), 401, syncproto.CodeTokenInvalid)
	p.Access = "rubbish"
	w.refused(p.chunk(sha, "If-None-Match", `W/"`+sha+`"`), 401, syncproto.CodeTokenInvalid)
}
