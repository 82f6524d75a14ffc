package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// DataNeedInput asks another unit for data.
type DataNeedInput struct {
	Source  string   // of casework.Sources
	Columns []string // of the source, and of casework.WhoColumns
	Purpose string   // at most 500 characters, open: no person's data belongs into it
	Basis   string   // the duty that it serves, at most 200 characters
	Mode    string   // monthly or lookup
	Last    string   // the last month, "2027-06"; "" for no end
}

// RequestData asks for data. What is asked for up to the request day of a month (the 10th) is served in it, what comes
// later in the next one; look-ups begin with the approval.
func (l *Loop) RequestData(ctx context.Context, by casework.Actor, in DataNeedInput) (id string, err error) {
	purpose, basis := clipRunes(strings.TrimSpace(in.Purpose), 500), clipRunes(strings.TrimSpace(in.Basis), 200)
	source, ok := casework.SourceOf(in.Source)
	switch {
	case !ok:
		return "", casework.NewError(casework.CodeInvalidValue, "没有这项数据,请从列表中选择。")
	case source.Dept == by.DeptOf():
		return "", casework.NewError(casework.CodeInvalidValue, "这项数据由本单位提供,不需要申请。")
	case purpose == "":
		return "", casework.NewError(casework.CodeInvalidValue, "请写明用途。")
	case !casework.ValidEnum("data_mode", in.Mode):
		return "", casework.NewError(casework.CodeInvalidValue, "请选择按月推送或按需查询。")
	case in.Last != "" && !casework.ValidMonth(in.Last):
		return "", casework.NewError(casework.CodeInvalidValue, "截止月份应写成2026-07的样子。")
	}
	columns, err := source.Pick(in.Columns)
	if err != nil {
		return "", err
	}
	if err := by.May(casework.VerbShareData, casework.Subject{Kind: "data_need", Region: by.Region}); err != nil {
		return "", err
	}
	state, err := casework.DataNeedMachine.Next("", "request", by.Role, casework.Facts{})
	if err != nil {
		return "", err
	}
	key := randomKey()
	err = l.run(ctx, func(w *work) error {
		standards, err := readStandards(w.tx)
		if err != nil {
			return err
		}
		day, err := standards.Term(casework.StdShareDay, casework.Place{Region: by.Region}, l.dayOr(""))
		if err != nil {
			return err
		}
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "data_need", ID: l.newID()}
		id = ref.ID
		f := map[string]any{"dept": by.DeptOf(), "from_dept": source.Dept, "source": source.Code, "columns": anys(columnNames(columns)), "purpose": purpose,
			"mode": in.Mode, "first_month": casework.FirstMonth(l.dayOr(""), day), "requested_by": by.UserID, "requested_at": w.clockTime(), "state": state}
		writeStep(f, map[string]string{"basis": basis, "last_month": in.Last})
		if err := g.putRoot(ref, syncproto.BucketDesk+by.Region, key, f); err != nil {
			return err
		}
		w.auditBy(by, "request_data", ref, ref, map[string]any{"source": source.Code})
		return g.commit()
	})
	return id, err
}

func columnNames(columns []casework.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// StepDataNeed takes a need one step on: approve or refuse by the unit that has the data, withdraw or end by the one that
// asked; either may end it. The reason is open, at most 500 characters.
func (l *Loop) StepDataNeed(ctx context.Context, by casework.Actor, need, action, reason string) error {
	reason = clipRunes(strings.TrimSpace(reason), 500)
	if !slices.Contains([]string{"approve", "refuse", "withdraw", "end"}, action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择同意、不予提供、撤回或停止。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbShareData, syncproto.Ref{Kind: "data_need", ID: need})
		if err != nil {
			return err
		}
		facts := sharingFacts(by, d.rec.Body)
		facts.Reasoned = reason != ""
		if action == "end" && !facts.GivesData && !facts.AsksData {
			return casework.NewError(casework.CodeForbidden, "由申请或提供数据的单位停止。")
		}
		f := map[string]any{}
		if action == "approve" || action == "refuse" {
			f["decided_by"], f["decided_at"] = by.UserID, w.clockTime()
		} else {
			f["closed_at"] = w.clockTime()
		}
		if reason != "" {
			f["reason"] = reason
		}
		if err := g.step(d, action, by.Role, facts, f); err != nil {
			return err
		}
		w.auditBy(by, "data_need_"+action, d.rec.Ref, d.rec.Ref, nil)
		return g.commit()
	})
}

