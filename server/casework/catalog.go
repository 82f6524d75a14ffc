package casework

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CatalogVersion grows with every field or kind that is added. Fields are added or retired, never renamed or retyped.
const CatalogVersion = 20

// Policy says what becomes of concurrent writes to a field; syncproto's Merge carries it out.
type Policy string

// The policies.
const (
	Latest Policy = "latest"
	Review Policy = "review"
	Server Policy = "server"
	Once   Policy = "once"
)

// Privacy says who may be shown a field.
type Privacy string

// Public may be published, Personal is for those who work on the case, Sensitive is sealed.
const (
	Public    Privacy = "public"
	Personal  Privacy = "personal"
	Sensitive Privacy = "sensitive"
)

// Type is the form of a field's value.
type Type string

// The types. Money is whole 分; a Date is "2006-01-02", a Time RFC 3339 with offset; Any is whatever a form asks.
const (
	Text     Type = "text"
	Int      Type = "int"
	Money    Type = "money"
	Bool     Type = "bool"
	Date     Type = "date"
	Time     Type = "time"
	Enum     Type = "enum" // Field.Enum names the list
	EnumList Type = "enums"
	List     Type = "list"
	Object   Type = "object"
	Any      Type = "any"
)

// Field is one field of a kind.
type Field struct {
	Name    string
	Label   string
	Type    Type
	Policy  Policy
	Sealed  bool // of type Text: its value is always sealed
	Privacy Privacy
	Enum    string
	Max     int // characters of a text, items of a list; 0 stands for 4000
}

// Bucket says where records of a kind live.
type Bucket string

// The places: ref is for everybody, user is a user's own, case is the bucket of the record's root.
const (
	BucketRef  Bucket = "ref"
	BucketUser Bucket = "user"
	BucketCase Bucket = "case"
)

// Kind is one kind of record.
type Kind struct {
	Name   string
	Label  string
	Bucket Bucket
	Root   bool // such a record is the root of a case
	Device bool // phones may create it; fields with policy Server stay the server's
	// Answers says that fields whose names begin with AnswerPrefix hold a form's answers, one field a question; the
	// form decides which of them are sealed.
	Answers bool
	// Index names the fields that lists are found by.
	Owner, Due, Parent string
	// Blind names the sealed fields that matching finds by a keyed index.
	Blind  []string
	Fields []Field

	byName map[string]*Field
}

// AnswerPrefix begins the names of fields that hold a form's answers.
const AnswerPrefix = "q_"

var answer = Field{Name: AnswerPrefix, Label: "答案", Type: Any, Policy: Review, Privacy: Personal}

// kinds is Catalog by name.
var kinds = func() map[string]*Kind {
	m := make(map[string]*Kind, len(Catalog))
	for _, k := range Catalog {
		k.byName = make(map[string]*Field, len(k.Fields))
		for i := range k.Fields {
			k.byName[k.Fields[i].Name] = &k.Fields[i]
		}
		m[k.Name] = k
	}
	return m
}()

// KindOf returns a kind of the catalog.
func KindOf(name string) (*Kind, bool) {
	k, ok := kinds[name]
	return k, ok
}

// AddKind adds a kind to the catalog until undo is called, as an upgrade of the server does. It is for tests that
// simulate one, and not safe while anything is judged.
func AddKind(k *Kind) (undo func()) {
	k.byName = make(map[string]*Field, len(k.Fields))
	for i := range k.Fields {
		k.byName[k.Fields[i].Name] = &k.Fields[i]
	}
	former, had := kinds[k.Name]
	kinds[k.Name] = k
	return func() {
		if delete(kinds, k.Name); had {
			kinds[k.Name] = former
		}
	}
}

// Field returns a field of the kind; ok is false for a name that this version of the catalog does not know.
func (k *Kind) Field(name string) (*Field, bool) {
	if f, ok := k.byName[name]; ok {
		return f, true
	}
	if k.Answers && strings.HasPrefix(name, AnswerPrefix) {
		return &answer, true
	}
	return nil, false
}

// PolicyOf is the merge policy of a field. What the catalog does not know merges as latest.
func PolicyOf(kind, field string) Policy {
	if k, ok := kinds[kind]; ok {
		if f, ok := k.Field(field); ok {
			return f.Policy
		}
	}
	return Latest
}

// MaxText is the longest text of a field that sets no limit of its own, in characters.
const MaxText = 4000

// CheckValue checks the canonical JSON value of a field against the catalog. Fields that the catalog does not know
// pass: a newer app may have them.
func CheckValue(kind, field string, raw []byte) error {
	k, ok := kinds[kind]
	if !ok || len(raw) == 0 {
		return nil
	}
	f, ok := k.Field(field)
	if !ok {
		return nil
	}
	sealed := strings.HasPrefix(string(raw[:min(len(raw), 6)]), `{"$s":`)
	switch {
	case f.Sealed && !sealed:
		return NewError(CodeNotSealed, f.Label+"属于敏感信息,必须加密后上传,请更新应用。")
	case sealed && !f.Sealed && f.Type != Any:
		return NewError(CodeInvalidValue, f.Label+"不应加密,请更新应用。")
	case sealed:
		return nil
	}
	return f.check(raw)
}

// check looks at the value's form only: canonical JSON has been checked before.
func (f *Field) check(raw []byte) error {
	ok := true
	switch f.Type {
	case Text:
		ok = raw[0] == '"' && utf8.RuneCount(raw) <= f.max()+2
	case Int, Money:
		ok = raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	case Bool:
		ok = raw[0] == 't' || raw[0] == 'f'
	case Date:
		ok = raw[0] == '"' && plausibleDate(string(raw))
	case Time:
		ok = raw[0] == '"' && plausibleTime(string(raw))
	case Enum:
		ok = raw[0] == '"' && ValidEnum(f.Enum, strings.Trim(string(raw), `"`))
	case EnumList:
		ok = f.checkList(string(raw))
	case List:
		ok = raw[0] == '['
	case Object:
		ok = raw[0] == '{'
	}
	if !ok {
		return NewError(CodeInvalidValue, fmt.Sprintf("“%s”填写不符合要求,请修改后重新提交。", f.Label))
	}
	return nil
}

func (f *Field) max() int {
	if f.Max > 0 {
		return f.Max
	}
	return MaxText
}

func (f *Field) checkList(raw string) bool {
	inner, ok := strings.CutPrefix(raw, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 {
		return false
	}
	if inner == "" {
		return true
	}
	for _, item := range strings.Split(inner, ",") {
		if !ValidEnum(f.Enum, strings.Trim(item, `"`)) {
			return false
		}
	}
	return true
}
