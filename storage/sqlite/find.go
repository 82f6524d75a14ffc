package sqlite

import (
	"fmt"
	"strings"

	"aidloop/server/loop"
)

// maxPage bounds a page whatever is asked for.
const maxPage = 500

// Find builds the statement from the members that restrict. There are few shapes, so the prepared ones are few too.
func (v *view) Find(f loop.Query) (loop.Page, error) {
	text, args := findSQL(f)
	limit := f.Limit
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	q := v.c.use(text)
	for _, a := range args {
		q.text(a)
	}
	var page loop.Page
	err := v.records(q.int(int64(limit)+1), func(r *loop.Stored) error {
		page.Items = append(page.Items, r)
		return nil
	})
	if err != nil {
		return loop.Page{}, err
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		page.Next = last.Ref.ID
		if f.ByDue {
			page.Next = last.Index.Due + "|" + last.Ref.ID
		}
	}
	return page, nil
}

// findSQL is the statement of a query with all of its arguments but the last, the limit.
func findSQL(f loop.Query) (text string, args []string) {
	where, args := conditions(f)
	order := "r.id DESC"
	switch {
	case f.ByDue:
		order = "r.due, r.id"
	case f.Oldest:
		order = "r.id"
	}
	return "SELECT " + recordColumns + "WHERE r.deleted = 0 AND " + strings.Join(where, " AND ") + " ORDER BY " + order + " LIMIT ?", args
}

// conditions say again what the partial indexes of owners and parents leave out: SQLite uses these only where it can see that
// nothing of it is asked for.
func conditions(f loop.Query) (where []string, args []string) {
	add := func(cond string, a ...string) { where, args = append(where, cond), append(args, a...) }
	add("r.kind = ?", f.Kind)
	if n := len(f.States); n > 0 {
		add("r.state IN (?"+strings.Repeat(", ?", n-1)+")", f.States...)
	}
	if f.Region != "" {
		add("r.region >= ? AND r.region < ?", f.Region, f.Region+"\x7f")
	}
	if f.Owner != "" {
		add("r.owner = ? AND r.owner <> ''", f.Owner)
	}
	if f.Parent != "" {
		add("r.parent = ? AND r.parent <> ''", f.Parent)
	}
	if f.DueTo != "" {
		add("r.due <> '' AND r.due <= ?", f.DueTo)
	}
	if f.After != "" {
		switch {
		case f.ByDue:
			due, id, _ := strings.Cut(f.After, "|")
			add("(r.due, r.id) > (?, ?)", due, id)
		case f.Oldest:
			add("r.id > ?", f.After)
		default:
			add("r.id < ?", f.After)
		}
	}
	return where, args
}

func (v *view) Count(kind, region string) (map[string]int64, error) {
	counts := map[string]int64{}
	q := v.c.use("SELECT state, count(*) FROM records WHERE kind = ? AND deleted = 0 AND region >= ? AND region < ? GROUP BY state")
	err := v.each(q.text(kind).text(region).text(region+"\x7f"), func(q *stmt) (bool, error) {
		counts[q.str(0)] = q.get(1)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	return counts, nil
}
