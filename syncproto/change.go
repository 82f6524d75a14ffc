package syncproto

import (
	"errors"
	"strconv"
)

// Op is what a change does to its record.
type Op string

// The four operations.
const (
	OpPut    Op = "put"    // create the record with its fields
	OpSet    Op = "set"    // write or clear fields, each with the stamp it had when it was edited
	OpAct    Op = "act"    // ask for a step of a workflow; the server's state machine answers
	OpDelete Op = "delete" // mark the record deleted; its id and stamps are kept for ever
)

// Change is one device's intent on one record.
//
//	put     {"bucket"?, "fields", "id", "kind", "op"}     bucket only with the put of a new root
//	set     {"base", "clear"?, "fields"?, "id", "kind", "op"}
//	act     {"act", "args"?, "id", "kind", "op"}
//	delete  {"base", "id", "kind", "op"}
//
// Base maps every written or cleared field to the stamp it had when it was edited. For a delete it maps every field
// that the author saw to its stamp, so that an edit he did not see is not lost.
type Change struct {
	Op     Op
	Ref    Ref
	Fields Object
	Clear  []string
	Base   map[string]Stamp
	Act    string
	Args   Object
	Bucket string
}

// Origin tells where a reissued group was first numbered, after its first enrolment was frozen by a fork.
type Origin struct {
	Device string
	Dseq   uint64
	Hash   Hash
}

// Group is what one device captured at one moment and what lives or dies together. Its bytes freeze at capture.
//
//	{"boot":"…","catalog":1,"changes":[…],"device":"…","dseq":1,"gv":"…","mono":0,"origin":{…}?,"root":"household/…","v":1,"wall":0}
//
// Dseq numbers the first change, the others follow. GV is the cursor of the author's user: bucket at capture ("" before
// the first pull). Wall is the phone's clock in milliseconds since 1970 UTC, Mono a clock that only goes forward within
// one Boot. Root is the household or lead that the changes belong to, or the record itself in a user: bucket.
type Group struct {
	Device  string
	Dseq    uint64
	GV      string
	Root    Ref
	Clock   Clock
	Catalog int
	Origin  *Origin
	Changes []Change
}

// Last is the number of the group's last change.
func (g *Group) Last() uint64 { return g.Dseq + uint64(len(g.Changes)) - 1 }

// ErrGroup is wrapped by every error about a group that breaks the rules above.
var ErrGroup = errors.New("bad group")

// Encode writes the group's canonical bytes and checks them against the limits.
func (g *Group) Encode() (Raw, error) {
	b := make([]byte, 0, 1024)
	b = append(b, `{"boot":`...)
	b, err := appendString(b, g.Clock.Boot)
	if err != nil {
		return nil, err
	}
	b = append(b, `,"catalog":`...)
	b = strconv.AppendInt(b, int64(g.Catalog), 10)
	b = append(b, `,"changes":[`...)
	for i := range g.Changes {
		if i > 0 {
			b = append(b, ',')
		}
		b = g.Changes[i].append(b)
	}
	b = append(append(append(b, `],"device":"`...), g.Device...), `","dseq":`...)
	b = strconv.AppendUint(b, g.Dseq, 10)
	b = append(append(append(b, `,"gv":"`...), g.GV...), `","mono":`...)
	b = strconv.AppendInt(b, g.Clock.Mono, 10)
	if g.Origin != nil {
		b = append(append(append(b, `,"origin":{"device":"`...), g.Origin.Device...), `","dseq":`...)
		b = strconv.AppendUint(b, g.Origin.Dseq, 10)
		b = append(append(append(b, `,"hash":"`...), g.Origin.Hash.String()...), `"}`...)
	}
	b = append(append(append(b, `,"root":"`...), g.Root.String()...), `","v":1,"wall":`...)
	b = append(strconv.AppendInt(b, g.Clock.Wall, 10), '}')
	if _, err := ParseGroup(b); err != nil {
		return nil, err
	}
	return b, nil
}

func (c *Change) append(b []byte) []byte {
	b = append(b, '{')
	if c.Op == OpAct {
		b = append(append(append(b, `"act":"`...), c.Act...), '"')
		if len(c.Args) > 0 {
			b = c.Args.Append(append(b, `,"args":`...))
		}
		b = append(b, ',')
	}
	if c.Op == OpSet || c.Op == OpDelete {
		base := make(map[string]any, len(c.Base))
		for k, v := range c.Base {
			base[k] = string(v)
		}
		b, _ = appendMap(append(b, `"base":`...), base, 0)
		b = append(b, ',')
	}
	if c.Bucket != "" {
		b = append(append(append(b, `"bucket":"`...), c.Bucket...), `",`...)
	}
	if len(c.Clear) > 0 {
		b, _ = appendValue(append(b, `"clear":`...), c.Clear, 0)
		b = append(b, ',')
	}
	if c.Op == OpPut || c.Op == OpSet && len(c.Fields) > 0 {
		b = append(c.Fields.Append(append(b, `"fields":`...)), ',')
	}
	b = append(append(append(b, `"id":"`...), c.Ref.ID...), `","kind":"`...)
	b = append(append(append(b, c.Ref.Kind...), `","op":"`...), c.Op...)
	return append(b, `"}`...)
}
