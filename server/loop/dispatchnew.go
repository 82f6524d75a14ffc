package loop

import (
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// NewLeads selects leads that nobody has dispatched. Empty members do not restrict.
type NewLeads struct {
	Types  []string
	Source string
	Town   string // a 12-digit code
}

// Dispatched counts where leads went.
type Dispatched struct {
	Towns       int
	Departments int
	Left        int // that name neither a town nor a department
}

// DispatchNew sends every new lead on: to the department that matching has named, where that is not the town's or the
// bureau's own business, and any other one to the town that it names.
func (l *Loop) DispatchNew(ctx context.Context, by casework.Actor, f NewLeads) (out Dispatched, err error) {
	if err := by.May(casework.VerbDispatch, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return out, err
	}
	for _, t := range f.Types {
		if !casework.ValidEnum("lead_type", t) {
			return out, casework.NewError(casework.CodeInvalidValue, "预警类型不正确,请从列表中选择。")
		}
	}
	var towns, depts []string
	err = l.store.Read(ctx, func(tx ReadTx) error {
		towns, depts, out = nil, nil, Dispatched{}
		return eachFound(tx, Query{Kind: "lead", States: []string{"new"}, Region: casework.RegionPrefix(by.Region), Limit: 500}, func(s *Stored) error {
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			if len(f.Types) > 0 && !slices.Contains(f.Types, b.Str("lead_type")) || f.Source != "" && b.Str("source") != f.Source || f.Town != "" && b.Str("town") != f.Town {
				return ctx.Err()
			}
			named := listOf(b, "depts")
			switch own := slices.Contains(named, "TOWN") || slices.Contains(named, "MZJ"); {
			case len(named) > 0 && !own:
				depts = append(depts, s.Ref.ID)
			case b.Str("town") != "":
				towns = append(towns, s.Ref.ID)
			default:
				out.Left++
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return out, err
	}
	for part := range slices.Chunk(towns, importChunk) {
		if err := l.Dispatch(ctx, by, part, ""); err != nil {
			return out, err
		}
		out.Towns += len(part)
	}
	for part := range slices.Chunk(depts, importChunk) {
		if err := l.SendToDept(ctx, by, part, ""); err != nil {
			return out, err
		}
		out.Departments += len(part)
	}
	return out, nil
}
