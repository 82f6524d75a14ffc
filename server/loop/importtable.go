package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// TableRow is one row of a table by columns. Row is its line there, for the report.
type TableRow struct {
	Row   int
	Cells map[string]string
}

// errPreview takes back what a preview did: it is judged by the very code that would write it.
var errPreview = errors.New("a preview writes nothing")

// importRows runs a table's rows, several to a transaction. A bad row is refused with its reason and stops nothing.
func (l *Loop) importRows(ctx context.Context, n int, preview bool, one func(w *work, i int) (RowReport, error)) (*Report, error) {
	if n > MaxImportRows {
		return nil, casework.NewError("too_large", fmt.Sprintf("一次最多导入%d行,请分批导入。", MaxImportRows))
	}
	rep := &Report{}
	for start := 0; start < n; start += importChunk {
		var part []RowReport
		err := l.run(ctx, func(w *work) error {
			part = part[:0]
			for i := start; i < min(start+importChunk, n); i++ {
				r, err := one(w, i)
				if err != nil {
					return err
				}
				part = append(part, r)
			}
			if preview {
				return errPreview
			}
			return nil
		})
		if err != nil && !errors.Is(err, errPreview) {
			return rep, err
		}
		rep.add(part)
	}
	return rep, nil
}

// tableImport is one import of a table.
type tableImport struct {
	l          *Loop
	by         casework.Actor
	preview    bool
	regions    map[string]bool          // codes on record, and those of the rows before
	households map[string]syncproto.Ref // by code
	passwords  map[string]initial       // by login
}

// initial is a first password and its hash.
type initial struct{ word, hash string }

// imports are the tables that can be imported: what it takes to import one, and how a row is entered.
var imports = map[string]struct {
	verb casework.Verb
	kind string
	row  func(*tableImport, *work, map[string]any) (RowReport, error)
}{
	"regions":    {casework.VerbReference, "region", (*tableImport).region},
	"grids":      {casework.VerbReference, "region", (*tableImport).grid},
	"users":      {casework.VerbManageUsers, "user", (*tableImport).user},
	"households": {casework.VerbRegister, "household", (*tableImport).household},
	"persons":    {casework.VerbRegister, "household", (*tableImport).person},
	"aid":        {casework.VerbRegister, "household", (*tableImport).aid},
}

// ImportTable takes a county's own data from a table of one of casework.Templates. A bad row is refused with its reason and
// stops nothing; what is on record already is left as it is, so that a table can be sent again. A preview says the same
// and writes nothing.
func (l *Loop) ImportTable(ctx context.Context, by casework.Actor, code string, rows []TableRow, preview bool) (*Report, error) {
	template, ok := casework.TemplateOf(code)
	if !ok {
		return nil, casework.NewError(casework.CodeInvalidValue, "没有这个模板,请从列表中选择。")
	}
	kind := imports[code]
	if err := by.May(kind.verb, casework.Subject{Kind: kind.kind, Region: by.Region}); err != nil {
		return nil, err
	}
	t := &tableImport{l: l, by: by, preview: preview, regions: map[string]bool{}, households: map[string]syncproto.Ref{}, passwords: map[string]initial{}}
	if err := t.prepare(ctx, code, rows); err != nil {
		return nil, err
	}
	rep, err := l.importRows(ctx, len(rows), preview, func(w *work, i int) (RowReport, error) {
		values, field, err := template.Clean(rows[i].Cells)
		r := RowReport{Status: "refused", Field: field}
		if err == nil {
			r, err = kind.row(t, w, values)
		}
		if casework.CodeOf(err) != "" { // what a person can put right; every other error ends the import
			r.Status, r.Message, err = "refused", casework.MessageOf(err), nil
		}
		r.Row = rows[i].Row
		return r, err
	})
	if err != nil || preview {
		return rep, err
	}
	return rep, l.run(ctx, func(w *work) error {
		w.auditBy(by, "import_table", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"table": code, "imported": rep.Imported, "refused": rep.Refused})
		return nil
	})
}

