package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// rows are a table's rows; cells stand under the columns in their order, with | between.
func rows(code string, lines ...string) (list []loop.TableRow) {
	t, _ := casework.TemplateOf(code)
	for i, line := range lines {
		r := loop.TableRow{Row: i + 2, Cells: map[string]string{}}
		for k, cell := range strings.Split(line, "|") {
			r.Cells[t.Columns[k].Name] = cell
		}
		list = append(list, r)
	}
	return list
}

func (o *office) table(by casework.Actor, code string, preview bool, lines ...string) *loop.Report {
	o.t.Helper()
	rep, err := o.loop.ImportTable(o.t.Context(), by, code, rows(code, lines...), preview)
	o.must(err)
	return rep
}

// tables are a small county's own data, one good table after the other.
var tables = []struct {
	code  string
	lines []string
}{
	{"regions", []string{"430681199000|试验镇|镇(街道)|430681000000", "430681199201|甲村|village||否"}},
	{"grids", []string{"430681199201-001|甲村一网格", "430681199201-002|甲村二网格"}},
	{"users", []string{"new.worker|吴某|网格员|430681199201|镇(街道)|430681199201-001、430681199201-002", "new.review|林某|镇街审核员|430681199000|TOWN||2027-12-31"}},
	{"households", []string{"T-1|430681199201-001|湛某|甲村1组|3号|13900000001|否|2|12,000.50|因病、因残|旧档案", "T-2|430681199201-002|胡某"}},
	{"persons", []string{"T-1|湛某|11010519491231002X|户主|男||||是|重病|||退休", "T-1|湛小某||子|男|2015-03-01", "T-2|胡某|110105194912310038|户主|||||||肢体|2"}},
	{"aid", []string{"T-1|最低生活保障|520|2024-01-01||2025-11-20", "T-2|特困分散供养|1,050.5|2025-07-01"}},
}

func (o *office) admin() casework.Actor {
	u, ok := o.world.User("admin")
	if !ok {
		o.t.Fatal("no administrator")
	}
	return actor(u)
}

func (o *office) importer(code string) casework.Actor {
	if slices.Contains([]string{"regions", "grids", "users"}, code) {
		return o.admin()
	}
	return o.desk
}

// A county's own data come in by tables: a preview says what an import does and writes nothing, the same table again
// changes nothing, and what was imported is at work: it is paid, reviewed and on the phones of its grid.
func TestACountyComesInByTables(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	for _, x := range tables {
		by := o.importer(x.code)
		seen := o.table(by, x.code, true, x.lines...)
		if again := o.table(by, x.code, true, x.lines...); again.Imported != seen.Imported {
			t.Fatalf("%s: the preview wrote something: %+v, then %+v", x.code, seen, again)
		}
		rep := o.table(by, x.code, false, x.lines...)
		if rep.Imported != len(x.lines) || rep.Refused != 0 || seen.Imported != rep.Imported {
			t.Fatalf("%s: %+v, the preview said %+v", x.code, rep, seen)
		}
		if rep = o.table(by, x.code, false, x.lines...); rep.Unchanged != len(x.lines) || rep.Imported != 0 {
			t.Fatalf("%s again: %+v", x.code, rep)
		}
		_, err := o.loop.ImportTable(ctx, o.reviewer, x.code, nil, false)
		wants(t, err, casework.CodeForbidden)
	}
	var home syncproto.Ref
	list, err := o.loop.Queue(ctx, o.desk, loop.Filter{Kind: "application", States: []string{"active"}, Region: "430681199000"})
	if o.must(err); len(list.Items) != 2 {
		t.Fatalf("%+v", list.Items)
	}
	for _, i := range list.Items {
		if i.Fields["amount"] == int64(52_000) {
			id, _ := i.Fields["household"].(string)
			home = syncproto.Ref{Kind: "household", ID: id}
		}
	}
	h, _ := o.record(home)
	if h.Int("income_year") != 1_200_050 || h.Int("members_count") != 2 || string(h.Get("categories")) != `["DIBAO"]` || string(h.Get("difficulties")) != `["illness","disability"]` {
		t.Errorf("%s", h.Bytes())
	}
	month := o.now.Format("2006-01")
	if rep, err := o.loop.PlanPayments(ctx, o.desk, month); err != nil || rep.Done < 2 {
		t.Errorf("payments: %+v, %v", rep, err)
	}
	if a := o.advance(); a.Reviews != 1 { // of the one that was reviewed last a year ago; nobody has said when the other was
		t.Errorf("%+v", a)
	}
	scope, err := o.loop.Scope(ctx, syncproto.DerivedID("user", "new.worker"))
	if o.must(err); !slices.Contains(scope, "grid:430681199201-002") {
		t.Errorf("the worker's phone may hold %q", scope)
	}
	o.balanced()
}

