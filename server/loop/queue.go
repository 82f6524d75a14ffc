package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Filter selects the records of a desk list. Empty members do not restrict; the caller's own region always does.
type Filter struct {
	Kind   string // lead, visit, disposition or referral
	States []string
	Region string
	Owner  string
	DueTo  string
	ByDue  bool
	Oldest bool // first, where they are not in order of days
	After  string
	Limit  int
}

// Item is one line of a desk list: the record's open fields, and what a line needs from others. Sealed fields are
// left out; Case opens them, and says so in the audit.
type Item struct {
	Ref    syncproto.Ref
	Region string
	Fields map[string]any
	// Evidence names what a reviewer should look at in a visit, the gravest first: see casework.Evidence.
	Evidence []string
}

// List is a page of a desk list.
type List struct {
	Items []Item
	Next  string
}

// Queue lists what waits at a desk. A department sees the referrals that were sent to it, the help that it gave, what meetings and
// orders ask of it and the register of shared data, and nothing else.
func (l *Loop) Queue(ctx context.Context, by casework.Actor, f Filter) (*List, error) {
	q, err := query(by, f)
	if err != nil {
		return nil, err
	}
	out := &List{Items: []Item{}}
	err = l.store.Read(ctx, func(tx ReadTx) error { return out.add(tx, by, q) })
	return out, err
}

// MaxExport bounds the lines of an exported list.
const MaxExport = 10_000

// Export is a list whole, as one file takes it: every page behind f.After, up to MaxExport lines. Next is not empty where
// there were more.
func (l *Loop) Export(ctx context.Context, by casework.Actor, f Filter) (*List, error) {
	f.Limit = 500
	q, err := query(by, f)
	if err != nil {
		return nil, err
	}
	out := &List{Items: []Item{}}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		for len(out.Items) < MaxExport {
			if err := errors.Join(ctx.Err(), out.add(tx, by, q)); err != nil || out.Next == "" {
				return err
			}
			q.After = out.Next
		}
		return nil
	})
	return out, err
}

// add puts a page behind the lines that are there.
func (out *List) add(tx ReadTx, by casework.Actor, q Query) error {
	page, err := tx.Find(q)
	if err != nil {
		return err
	}
	out.Next = page.Next
	for _, s := range page.Items {
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		if by.May(casework.VerbList, subjectOf(s.Ref.Kind, s.Bucket, body)) != nil {
			continue
		}
		item := Item{Ref: s.Ref, Region: regionOf(s.Bucket), Fields: openFields(body)}
		if s.Ref.Kind == "visit" {
			_, item.Evidence = evidenceOf(body)
		}
		out.Items = append(out.Items, item)
	}
	return nil
}

func query(by casework.Actor, f Filter) (Query, error) {
	q := Query{Kind: f.Kind, States: f.States, Owner: f.Owner, DueTo: f.DueTo, ByDue: f.ByDue, Oldest: f.Oldest, After: f.After, Limit: f.Limit}
	if q.Limit <= 0 || q.Limit > 500 {
		q.Limit = 50
	}
	if by.Role == casework.RoleDeptOfficer {
		if casework.OfAllDepartments(f.Kind) {
			q.Region = casework.RegionPrefix(by.Region)
			return q, by.May(casework.VerbList, casework.Subject{Kind: f.Kind, Region: by.Region})
		}
		if !casework.OfDepartment(f.Kind) {
			return q, casework.NewError(casework.CodeForbidden, "部门只能查看转办给本部门的事项、督办和会议事项、本部门的救助记录和共享数据清单。")
		}
		q.Owner = by.Dept
		return q, by.May(casework.VerbList, casework.Subject{Kind: f.Kind, Dept: by.Dept})
	}
	if by.Role == casework.RoleEvaluator {
		q.Owner = by.UserID
		return q, by.May(casework.VerbList, casework.Subject{Kind: f.Kind, Region: by.Region, Owner: by.UserID})
	}
	if f.Kind == "relocation" && casework.RegionPrefix(f.Owner) != "" && f.Region == "" { // what moves from the caller's own town lies at another one
		return q, by.May(casework.VerbList, casework.Subject{Kind: f.Kind, Region: f.Owner})
	}
	region := by.Region
	if f.Region != "" {
		region = f.Region
	}
	q.Region = casework.RegionPrefix(region)
	return q, by.May(casework.VerbList, casework.Subject{Kind: f.Kind, Region: region})
}

// openFields are the fields of a body that are not sealed, as Go values.
func openFields(body syncproto.Object) map[string]any {
	m := make(map[string]any, len(body))
	for _, f := range body {
		if syncproto.IsSealed(f.Value) {
			continue
		}
		if v, err := f.Value.Decode(); err == nil {
			m[f.Name] = v
		}
	}
	return m
}

// eachFound hands over what a query finds, page by page.
func eachFound(tx ReadTx, q Query, fn func(*Stored) error) error {
	for {
		page, err := tx.Find(q)
		if err != nil {
			return err
		}
		for _, s := range page.Items {
			if err := fn(s); err != nil {
				return err
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}