// prepare reads which regions and households are on record, and makes first passwords: a hash takes too long for a
// transaction.
func (t *tableImport) prepare(ctx context.Context, code string, rows []TableRow) error {
	if code == "users" && !t.preview && len(rows) <= MaxImportRows {
		template, _ := casework.TemplateOf(code)
		for _, r := range rows {
			v, _, err := template.Clean(r.Cells)
			if err != nil || casework.Role(textOf(v["role"])) == casework.RoleGridWorker {
				continue // refused, or somebody who only uses a phone
			}
			known := false
			if err := t.l.store.Read(ctx, func(tx ReadTx) error {
				_, err := tx.UserByLogin(textOf(v["login"]))
				if known = err == nil; errors.Is(err, ErrNotFound) {
					err = nil
				}
				return errorsOr(ctx, err)
			}); err != nil {
				return err
			}
			if word := strings.ToLower(spoken(12)); !known {
				t.passwords[textOf(v["login"])] = initial{word, HashPassword(word)}
			}
		}
	}
	places, err := t.l.places(ctx)
	if err != nil {
		return err
	}
	for code := range places.byCode {
		t.regions[code] = true
	}
	return t.l.store.Read(ctx, func(tx ReadTx) error {
		return eachInPool(tx, t.by.Region, "household", func(s *Stored, rec *syncproto.Record) error {
			if code := rec.Body.Str("code"); code != "" {
				t.households[strings.Clone(code)] = s.Ref
			}
			return ctx.Err()
		})
	})
}

func refuse(message string) error { return casework.NewError(casework.CodeInvalidValue, message) }

// reference writes a record of the ref bucket unless it is on record as it is.
func (t *tableImport) reference(w *work, ref syncproto.Ref, values map[string]any) (RowReport, error) {
	g := w.newGroup()
	d, err := g.open(ref)
	if err != nil {
		return RowReport{}, err
	}
	if d.exists {
		same := openFields(d.rec.Body)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(k string) bool { return same[k] != values[k] }) {
			return RowReport{Status: "unchanged"}, nil
		}
	}
	if err := g.putReference(ref, values); err != nil {
		return RowReport{}, err
	}
	return RowReport{Status: "imported"}, g.commit()
}

func (t *tableImport) region(w *work, v map[string]any) (RowReport, error) {
	code, level := textOf(v["code"]), textOf(v["level"])
	parent := textOf(v["parent"])
	want := map[string]int{"county": 6, "town": 9, "village": 12}[level]
	switch {
	case want == 0:
		return RowReport{Field: "level"}, refuse("级别应为县(市)、镇(街道)或村(社区),网格请用网格模板。")
	case casework.IsGrid(code) || len(casework.RegionPrefix(code)) != want:
		return RowReport{Field: "code"}, refuse("区划代码应为12位数字,并与级别一致。")
	case !casework.Covers(t.by.Region, code):
		return RowReport{Field: "code"}, refuse("区划代码不在本县范围内。")
	}
	above := map[string]string{"county": "", "town": casework.CountyOf(code), "village": casework.TownOf(code)}[level]
	switch {
	case level == "county": // whose parent is nobody's business here
	case parent == "":
		parent = above
	case parent != above:
		return RowReport{Field: "parent"}, refuse("上级代码与区划代码不一致,应为" + above + "。")
	}
	if level != "county" && !t.regions[parent] {
		return RowReport{Field: "parent"}, refuse("上级区划" + parent + "还没有,请先导入上级。")
	}
	urban, _ := v["urban"].(bool)
	t.regions[code] = true
	return t.reference(w, syncproto.Ref{Kind: "region", ID: code}, map[string]any{"code": code, "name": v["name"], "level": level, "parent": parent, "urban": urban})
}

func (t *tableImport) grid(w *work, v map[string]any) (RowReport, error) {
	code := textOf(v["code"])
	switch {
	case !casework.IsGrid(code):
		return RowReport{Field: "code"}, refuse("网格编号应为12位村代码加“-”和3位网格号,如430681102201-001。")
	case !casework.Covers(t.by.Region, code):
		return RowReport{Field: "code"}, refuse("网格不在本县范围内。")
	case !t.regions[code[:12]]:
		return RowReport{Field: "code"}, refuse("村" + code[:12] + "还没有,请先导入区划。")
	}
	t.regions[code] = true
	return t.reference(w, syncproto.Ref{Kind: "region", ID: code}, map[string]any{"code": code, "name": v["name"], "level": "grid", "parent": code[:12]})
}

