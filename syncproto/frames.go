package syncproto

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// FrameType is the first byte of a frame.
type FrameType byte

// The frames. A request is Hello, then any number of Group followed by one Sign, then at most one Want, then End. A
// response is HelloReply, then Outcomes and Receipt where something was pushed, then the buckets (Bucket, then Row and
// Exit with Page between them, then Checkpoint, or one Snapshot) and Drops, then at most one Fault, then End.
const (
	FrameHello      FrameType = 'H' // Hello
	FrameGroup      FrameType = 'G' // numbering and a group's canonical bytes: see AppendGroup
	FrameSign       FrameType = 'S' // Sign
	FrameLost       FrameType = 'L' // changes that the device can never send: see Lost
	FrameWitness    FrameType = 'V' // a row of a life of the server that was lost: see AppendWitness
	FrameWant       FrameType = 'W' // Want
	FrameEnd        FrameType = 'E' // End
	FrameHelloReply FrameType = 'h' // HelloReply
	FrameOutcomes   FrameType = 'o' // Outcomes
	FrameReceipt    FrameType = 'q' // SignedReceipt
	FrameBucket     FrameType = 'b' // BucketStart
	FrameSnapshot   FrameType = 's' // Snapshot, in place of a bucket's rows
	FrameRow        FrameType = 'r' // seq, envelope, body: see AppendRow
	FrameExit       FrameType = 'x' // Exit
	FramePage       FrameType = 'p' // Page
	FrameCheckpoint FrameType = 'c' // Checkpoint
	FrameDrop       FrameType = 'd' // Drop
	FrameFault      FrameType = 'e' // Fault
)

// The frames that only bundles have: see bundle.go.
const (
	FrameBundle FrameType = 'B' // SignedBundle
	FramePhoto  FrameType = 'P' // BundlePhoto
	FrameData   FrameType = 'D' // bytes of a photo
	FrameClose  FrameType = 'Z' // BundleClose
	FrameKept   FrameType = 'k' // BundleKept, in a response
)

// AppendFrame writes a frame: the type, the payload's length as a 4-byte big-endian number, the payload.
func AppendFrame(dst []byte, t FrameType, payload []byte) []byte {
	dst = append(dst, byte(t))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...)
}

// AppendJSON writes a frame whose payload is a control message in JSON.
func AppendJSON(dst []byte, t FrameType, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("syncproto: control message: %v", err)) // our own structs always marshal
	}
	return AppendFrame(dst, t, b)
}

// AppendRow writes a row frame: seq as 8 bytes, the envelope's length as 4 bytes, both big-endian, then the envelope
// and, to the end of the frame, the body. Stored bytes go out as they are.
func AppendRow(dst []byte, seq uint64, envelope, body []byte) []byte {
	dst = append(dst, byte(FrameRow))
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(envelope)+len(body)))
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(envelope)))
	return append(append(dst, envelope...), body...)
}

// Row is the payload of a row frame, split. The slices alias the payload.
type Row struct {
	Seq            uint64
	Envelope, Body Raw
}

// ParseRow splits the payload of a row frame; it does not look inside.
func ParseRow(p []byte) (Row, error) {
	if len(p) < 12 {
		return Row{}, Refuse(CodeMalformed, "row frame cut short")
	}
	n := binary.BigEndian.Uint32(p[8:])
	if uint64(n) > uint64(len(p)-12) {
		return Row{}, Refuse(CodeMalformed, "row frame cut short")
	}
	return Row{binary.BigEndian.Uint64(p), p[12 : 12+n], p[12+n:]}, nil
}

// Frame is one frame in memory.
type Frame struct {
	Type    FrameType
	Payload []byte
}

// Decode reads the payload of a control frame. Unknown members are left alone, so that a later version can add some.
func (f Frame) Decode(v any) error {
	if err := json.Unmarshal(f.Payload, v); err != nil {
		return Refuse(CodeMalformed, fmt.Sprintf("frame %c: %v", f.Type, err))
	}
	return nil
}

// NextFrame takes the first frame off b. io.EOF means that b is empty, CodeTruncated that it ends inside a frame.
func NextFrame(b []byte) (f Frame, rest []byte, err error) {
	if len(b) == 0 {
		return f, nil, io.EOF
	}
	if len(b) < 5 {
		return f, b, Refuse(CodeTruncated, "ends inside a frame's head")
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > MaxFrameBytes {
		return f, b, Refuse(CodeTooLarge, "frame larger than allowed")
	}
	if uint64(n) > uint64(len(b)-5) {
		return f, b, Refuse(CodeTruncated, "ends inside a frame")
	}
	return Frame{FrameType(b[0]), b[5 : 5+n]}, b[5+n:], nil
}

// FrameReader takes frames off a stream. The payload of a frame is valid until the next call.
type FrameReader struct {
	r    io.Reader
	head [5]byte
	buf  []byte
}

// NewFrameReader reads from r, which should be buffered.
func NewFrameReader(r io.Reader) *FrameReader { return &FrameReader{r: r} }

// Next reads one frame. io.EOF means that the stream ended between two frames, CodeTruncated inside one.
func (fr *FrameReader) Next() (Frame, error) {
	if _, err := io.ReadFull(fr.r, fr.head[:]); err != nil {
		return Frame{}, cutShort(err)
	}
	n := int(binary.BigEndian.Uint32(fr.head[1:]))
	if n > MaxFrameBytes {
		return Frame{}, Refuse(CodeTooLarge, "frame larger than allowed")
	}
	if cap(fr.buf) < n {
		fr.buf = make([]byte, n, n+n/4)
	}
	fr.buf = fr.buf[:n]
	if _, err := io.ReadFull(fr.r, fr.buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, cutShort(err)
	}
	return Frame{FrameType(fr.head[0]), fr.buf}, nil
}

func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Refuse(CodeTruncated, "ends inside a frame")
	}
	return err
}
