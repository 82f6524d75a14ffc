package loop

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"aidloop/syncproto"
)

// A zstd decoder or encoder is safe for concurrent use with its All function; one for each limit serves everybody.
var (
	zstdDecoders sync.Map // limit → *zstd.Decoder
	zstdEncoder  = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err)
		}
		return e
	})
)

func zstdDecoder(limit int) *zstd.Decoder {
	if d, ok := zstdDecoders.Load(limit); ok {
		return d.(*zstd.Decoder)
	}
	made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(uint64(limit)))
	if err != nil {
		panic(err) // only for options out of range
	}
	d, _ := zstdDecoders.LoadOrStore(limit, made)
	return d.(*zstd.Decoder)
}

// Decompress undoes an encoding ("", "gzip" or "zstd") and never allocates much more than limit bytes, of which callers
// use few different ones. Errors are
// *syncproto.Error.
func Decompress(encoding string, b []byte, limit int) ([]byte, error) {
	switch encoding {
	case "":
		if len(b) > limit {
			return nil, syncproto.Refuse(syncproto.CodeTooLarge, "larger than allowed")
		}
		return b, nil
	case "zstd":
		out, err := zstdDecoder(limit).DecodeAll(b, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || len(out) > limit {
			return nil, syncproto.Refuse(syncproto.CodeTooLarge, "larger than allowed once decompressed")
		}
		if err != nil {
			return nil, syncproto.Refuse(syncproto.CodeTruncated, "zstd: "+err.Error())
		}
		return out, nil
	case "gzip":
		zr, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, syncproto.Refuse(syncproto.CodeTruncated, "gzip: "+err.Error())
		}
		out, err := io.ReadAll(io.LimitReader(zr, int64(limit)+1))
		if err != nil {
			return nil, syncproto.Refuse(syncproto.CodeTruncated, "gzip: "+err.Error())
		}
		if len(out) > limit {
			return nil, syncproto.Refuse(syncproto.CodeTooLarge, "larger than allowed once decompressed")
		}
		return out, nil
	}
	return nil, syncproto.Refuse(syncproto.CodeUnsupportedType, fmt.Sprintf("unknown encoding %.20q", encoding))
}

// Compress writes b in an encoding that Decompress knows.
func Compress(encoding string, b []byte) []byte {
	switch encoding {
	case "zstd":
		return zstdEncoder().EncodeAll(b, make([]byte, 0, len(b)/3+64))
	case "gzip":
		var buf bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed) // the level is a constant in range
		_, _ = zw.Write(b)                                 // a bytes.Buffer takes everything
		_ = zw.Close()
		return buf.Bytes()
	}
	return b
}