// user makes an account, and lets a worker's phones hold his grids. Whoever works at a desk gets a first password, which
// stands in the report and nowhere else.
func (t *tableImport) user(w *work, v map[string]any) (RowReport, error) {
	login, role := textOf(v["login"]), casework.Role(textOf(v["role"]))
	in := NewUser{ID: syncproto.DerivedID("user", login), Login: login, Name: textOf(v["name"]), Role: string(role), Region: textOf(v["region"]), Dept: textOf(v["dept"])}
	if in.Region == "" {
		in.Region = casework.CountyOf(t.by.Region)
	}
	if in.Dept == "" && (role == casework.RoleBureauOfficer || role == casework.RoleDeptOfficer) {
		return RowReport{Field: "dept"}, refuse("“部门”不能为空。")
	}
	if !t.regions[in.Region] {
		return RowReport{Field: "region"}, refuse("区划" + in.Region + "还没有,请先导入区划。")
	}
	if err := checkUser(in); err != nil {
		return RowReport{Field: "login"}, err
	}
	var grids []string
	for _, grid := range casework.SplitList(textOf(v["grids"])) {
		if !casework.IsGrid(grid) || !t.regions[grid] || !casework.Covers(in.Region, grid) {
			return RowReport{Field: "grids"}, refuse("网格" + grid + "还没有,或不在其区划内。")
		}
		grids = append(grids, grid)
	}
	if old, err := w.tx.UserByLogin(login); err == nil {
		if old.Role != in.Role || old.Name != in.Name {
			return RowReport{Field: "login"}, refuse("登录名已被使用,请换一个。")
		}
		return RowReport{Status: "unchanged"}, nil
	} else if !errors.Is(err, ErrNotFound) {
		return RowReport{}, err
	}
	first := t.passwords[login]
	in.Hash = first.hash
	u, err := w.createUser(t.by, in)
	if err != nil {
		return RowReport{}, err
	}
	if until, err := time.ParseInLocation(time.DateOnly, textOf(v["until"]), beijing); err == nil {
		u.Until = until.AddDate(0, 0, 1).UnixMilli()
		if err := w.tx.PutUser(u); err != nil {
			return RowReport{}, err
		}
	}
	for _, grid := range grids {
		g := w.newGroup()
		if err := w.grant(g, u, syncproto.BucketGrid+grid); err != nil {
			return RowReport{}, err
		}
		if err := g.commit(); err != nil {
			return RowReport{}, err
		}
	}
	return RowReport{Status: "imported", Password: first.word}, nil
}

func (t *tableImport) household(w *work, v map[string]any) (RowReport, error) {
	code, grid := textOf(v["code"]), textOf(v["grid"])
	switch {
	case !casework.IsGrid(grid) || !t.regions[grid]:
		return RowReport{Field: "grid"}, refuse("网格" + grid + "还没有,请先导入网格。")
	case !casework.Covers(t.by.Region, grid):
		return RowReport{Field: "grid"}, refuse("网格不在本县范围内。")
	}
	ref := syncproto.Ref{Kind: "household", ID: syncproto.DerivedID("household", casework.CountyOf(grid)+"|"+code)}
	if known, ok := t.households[code]; ok && known != ref {
		return RowReport{Status: "unchanged"}, nil
	}
	v["village"], v["town"], v["state"] = grid[:12], casework.TownOf(grid), "active"
	if _, ok := v["urban"]; !ok {
		v["urban"] = false
	}
	new, err := w.register(w.newGroup(), Registration{ID: ref.ID, Grid: grid, Fields: v}, randomKey())
	if err != nil {
		return RowReport{}, err
	}
	t.households[code] = ref
	if !new {
		return RowReport{Status: "unchanged"}, nil
	}
	return RowReport{Status: "imported"}, nil
}

// home opens the household that a row names by its code.
func (t *tableImport) home(g *group, v map[string]any) (*draft, error) {
	ref, ok := t.households[textOf(v["household"])]
	if !ok {
		return nil, refuse("没有户编号为" + textOf(v["household"]) + "的家庭,请先导入家庭。")
	}
	h, err := g.live(ref)
	if errors.Is(err, ErrNotFound) { // a preview of what stands in a former part of the table
		return nil, refuse("没有户编号为" + textOf(v["household"]) + "的家庭,请先导入家庭。")
	}
	return h, err
}

