package syncproto

import (
	"errors"
	"fmt"
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

// ParseGroup reads a group and checks everything that the protocol alone can check. Values alias b.
func ParseGroup(b []byte) (*Group, error) {
	g, err := parseGroup(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGroup, err)
	}
	return g, nil
}

func parseGroup(b []byte) (*Group, error) {
	if len(b) > MaxGroupBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxGroupBytes)
	}
	o, err := ParseObject(b)
	if err != nil {
		return nil, err
	}
	g := &Group{}
	seen := 0
	for _, m := range o {
		switch m.Name {
		case "boot":
			g.Clock.Boot = m.Value.Str()
		case "catalog":
			g.Catalog = int(m.Value.Int())
		case "changes":
			err = g.parseChanges(m.Value)
		case "device":
			g.Device = m.Value.Str()
		case "dseq":
			g.Dseq = uint64(max(m.Value.Int(), 0))
		case "gv":
			g.GV = m.Value.Str()
		case "mono":
			g.Clock.Mono = m.Value.Int()
		case "origin":
			err = g.parseOrigin(m.Value)
			seen--
		case "root":
			g.Root, err = ParseRef(m.Value.Str())
		case "v":
			if string(m.Value) != "1" {
				err = fmt.Errorf("unknown version")
			}
		case "wall":
			g.Clock.Wall = m.Value.Int()
		default:
			err = fmt.Errorf("unknown member %s", m.Name)
		}
		if err != nil {
			return nil, err
		}
		seen++
	}
	if seen != 10 || !ValidID(g.Device) || g.Dseq == 0 || len(g.Clock.Boot) > MaxIDLen {
		return nil, errors.New("a member is missing or has the wrong form")
	}
	if g.GV != "" {
		if _, err := ParseCursor(g.GV); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Group) parseOrigin(v Raw) error {
	o, err := ParseObject(v)
	if err != nil {
		return err
	}
	g.Origin = &Origin{Device: o.Str("device"), Dseq: uint64(max(o.Int("dseq"), 0))}
	g.Origin.Hash, err = ParseHash(o.Str("hash"))
	if err != nil || len(o) != 3 || !ValidID(g.Origin.Device) || g.Origin.Dseq == 0 {
		return errors.New("origin: want device, dseq and hash")
	}
	return nil
}

// items splits a canonical array into its elements; v must have been scanned before.
func (r Raw) items(limit int) ([]Raw, error) {
	if len(r) < 2 || r[0] != '[' {
		return nil, errors.New("expected an array")
	}
	var list []Raw
	for i := 1; r[i] != ']'; {
		end, err := scanValue(r, i, 1)
		if err != nil {
			return nil, err
		}
		if len(list) == limit {
			return nil, fmt.Errorf("more than %d items", limit)
		}
		list = append(list, r[i:end])
		i = end
		if r[i] == ',' {
			i++
		}
	}
	return list, nil
}

// Items splits a canonical array into its elements, or returns nil where r is something else.
func (r Raw) Items() []Raw {
	if CheckCanonical(r) != nil {
		return nil
	}
	list, err := r.items(1 << 20)
	if err != nil {
		return nil
	}
	return list
}

func (g *Group) parseChanges(v Raw) error {
	list, err := v.items(MaxGroupChanges)
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	if len(list) == 0 {
		return errors.New("changes: none")
	}
	g.Changes = make([]Change, len(list))
	for i, raw := range list {
		if err := g.Changes[i].parse(raw); err != nil {
			return fmt.Errorf("change %d: %w", i+1, err)
		}
	}
	return nil
}

func (c *Change) parse(raw Raw) error {
	o, err := ParseObject(raw)
	if err != nil {
		return err
	}
	for _, m := range o {
		switch m.Name {
		case "op":
			c.Op = Op(m.Value.Str())
		case "id":
			c.Ref.ID = m.Value.Str()
		case "kind":
			c.Ref.Kind = m.Value.Str()
		case "fields":
			c.Fields, err = ParseObject(m.Value)
		case "args":
			c.Args, err = ParseObject(m.Value)
		case "act":
			c.Act = m.Value.Str()
		case "bucket":
			c.Bucket = m.Value.Str()
		case "base":
			err = c.parseBase(m.Value)
		case "clear":
			err = c.parseClear(m.Value)
		default:
			err = fmt.Errorf("unknown member %s", m.Name)
		}
		if err != nil {
			return err
		}
	}
	return c.check(o)
}

func (c *Change) parseBase(v Raw) error {
	o, err := ParseObject(v)
	if err != nil {
		return err
	}
	c.Base = make(map[string]Stamp, len(o))
	for _, m := range o {
		s := Stamp(m.Value.Str())
		if !s.Valid() {
			return fmt.Errorf("base of %s: not a stamp", m.Name)
		}
		c.Base[m.Name] = s
	}
	return nil
}

func (c *Change) parseClear(v Raw) error {
	list, err := v.items(MaxGroupBytes)
	if err != nil {
		return fmt.Errorf("clear: %w", err)
	}
	last := ""
	for _, raw := range list {
		name := raw.Str()
		if !ValidName(name) || name <= last {
			return errors.New("clear: want field names in ascending order")
		}
		c.Clear, last = append(c.Clear, name), name
	}
	return nil
}

// members says which members each operation may have; "!" marks the ones it must have.
var members = map[Op]string{
	OpPut:    " fields! bucket id kind op ",
	OpSet:    " base! clear fields id kind op ",
	OpAct:    " act! args id kind op ",
	OpDelete: " base! id kind op ",
}

func (c *Change) check(o Object) error {
	allowed, ok := members[c.Op]
	if !ok {
		return fmt.Errorf("unknown operation %q", clip(string(c.Op)))
	}
	if !ValidName(c.Ref.Kind) || !ValidID(c.Ref.ID) {
		return errors.New("kind or id has the wrong form")
	}
	required := 0
	for _, m := range o {
		switch {
		case contains(allowed, " "+m.Name+"! "):
			required++
		case !contains(allowed, " "+m.Name+" "):
			return fmt.Errorf("%s does not go with %s", m.Name, c.Op)
		}
	}
	switch {
	case required != 1:
		return fmt.Errorf("%s lacks a member it needs", c.Op)
	case c.Op == OpAct && !ValidName(c.Act):
		return errors.New("act has the wrong form")
	case c.Bucket != "" && !ValidBucket(c.Bucket):
		return errors.New("bucket has the wrong form")
	case c.Op == OpSet:
		return c.checkSet()
	}
	return nil
}

func (c *Change) checkSet() error {
	n := len(c.Fields) + len(c.Clear)
	if n == 0 || n != len(c.Base) {
		return errors.New("set: base must name exactly the written and cleared fields")
	}
	for _, m := range c.Fields {
		if _, ok := c.Base[m.Name]; !ok {
			return fmt.Errorf("set: no base for %s", m.Name)
		}
	}
	for _, name := range c.Clear {
		if _, ok := c.Base[name]; !ok || c.Fields.Has(name) {
			return fmt.Errorf("set: no base for cleared %s, or it is written too", name)
		}
	}
	return nil
}