// sharingFacts says on which side of a need or a package somebody stands.
func sharingFacts(by casework.Actor, b syncproto.Object) casework.Facts {
	return casework.Facts{GivesData: b.Str("from_dept") == by.DeptOf(), AsksData: b.Str("dept") == by.DeptOf()}
}

// MaxLookup bounds the persons of one look-up.
const MaxLookup = 1000

// Lookup is what a look-up found.
type Lookup struct {
	Source  *casework.Source
	Columns []casework.Column
	Rows    []LookupRow
}

// LookupRow is one person, in the order of the question. A dataset may have several rows of somebody, or none.
type LookupRow struct {
	IDNumber string
	Problem  string     // what is wrong with the number
	Rows     [][]string // cells by column
}

// LookUp answers a department about single persons or a list of them, within a need of its own that was approved for
// look-ups: only its columns, and only persons of the pool. Every person who was found is in the audit.
func (l *Loop) LookUp(ctx context.Context, by casework.Actor, need string, idNumbers []string) (*Lookup, error) {
	if len(idNumbers) == 0 || len(idNumbers) > MaxLookup {
		return nil, casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("一次查询1至%d个身份证号。", MaxLookup))
	}
	var asked syncproto.Object // the need
	if err := l.run(ctx, func(w *work) error {
		d, err := w.newGroup().visible(by, casework.VerbShareData, syncproto.Ref{Kind: "data_need", ID: need})
		if err != nil {
			return err
		}
		asked = d.rec.Body
		switch {
		case asked.Str("dept") != by.DeptOf():
			return casework.NewError(casework.CodeForbidden, "只能使用本单位申请的数据。")
		case asked.Str("state") != "approved" || asked.Str("mode") != "lookup" || ended(asked, l.dayOr("")[:7]):
			return casework.NewError(casework.CodeGuardFailed, "这项数据需求没有获准按需查询,请先申请。")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var out *Lookup
	var found []SharedRow
	if err := l.store.Read(ctx, func(tx ReadTx) (err error) {
		found = nil
		s, err := l.newSharing(tx, by.Region, asked.Str("source"), listOf(asked, "columns"))
		if err != nil {
			return err
		}
		out = &Lookup{Source: s.source, Columns: s.columns}
		byKey := l.question(out, idNumbers)
		return s.each(nil, byKey, func(r SharedRow) error {
			i := byKey[r.Key]
			if len(out.Rows[i].Rows) == 0 {
				found = append(found, r)
			}
			out.Rows[i].Rows = append(out.Rows[i].Rows, r.Cells)
			return ctx.Err()
		})
	}); err != nil {
		return nil, err
	}
	return out, l.told(ctx, by, "look_up", found, map[string]any{"need": need})
}

// question writes the persons that are asked about into an answer, and says where each stands by the key of his number.
func (l *Loop) question(out *Lookup, idNumbers []string) map[string]int {
	byKey := map[string]int{}
	for i, number := range idNumbers {
		out.Rows = append(out.Rows, LookupRow{IDNumber: clipRunes(number, 32)})
		id, err := casework.NormalizeIDNumber(number)
		if err != nil {
			out.Rows[i].Problem = casework.MessageOf(err)
			continue
		}
		key := l.secrets.blind("id_no", id)
		if _, twice := byKey[key]; twice {
			out.Rows[i].Problem = "与前面重复。"
			continue
		}
		byKey[key] = i
	}
	return byKey
}

// told writes into the audit whom somebody is about to be told of. What was read on a snapshot is handed over only behind
// it.
func (l *Loop) told(ctx context.Context, by casework.Actor, verb string, rows []SharedRow, details map[string]any) error {
	return l.run(ctx, func(w *work) error {
		for _, r := range rows {
			w.auditBy(by, verb, r.person, r.root, details)
		}
		return nil
	})
}

// ended reports whether a need's last month is over.
func ended(b syncproto.Object, month string) bool {
	return b.Str("last_month") != "" && b.Str("last_month") < month
}

// listOf are the texts of a list.
func listOf(b syncproto.Object, field string) (list []string) {
	for _, x := range b.Get(field).Items() {
		list = append(list, x.Str())
	}
	return list
}