func (t *tableImport) person(w *work, v map[string]any) (RowReport, error) {
	g := w.newGroup()
	h, err := t.home(g, v)
	if err != nil {
		return RowReport{Field: "household"}, err
	}
	id := textOf(v["id_no"])
	if id != "" {
		if id, err = casework.NormalizeIDNumber(id); err != nil {
			return RowReport{Field: "id_no"}, err
		}
		v["id_no"] = id
		if v["birth"] == nil && casework.BirthDate(id) != "" {
			v["birth"] = casework.BirthDate(id)
		}
		at, err := w.householdOf(id)
		if err != nil {
			return RowReport{}, err
		}
		if at == h.rec.ID {
			return RowReport{Status: "unchanged"}, nil
		}
		if at != "" {
			return RowReport{Field: "id_no"}, refuse("此人已登记在另一户,请先核实后迁移或合并家庭。")
		}
	}
	who := id
	if who == "" {
		who = textOf(v["name"])
	}
	ref := syncproto.Ref{Kind: "person", ID: syncproto.DerivedID("person", h.rec.ID+"|"+who)}
	if d, err := g.open(ref); err != nil || d.exists {
		return RowReport{Status: "unchanged"}, err
	}
	v["household"], v["state"] = h.rec.ID, "active"
	if err := g.putValues(ref, h.rec.Root, h.bucket, v); err != nil {
		return RowReport{}, err
	}
	members := int64(1)
	if err := w.tx.ByRoot(h.rec.Root, "person", func(*Stored) error { members++; return nil }); err != nil {
		return RowReport{}, err
	}
	if members > h.rec.Body.Int("members_count") {
		if _, err := g.serverSet(h.rec.Ref, map[string]any{"members_count": members}); err != nil {
			return RowReport{}, err
		}
	}
	return RowReport{Status: "imported"}, g.commit()
}

// aid enters help that a household receives already, as an application that was decided elsewhere: from then on it is paid,
// reviewed and ended like any other.
func (t *tableImport) aid(w *work, v map[string]any) (RowReport, error) {
	g := w.newGroup()
	h, err := t.home(g, v)
	if err != nil {
		return RowReport{Field: "household"}, err
	}
	category, since := textOf(v["category"]), textOf(v["since"])
	amount, _ := v["amount"].(int64)
	_, cash := casework.CashMeasure([]string{category})
	switch {
	case casework.DecidedBy(category) != "MZJ":
		return RowReport{Field: "category"}, refuse(casework.Label("category", category) + "由农业农村部门认定,请从监测对象数据导入。")
	case since > t.l.dayOr(""):
		return RowReport{Field: "since"}, refuse("“起始日期”不能晚于今天。")
	case textOf(v["reviewed"]) > t.l.dayOr(""):
		return RowReport{Field: "reviewed"}, refuse("“最近复核日期”不能晚于今天。")
	case cash && amount == 0:
		return RowReport{Field: "amount"}, refuse("请填写月救助金额。")
	}
	ref := syncproto.Ref{Kind: "application", ID: syncproto.DerivedID("application", h.rec.ID+"|"+category+"|"+since)}
	if d, err := g.open(ref); err != nil || d.exists {
		return RowReport{Status: "unchanged"}, err
	}
	active, err := g.under(h.rec.Root, "application", "active")
	if err != nil {
		return RowReport{}, err
	}
	for _, a := range active {
		if slices.Contains(categories(&a.rec), category) {
			return RowReport{Status: "unchanged"}, nil
		}
	}
	state, err := casework.ApplicationMachine.Next("", "take_over", t.by.Role, casework.Facts{})
	if err != nil {
		return RowReport{}, err
	}
	f := map[string]any{"household": h.rec.ID, "categories": []any{category}, "activated_at": since + "T00:00:00+08:00", "decided_at": since + "T00:00:00+08:00",
		"decided_by": t.by.UserID, "taken_over_at": w.clockTime(), "state": state}
	if amount > 0 {
		f["amount"] = amount
	}
	if until := textOf(v["until"]); until != "" {
		f["valid_until"] = until
	}
	if reviewed := textOf(v["reviewed"]); reviewed != "" {
		f["reviewed_on"] = reviewed
	}
	if err := g.putValues(ref, h.rec.Root, h.bucket, f); err != nil {
		return RowReport{}, err
	}
	if held := categories(&h.rec); !slices.Contains(held, category) {
		if err := g.recategorise(h, append(held, category)); err != nil {
			return RowReport{}, err
		}
	}
	return RowReport{Status: "imported"}, g.commit()
}
