package syncproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Group frames carry the numbering beside the group's bytes, so that a group whose inside cannot be read still takes
// its place in the chain and is rejected, instead of standing in the way of everything behind it.

// AppendGroup writes a group frame: the number of the first change as 8 bytes, the number of changes as 2 bytes, both
// big-endian, then the group's canonical bytes.
func AppendGroup(dst []byte, dseq uint64, changes int, group []byte) []byte {
	dst = append(dst, byte(FrameGroup))
	dst = binary.BigEndian.AppendUint32(dst, uint32(10+len(group)))
	dst = binary.BigEndian.AppendUint64(dst, dseq)
	dst = binary.BigEndian.AppendUint16(dst, uint16(changes))
	return append(dst, group...)
}

// SignedGroup is a group as it was sent: its numbering and its bytes, which alias the request.
type SignedGroup struct {
	Dseq    uint64
	Changes int
	Bytes   Raw
}

// Last is the number of the group's last change.
func (g SignedGroup) Last() uint64 { return g.Dseq + uint64(g.Changes) - 1 }

// ParseGroupFrame splits the payload of a group frame; it does not look inside the group.
func ParseGroupFrame(p []byte) (SignedGroup, error) {
	if len(p) < 10 {
		return SignedGroup{}, Refuse(CodeMalformed, "group frame cut short")
	}
	g := SignedGroup{binary.BigEndian.Uint64(p), int(binary.BigEndian.Uint16(p[8:])), p[10:]}
	if g.Dseq == 0 || g.Dseq > maxDseq || g.Changes == 0 || g.Changes > MaxGroupChanges {
		return g, Refuse(CodeMalformed, "group frame with a number out of range")
	}
	return g, nil
}

// Parse reads the group's inside, which must agree with the numbering it was sent under.
func (g SignedGroup) Parse(device string) (*Group, error) {
	p, err := ParseGroup(g.Bytes)
	if err != nil {
		return nil, err
	}
	if p.Device != device || p.Dseq != g.Dseq || len(p.Changes) != g.Changes {
		return nil, fmt.Errorf("%w: numbered otherwise than it was sent", ErrGroup)
	}
	return p, nil
}

// AppendWitness writes a witness frame: the payload of a row frame as it was once received (its seq is of no account).
func AppendWitness(dst, row []byte) []byte {
	dst = append(dst, byte(FrameWitness))
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(row))), row...)
}

// Request is a whole request, read and checked for form. Sign and Want are nil where they were not sent. Slices alias
// the bytes it was parsed from.
type Request struct {
	Hello  Hello
	Groups []SignedGroup
	Sign   *Sign
	// Lost declares a gap in front of the groups that the device can never fill.
	Lost *Lost
	// Witness are rows of a life of the server that was lost, which the device still held.
	Witness []Row
	Want    *Want
}

// ParseRequest reads a whole request. Every error is an *Error and means that nothing of the request may be used.
//
// A request of a later version that cannot be read is refused with CodeVersion.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > MaxPushBytes {
		return nil, Refuse(CodeTooLarge, "request larger than allowed")
	}
	req := &Request{}
	out, err := req.parse(b)
	var e *Error
	if errors.As(err, &e) && e.Code == CodeMalformed && req.Hello.Versions[0] > ProtocolVersion {
		err = Refuse(CodeVersion, "this side speaks version 1")
	}
	return out, err
}

func (req *Request) parse(b []byte) (*Request, error) {
	frames := 0
	for {
		f, rest, err := NextFrame(b)
		if err == io.EOF {
			return nil, Refuse(CodeTruncated, "no end frame")
		}
		if err != nil {
			return nil, err
		}
		if f.Type == FrameEnd {
			return req, req.finish(f, frames, rest)
		}
		if err := req.add(f, frames); err != nil {
			return nil, err
		}
		b, frames = rest, frames+1
	}
}

func (r *Request) add(f Frame, at int) error {
	if (f.Type == FrameHello) != (at == 0) {
		return Refuse(CodeMalformed, "a request opens with one hello frame")
	}
	switch f.Type {
	case FrameHello:
		return f.Decode(&r.Hello)
	case FrameGroup:
		return r.addGroup(f.Payload)
	case FrameSign:
		if r.Sign != nil || len(r.Groups) == 0 {
			return Refuse(CodeMalformed, "a sign frame without groups, or twice")
		}
		r.Sign = &Sign{}
		if err := f.Decode(r.Sign); err != nil {
			return err
		}
		if len(r.Sign.Receipts) > MaxReceipts {
			return Refuse(CodeTooLarge, "more receipts than allowed")
		}
		return nil
	case FrameLost:
		if r.Lost != nil || len(r.Groups) > 0 {
			return Refuse(CodeMalformed, "a lost frame behind the groups, or twice")
		}
		r.Lost = &Lost{}
		return f.Decode(r.Lost)
	case FrameWitness:
		row, err := ParseRow(f.Payload)
		if err != nil || r.Want != nil {
			return Refuse(CodeMalformed, "a witness frame that is cut short, or behind the want frame")
		}
		if len(r.Witness) == MaxWitnesses {
			return Refuse(CodeTooLarge, "more witness frames than allowed in one request")
		}
		r.Witness = append(r.Witness, row)
		return nil
	case FrameWant:
		if r.Want != nil {
			return Refuse(CodeMalformed, "two want frames")
		}
		r.Want = &Want{}
		if err := f.Decode(r.Want); err != nil {
			return err
		}
		return r.Want.check()
	}
	return nil // a frame of a later version: what else is in the request is taken all the same
}

func (r *Request) addGroup(payload []byte) error {
	g, err := ParseGroupFrame(payload)
	if err != nil {
		return err
	}
	if r.Sign != nil || r.Want != nil || r.Witness != nil {
		return Refuse(CodeMalformed, "a group frame behind the sign or want frame")
	}
	if n := len(r.Groups); n > 0 && r.Groups[n-1].Last()+1 != g.Dseq {
		return Refuse(CodeMalformed, "group frames out of order")
	}
	if len(r.Groups) == MaxPushGroups {
		return Refuse(CodeTooLarge, "more groups than allowed in one push")
	}
	r.Groups = append(r.Groups, g)
	return nil
}

func (r *Request) finish(f Frame, frames int, rest []byte) error {
	var end End
	if err := f.Decode(&end); err != nil {
		return err
	}
	switch {
	case frames == 0:
		return Refuse(CodeMalformed, "a request opens with one hello frame")
	case end.Frames != frames || len(rest) > 0:
		return Refuse(CodeTruncated, "the end frame counts other frames than arrived")
	case r.Hello.Erased != nil && len(r.Hello.Erased.Left) > MaxCursors:
		return Refuse(CodeTooLarge, "more cursors than allowed")
	case len(r.Hello.Lacks) > MaxLacks:
		return Refuse(CodeTooLarge, "more keys than allowed")
	case !ValidID(r.Hello.Device):
		return Refuse(CodeMalformed, "hello without a device")
	case r.Lost != nil && r.Lost.Device != r.Hello.Device:
		return Refuse(CodeMalformed, "the lost frame speaks of another device")
	case (len(r.Groups) > 0) != (r.Sign != nil):
		return Refuse(CodeMalformed, "groups without a sign frame")
	case r.Sign != nil && (r.Sign.Device != r.Hello.Device || r.Sign.First != r.Groups[0].Dseq || r.Sign.Last != r.Groups[len(r.Groups)-1].Last()):
		return Refuse(CodeMalformed, "the sign frame speaks of other groups")
	}
	return nil
}
