package loop

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Contact is the person in charge of a member unit: a department, or a town or village by its 12-digit code. A unit has one.
type Contact struct {
	Unit    string
	Name    string // at most 30 characters
	Post    string // at most 60 characters
	Phone   string // of the office, see casework.PublicPhone
	Retired bool   // it is not shown any more
}

// PutContact writes who is in charge of a unit. Everybody who works here sees it, on the phone as well; the public does not.
func (l *Loop) PutContact(ctx context.Context, by casework.Actor, c Contact) error {
	c.Name, c.Post = strings.TrimSpace(c.Name), clipRunes(strings.TrimSpace(c.Post), 60)
	if !casework.ValidEnum("department", c.Unit) && casework.RegionPrefix(c.Unit) == "" {
		return casework.NewError(casework.CodeInvalidValue, "单位应为部门代码或12位区划代码。")
	}
	if c.Name == "" || len([]rune(c.Name)) > 30 {
		return casework.NewError(casework.CodeInvalidValue, "请填写负责人姓名,最多30个字。")
	}
	phone, err := casework.PublicPhone(c.Phone)
	if err != nil {
		return err
	}
	if c.Phone = phone; phone == "" {
		return casework.NewError(casework.CodeInvalidValue, "请填写办公电话。")
	}
	return l.publicise(ctx, by, syncproto.Ref{Kind: "contact", ID: syncproto.DerivedID("contact", c.Unit)}, true,
		map[string]any{"unit": c.Unit, "name": c.Name, "post": c.Post, "phone": c.Phone, "retired": c.Retired})
}

// Contacts lists them by unit.
func (l *Loop) Contacts(ctx context.Context) ([]Contact, error) {
	list := []Contact{}
	err := l.references(ctx, "contact", func(_ string, b syncproto.Object) {
		list = append(list, Contact{Unit: b.Str("unit"), Name: b.Str("name"), Post: b.Str("post"), Phone: b.Str("phone")})
	})
	slices.SortFunc(list, func(a, b Contact) int { return cmp.Compare(a.Unit, b.Unit) })
	return list, err
}

// Policy is a page that tells people what they may ask for.
type Policy struct {
	ID       string // "" for a new one
	Title    string // at most 100 characters
	Text     string // plain, at most 4000 characters
	Source   string // the document that it tells of, at most 100 characters
	IssuedOn string // "2006-01-02"
	Retired  bool   // it is not shown any more
}

// PutPolicy writes a policy page, which everybody may read: on the phone, and without an account.
func (l *Loop) PutPolicy(ctx context.Context, by casework.Actor, p Policy) (id string, err error) {
	p.Title, p.Text, p.Source = strings.TrimSpace(p.Title), strings.TrimSpace(p.Text), strings.TrimSpace(p.Source)
	within := func(s string, n int) bool { return s != "" && len([]rune(s)) <= n }
	if !within(p.Title, 100) || !within(p.Text, casework.MaxText) || !within(p.Source, 100) || !validDate(p.IssuedOn) {
		return "", casework.NewError(casework.CodeInvalidValue, "请填写标题、内容(最多4000字)、文号和发布日期(写成2026-01-31的样子)。")
	}
	ref := syncproto.Ref{Kind: "policy", ID: cmp.Or(p.ID, l.newID())}
	return ref.ID, l.publicise(ctx, by, ref, p.ID == "", map[string]any{"title": p.Title, "text": p.Text, "source": p.Source, "issued_on": p.IssuedOn, "retired": p.Retired})
}

// Policies lists them, the newest first. Nobody needs an account.
func (l *Loop) Policies(ctx context.Context) ([]Policy, error) {
	list := []Policy{}
	err := l.references(ctx, "policy", func(id string, b syncproto.Object) {
		list = append(list, Policy{ID: id, Title: b.Str("title"), Text: b.Str("text"), Source: b.Str("source"), IssuedOn: b.Str("issued_on")})
	})
	slices.SortStableFunc(list, func(a, b Policy) int { return cmp.Or(cmp.Compare(b.IssuedOn, a.IssuedOn), cmp.Compare(a.ID, b.ID)) })
	return list, err
}

// publicise writes a record of the ref bucket that the bureau answers for; one that is not there only where it may be new.
func (l *Loop) publicise(ctx context.Context, by casework.Actor, ref syncproto.Ref, new bool, values map[string]any) error {
	return l.run(ctx, func(w *work) error {
		if err := by.May(casework.VerbPublicise, casework.Subject{Kind: ref.Kind, Region: by.Region}); err != nil {
			return err
		}
		g := w.newGroup()
		if d, err := g.open(ref); err != nil || !d.exists && !new {
			return cmp.Or(err, ErrNotFound)
		}
		if err := g.putReference(ref, values); err != nil {
			return err
		}
		w.auditBy(by, "publicise", ref, ref, nil)
		return g.commit()
	})
}

// references hands over what of a kind of the ref bucket is in use.
func (l *Loop) references(ctx context.Context, kind string, fn func(id string, b syncproto.Object)) error {
	return l.store.Read(ctx, func(tx ReadTx) error {
		return eachFound(tx, Query{Kind: kind, Limit: 500}, func(s *Stored) error {
			b, err := syncproto.ParseObject(slices.Clone(s.Body))
			if err == nil && string(b.Get("retired")) != "true" {
				fn(strings.Clone(s.Ref.ID), b)
			}
			return err
		})
	})
}
