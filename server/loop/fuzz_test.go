package loop_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// Decompressing stays within its limit, in its result and in what it allocates on the way, and undoes Compress.
func FuzzDecompress(f *testing.F) {
	for _, enc := range []string{"", "gzip", "zstd"} {
		f.Add(enc, loop.Compress(enc, []byte("一户一档")))
		f.Add(enc, loop.Compress(enc, make([]byte, 4<<20))) // a bomb
		f.Add(enc, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xff})
	}
	const limit = 64 << 10
	f.Fuzz(func(t *testing.T, enc string, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := loop.Decompress(enc, b, limit)
		runtime.ReadMemStats(&after)
		if len(out) > limit {
			t.Fatalf("%d bytes", len(out))
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 32*limit+16<<20 { // a decoder's own tables, once
			t.Fatalf("%d bytes allocated for %d", got, len(b))
		}
		var refusal *syncproto.Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && enc != "" {
			again, err := loop.Decompress(enc, loop.Compress(enc, out), limit)
			if err != nil || !bytes.Equal(again, out) {
				t.Fatalf("compressed again it differs: %v", err)
			}
		}
	})
}