// Every row that cannot be taken is refused with its column and what to do, and stops nothing.
func TestTablesTellErrorsRowByRow(t *testing.T) {
	o := newOffice(t)
	known := o.cast.Missed.Members[0]
	for _, x := range tables[:4] {
		o.table(o.importer(x.code), x.code, false, x.lines...)
	}
	for _, x := range []struct{ code, line, field, says string }{
		{"regions", "430681198|某镇|镇(街道)", "code", "12位"},
		{"regions", "440681199000|某镇|镇(街道)", "code", "不在本县"},
		{"regions", "430681198201|某村|村(社区)", "parent", "先导入上级"},
		{"regions", "430681199202|某村|村(社区)|430681101000", "parent", "430681199000"},
		{"regions", "430681197000|某镇|乡", "level", "镇(街道)"},
		{"regions", "430681197000||镇(街道)", "name", "不能为空"},
		{"grids", "430681199201-1|某网格", "code", "3位网格号"},
		{"grids", "430681198201-001|某网格", "code", "先导入区划"},
		{"users", "new.two|某|局长", "role", "网格员"},
		{"users", "登录|某|网格员|430681199201", "login", "字母"},
		{"users", "new.two|某|网格员|430681198201", "region", "先导入区划"},
		{"users", "new.two|某|网格员|430681199201||430681199201-009", "grids", "430681199201-009"},
		{"users", "new.two|某|部门经办", "dept", "不能为空"},
		{"users", "zhou.bureau|另一人|民政局经办||MZJ", "login", "已被使用"},
		{"households", "T-9|430681199201-009|某", "grid", "先导入网格"},
		{"households", "T-9|430681199201-001|某||||||一万", "income_year", "金额"},
		{"households", "T-9|430681199201-001|某||||也许", "urban", "是"},
		{"households", "T-9|430681199201-001|某|||||||穷", "difficulties", "因病"},
		{"persons", "T-9|某", "household", "先导入家庭"},
		{"persons", "T-1|某|110105194912310030", "id_no", "校验码"},
		{"persons", "T-1|某|" + known.IDNo, "id_no", "另一户"},
		{"persons", "T-1|某||子|男|去年", "birth", "2026-01-31"},
		{"aid", "T-1|最低生活保障||2026-01-01", "amount", "月救助金额"},
		{"aid", "T-1|突发严重困难户|1|2026-01-01", "category", "农业农村"},
		{"aid", "T-1|最低生活保障|1|2036-01-01", "since", "晚于今天"},
		{"aid", "T-1|最低生活保障|-5|2026-01-01", "amount", "不小于0"},
	} {
		rep := o.table(o.importer(x.code), x.code, false, x.line)
		if rep.Refused != 1 || rep.Rows[0].Row != 2 || rep.Rows[0].Field != x.field || !strings.Contains(rep.Rows[0].Message, x.says) {
			t.Errorf("%s %s: %+v", x.code, x.line, rep.Rows)
		}
	}
	o.balanced()
}

