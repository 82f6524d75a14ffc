package loop

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
)

// Worker is a grid worker with what lies with him, for whoever assigns the next lead.
type Worker struct {
	User  User
	Leads int    // that wait for a visit of his
	Tasks int    // open ones of all kinds
	Due   string // the earliest day of them, "" for none
}

// Workers lists the grid workers of a region, which is the caller's own where it is "", those with the least first.
func (l *Loop) Workers(ctx context.Context, by casework.Actor, region string) ([]Worker, error) {
	if region == "" {
		region = by.Region
	}
	if err := by.May(casework.VerbAssign, casework.Subject{Kind: "lead", Region: region}); err != nil {
		return nil, err
	}
	var list []Worker
	err := l.store.Read(ctx, func(tx ReadTx) error {
		list = []Worker{}
		at := map[string]int{}
		for after := ""; ; {
			users, err := tx.Users(casework.RegionPrefix(region), after, 500)
			if err != nil {
				return err
			}
			for _, u := range users {
				if after = u.Login; casework.Role(u.Role) == casework.RoleGridWorker && !u.Disabled {
					at[u.ID] = len(list)
					list = append(list, Worker{User: u})
				}
			}
			if len(users) < 500 {
				break
			}
		}
		count := func(q Query, add func(*Worker)) error {
			q.Region, q.Limit = casework.RegionPrefix(region), 500
			return eachFound(tx, q, func(s *Stored) error {
				i, ok := at[s.Index.Owner]
				if !ok {
					return ctx.Err()
				}
				w := &list[i]
				add(w)
				if due := s.Index.Due; due != "" && (w.Due == "" || due < w.Due) {
					w.Due = strings.Clone(due)
				}
				return ctx.Err()
			})
		}
		if err := count(Query{Kind: "lead", States: []string{"assigned", "visiting", "returned"}}, func(w *Worker) { w.Leads++ }); err != nil {
			return err
		}
		return count(Query{Kind: "task", States: []string{"open"}}, func(w *Worker) { w.Tasks++ })
	})
	slices.SortStableFunc(list, func(a, b Worker) int {
		return cmp.Or(cmp.Compare(a.Tasks, b.Tasks), cmp.Compare(a.Leads, b.Leads), cmp.Compare(a.User.Login, b.User.Login))
	})
	return list, err
}
