package loop

import (
	"context"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// FigureInput asks for a figure. From and To are days ("2006-01-02"), both included, "" for open ends; which day of a
// record they are compared with is the figure's Dated. Region is a 12-digit code or a grid's id within the caller's own
// region, "" for all of that.
type FigureInput struct {
	Name, From, To, Region string
}

// Figure is a table of counts, with the labels of its rows.
type Figure struct {
	Spec             *casework.FigureSpec
	From, To, Region string
	AsOf             string // the day on which it was counted
	Rows             []FigureLine
}

// FigureLine is a row. Key is a region's code, an enum value, "form/question", or casework.TotalRow.
type FigureLine struct {
	Key, Label string
	Counts     map[string]int
}

// maxFigureIDs bounds a page of the ids behind a cell.
const maxFigureIDs = 500

// Figure counts the records of the caller's region. A record belongs to the town in which its case lies today, so that
// the rows of towns add up to the county's, and a town reads what the county reads of it. An unknown name is ErrNotFound,
// a range that is none CodeInvalidValue.
func (l *Loop) Figure(ctx context.Context, by casework.Actor, in FigureInput) (out *Figure, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		c, err := l.counting(ctx, tx, by, in)
		if err != nil {
			return err
		}
		if err := c.run(); err != nil {
			return err
		}
		out = &Figure{Spec: c.spec, From: in.From, To: in.To, Region: c.in.Region, AsOf: c.today, Rows: []FigureLine{}}
		for _, r := range c.tally.Rows() {
			label, err := c.label(r.Key)
			if err != nil {
				return err
			}
			out.Rows = append(out.Rows, FigureLine{r.Key, label, r.Counts})
		}
		return nil
	})
	return out, err
}

// FigureRecords lists the ids of the records that a cell of a figure counts, in order behind after, at most limit (500);
// next continues the list and is "" at its end. The ids are of the figure's Kind. The row "" is that of the total.
func (l *Loop) FigureRecords(ctx context.Context, by casework.Actor, in FigureInput, row, column, after string, limit int) (ids []string, next string, err error) {
	if limit <= 0 || limit > maxFigureIDs {
		limit = maxFigureIDs
	}
	if row == "" {
		row = casework.TotalRow
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		c, err := l.counting(ctx, tx, by, in)
		if err != nil {
			return err
		}
		if !c.spec.Has(column) {
			return casework.NewError(casework.CodeInvalidValue, "这张表没有这一列,请从列名中选择。")
		}
		c.tally.Row, c.tally.Column = row, column
		if err := c.run(); err != nil {
			return err
		}
		ids, next = c.tally.IDs(), ""
		start, found := slices.BinarySearch(ids, after)
		if found {
			start++
		}
		if ids = ids[start:]; len(ids) > limit {
			ids, next = ids[:limit], ids[limit-1]
		}
		return nil
	})
	return ids, next, err
}

// counting is one figure under way.
type counting struct {
	ctx    context.Context
	tx     ReadTx
	spec   *casework.FigureSpec
	in     FigureInput
	today  string
	tally  casework.Tally
	labels map[string]string // of rows whose labels were met on the way
}

func (l *Loop) counting(ctx context.Context, tx ReadTx, by casework.Actor, in FigureInput) (*counting, error) {
	if in.Region == "" {
		in.Region = by.Region
	}
	if err := by.May(casework.VerbSeeFigures, casework.Subject{Kind: "figure", Region: in.Region}); err != nil {
		return nil, err
	}
	spec, ok := casework.FigureNamed(in.Name)
	if !ok {
		return nil, ErrNotFound
	}
	for _, day := range []string{in.From, in.To} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
			return nil, casework.NewError(casework.CodeInvalidValue, "日期格式应如 2026-07-01。")
		}
	}
	if in.From != "" && in.To != "" && in.From > in.To {
		return nil, casework.NewError(casework.CodeInvalidValue, "开始日期不能晚于结束日期。")
	}
	if spec.Dated == "" && in.From+in.To != "" {
		return nil, casework.NewError(casework.CodeInvalidValue, "这张表按当前状态统计,请不要填写日期。")
	}
	return &counting{ctx: ctx, tx: tx, spec: spec, in: in, today: l.dayOr(""), labels: map[string]string{}}, nil
}

// run reads the figure's records and places each of them.
func (c *counting) run() error {
	place := map[string]func(*syncproto.Record, string) error{"on_time": c.onTime, "funnel": c.funnel, "households": c.household, "referrals": c.referral}[c.spec.Name]
	if place == nil {
		return c.returns()
	}
	return c.each(c.spec.Kind, place)
}

// each hands over the live records of a kind in the region, with the region in which each lies.
func (c *counting) each(kind string, fn func(rec *syncproto.Record, region string) error) error {
	return eachFound(c.tx, Query{Kind: kind, Region: casework.RegionPrefix(c.in.Region), Limit: 500}, func(s *Stored) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		rec, err := parseStored(s)
		if err != nil {
			return err
		}
		return fn(rec, regionOf(s.Bucket))
	})
}

// within reports whether a day lies within the range.
func (c *counting) within(day string) bool {
	return day != "" && day >= c.in.From && (c.in.To == "" || day <= c.in.To)
}

// label is the label of a row: of a region the town's name and the village's, of an enum value its term.
func (c *counting) label(key string) (string, error) {
	if label, ok := c.labels[key]; ok {
		return label, nil
	}
	switch {
	case key == casework.TotalRow:
		return "合计", nil
	case key == "":
		return "未注明", nil
	case c.spec.Name == "funnel":
		return casework.Label("lead_source", key), nil
	case c.spec.Name == "referrals":
		return casework.Label("department", key), nil
	}
	label, err := regionName(c.tx, key)
	c.labels[key] = label
	return label, err
}

// dayOf is the day of a time in a record's body, "" where there is none.
func dayOf(s string) string { return dayAt(parseTime(s)) }

// dayAt is the day of a time in milliseconds, "" for 0.
func dayAt(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).In(beijing).Format(time.DateOnly)
}