// What a sender calls his columns is remembered; a department pushes leads under its own numbers.
func TestLeadSenders(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	medical := o.officer("YBJ")
	good := loop.LeadSender{Columns: map[string]string{"序号": "ref", "困难群众": "name"}, Types: map[string]string{"高额自付": "suspected_missed"}}
	for name, bad := range map[string]loop.LeadSender{"field": {Columns: map[string]string{"x": "nothing"}}, "type": {Types: map[string]string{"x": "nothing"}}} {
		wants(t, o.loop.PutLeadSender(ctx, o.desk, name, bad), casework.CodeInvalidValue)
	}
	wants(t, o.loop.PutLeadSender(ctx, o.reviewer, "x", good), casework.CodeForbidden)
	o.must(o.loop.PutLeadSender(ctx, o.desk, "医保局", good))
	sheet := loop.Sheet{Source: "province", Sender: "医保局", Preview: true, Read: func(columns map[string]string) ([]loop.LeadRow, error) {
		if columns["序号"] != "ref" || columns["困难群众"] != "name" {
			t.Errorf("%+v", columns)
		}
		return []loop.LeadRow{{Row: 2, SourceRef: "9", Type: "高额自付", SubjectName: "湛某", Town: o.cast.Town.Code}}, nil
	}}
	if rep, err := o.loop.ImportSheet(ctx, o.desk, sheet); err != nil || rep.Imported != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	sheet.Sender = "别的"
	_, err := o.loop.ImportSheet(ctx, o.desk, sheet)
	wants(t, err, casework.CodeInvalidValue)
	row := loop.LeadRow{Row: 2, SourceRef: "1", Type: "suspected_missed", SubjectName: "湛某", Town: o.cast.Town.Code}
	seen, err := o.loop.ImportSheet(ctx, medical, loop.Sheet{Source: "province", Preview: true, Read: func(map[string]string) ([]loop.LeadRow, error) { return []loop.LeadRow{row}, nil }})
	if o.must(err); seen.Imported != 1 {
		t.Fatalf("%+v", seen)
	}
	pushed, err := o.loop.ImportLeads(ctx, medical, "province", []loop.LeadRow{row})
	if o.must(err); pushed.Imported != 1 {
		t.Fatalf("%+v, the preview wrote something", pushed)
	}
	rec, _ := o.record(syncproto.Ref{Kind: "lead", ID: pushed.Rows[0].Lead})
	if rec.Str("source") != "department" || rec.Str("source_ref") != "YBJ|1" {
		t.Errorf("%s", rec.Bytes())
	}
	for _, by := range []casework.Actor{o.officer("JTJ"), o.desk} { // the same number of another sender is another lead
		if rep, err := o.loop.ImportLeads(ctx, by, "department", []loop.LeadRow{row}); err != nil || rep.Imported != 1 {
			t.Errorf("%+v, %v", rep, err)
		}
	}
	_, err = o.loop.ImportLeads(ctx, o.reviewer, "department", []loop.LeadRow{row})
	wants(t, err, casework.CodeForbidden)
}

// A county that comes in with the help of many years does not have all of it reviewed at once: the first reviews are spread,
// and none is late from its first day on.
func TestTakenOverHelpIsReviewedBitByBit(t *testing.T) {
	o := newOffice(t)
	for _, x := range tables[:3] {
		o.table(o.importer(x.code), x.code, false, x.lines...)
	}
	var homes, aid []string
	for i := range 60 {
		homes = append(homes, fmt.Sprintf("S-%d|430681199201-001|某某", i))
		aid = append(aid, fmt.Sprintf("S-%d|低保边缘家庭||2019-01-01", i))
	}
	o.table(o.desk, "households", false, homes...)
	o.table(o.desk, "aid", false, aid...)
	days, total := 0, 0
	for range 53 {
		o.advance()
		list, err := o.loop.Queue(t.Context(), o.desk, loop.Filter{Kind: "periodic_review", Region: "430681199000", Limit: 500})
		o.must(err)
		if n := len(list.Items); n > total {
			if n-total > 15 {
				t.Errorf("%d reviews within a week", n-total)
			}
			days, total = days+1, n
		}
		for _, i := range list.Items {
			if due, _ := i.Fields["due_on"].(string); total > 0 && due < o.now.Format("2006-01-02") && i.Fields["opened_at"].(string)[:10] > due {
				t.Errorf("opened behind its day: %+v", i.Fields)
			}
		}
		o.days(7)
	}
	if total != 60 || days < 10 {
		t.Errorf("%d reviews on %d days", total, days)
	}
}
