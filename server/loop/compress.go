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

// zstd decoders and encoders are safe for concurrent use with the All functions; one of each serves everybody.
var (
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(syncproto.MaxPushBytes))
		if err != nil {
			panic(err) // only for options out of range
		}
		return d
	})
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err)
		}
		return e
	})
)

// Decompress undoes an encoding ("", "gzip" or "zstd") and never returns more than limit bytes. Errors are
// *syncproto.Error.
func Decompress(encoding string, b []byte, limit int) ([]byte, error) {
	switch encoding {
	case "":
		if len(b) > limit {
			return nil, syncproto.Refuse(syncproto.CodeTooLarge, "larger than allowed")
		}
		return b, nil
	case "zstd":
		out, err := zstdDecoder().DecodeAll(b, nil)
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
