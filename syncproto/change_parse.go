package syncproto

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

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
			g.Clock.Boot, err = m.text()
		case "catalog":
			var n int64
			n, err = m.number(0)
			g.Catalog = int(n)
		case "changes":
			err = g.parseChanges(m.Value)
		case "device":
			g.Device = m.Value.Str()
		case "dseq":
			var n int64
			n, err = m.number(1)
			g.Dseq = uint64(n)
		case "gv":
			g.GV, err = m.text()
		case "mono":
			g.Clock.Mono, err = m.number(-MaxInt)
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
			g.Clock.Wall, err = m.number(-MaxInt)
		default:
			err = fmt.Errorf("unknown member %s", m.Name)
		}
		if err != nil {
			return nil, err
		}
		seen++
	}
	if seen != 10 || !ValidID(g.Device) || g.Dseq > maxDseq || len(g.Clock.Boot) > MaxIDLen {
		return nil, errors.New("a member is missing or has the wrong form")
	}
	if g.GV != "" {
		if _, err := ParseCursor(g.GV); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// maxDseq leaves room behind a group's first number, so that the stamps of all its changes stay exact.
const maxDseq = MaxInt - 1<<16

// text and number refuse a member of another type, which Str and Int would read as nothing.
func (m Member) text() (string, error) {
	if m.Value[0] != '"' {
		return "", fmt.Errorf("%s: want a text", m.Name)
	}
	return m.Value.Str(), nil
}

func (m Member) number(least int64) (int64, error) {
	n, err := strconv.ParseInt(string(m.Value), 10, 64)
	if err != nil || n < least {
		return 0, fmt.Errorf("%s: want a number from %d", m.Name, least)
	}
	return n, nil
}

func (g *Group) parseOrigin(v Raw) error {
	o, err := v.split()
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
		end := skipValue(r, i)
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
	o, err := raw.split()
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
			c.Fields, err = m.Value.split()
		case "args":
			c.Args, err = m.Value.split()
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
	o, err := v.split()
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
		if !ValidName(name) || name[0] == '_' || name <= last {
			return errors.New("clear: want field names in ascending order")
		}
		c.Clear, last = append(c.Clear, name), name
	}
	return nil
}

// memberSets says which members each operation may have; "!" marks the ones it must have.
var memberSets = map[Op]string{
	OpPut:    " fields! bucket id kind op ",
	OpSet:    " base! clear fields id kind op ",
	OpAct:    " act! args id kind op ",
	OpDelete: " base! id kind op ",
}

func (c *Change) check(o Object) error {
	allowed, ok := memberSets[c.Op]
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
	case o.Has("bucket") && !ValidBucket(c.Bucket):
		return errors.New("bucket has the wrong form")
	case reserved(c.Fields):
		return errors.New("a field that begins with '_'")
	case c.Op == OpSet:
		return c.checkSet()
	}
	return nil
}

// reserved reports whether a field has a name of the protocol's own (FieldDeleted). A body never holds
// one.
func reserved(fields Object) bool {
	return slices.ContainsFunc(fields, func(m Member) bool { return m.Name[0] == '_' })
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
