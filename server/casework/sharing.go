package casework

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DataNeedMachine takes what a department needs of another one's data from the request to its end. Approved needs are the
// register of data needs (数据需求清单).
var DataNeedMachine = &Machine{"data_need", "数据需求", []Transition{
	{"", "request", giver, "", "requested"},
	{"requested", "approve", giver, "gives_data", "approved"},
	{"requested", "refuse", giver, "gives_data_reasoned", "refused"},
	{"requested", "withdraw", giver, "asks_data", "cancelled"},
	{"approved", "end", giver, "reasoned", "closed"},
}}

// DataPackageMachine takes a month's package from its making to its receipt.
var DataPackageMachine = &Machine{"data_package", "共享数据包", []Transition{
	{"", "make", county, "", "ready"},
	{"ready", "fetch", giver, "asks_data", "fetched"},
	{"fetched", "fetch", giver, "asks_data", "fetched"},
	{"fetched", "receive", giver, "counted", "taken"},
	{"fetched", "reject", giver, "asks_data_reasoned", "returned"},
	{"returned", "make", county, "", "ready"},
}}

func givesData(f Facts) error { return require(f.GivesData, "由提供数据的单位审批。") }
func asksData(f Facts) error  { return require(f.AsksData, "由申请数据的单位办理。") }

// both is a guard of two, in order.
func both(a, b func(Facts) error) func(Facts) error {
	return func(f Facts) error {
		if err := a(f); err != nil {
			return err
		}
		return b(f)
	}
}

func reasoned(f Facts) error { return require(f.Reasoned, "请写明理由。") }

func counted(f Facts) error {
	return require(f.Counted, "签收行数与清单不一致,请核对文件;确有缺漏的请退回。")
}

// Source is what can be shared: the pool as civil affairs has it, or a department's dataset. Its columns stand behind those
// that say who a row is about, see WhoColumns.
type Source struct {
	Code, Label, Dept string
	Columns           []Column
	Monthly           string // the department that receives it every month without a request (notice, 三·二·2); "" for none
}

// WhoColumns say who a row is about.
var WhoColumns = []Column{{"id_no", "身份证号", "text", true}, {"name", "姓名", "text", true}, {"town", "镇街", "text", true}, {"village", "村社区", "text", true}}

var poolColumns = []Column{{"household", "户编号", "text", false}, {"categories", "救助类别", "text", false}, {"members", "人口数", "int", false}}

// Sources are all that can be shared. New whole-household dibao goes to agriculture every month, new monitored households go
// to civil affairs; new are those that no former package has told of.
var Sources = sources()

func sources() []Source {
	list := []Source{
		{"pool", "低收入人口", "MZJ", poolColumns, ""},
		{"dibao_new", "新增整户保", "MZJ", poolColumns, "NYJ"},
		{"monitored_new", "新增防止返贫监测对象", "NYJ", []Column{{"kind", "类别", "text", false}}, "MZJ"},
	}
	for _, d := range Datasets {
		list = append(list, Source{d.Code, d.Label, d.Dept, d.Columns, ""})
	}
	return list
}

// New reports whether a source tells of each person once: of whom no former package has told.
func (s *Source) New() bool { return s.Monthly != "" }

// SourceOf finds a source by its code.
func SourceOf(code string) (*Source, bool) {
	i := slices.IndexFunc(Sources, func(s Source) bool { return s.Code == code })
	if i < 0 {
		return nil, false
	}
	return &Sources[i], true
}

// Pick are the named columns of a source in the order in which it has them, those of persons first. The error says which
// name it does not have.
func (s *Source) Pick(names []string) ([]Column, error) {
	all := slices.Concat(WhoColumns, s.Columns)
	for _, n := range names {
		if !slices.ContainsFunc(all, func(c Column) bool { return c.Name == n }) {
			return nil, NewError(CodeInvalidValue, fmt.Sprintf("“%s”没有“%s”这一列,请从列表中选择。", s.Label, clip(n)))
		}
	}
	if len(names) == 0 {
		return nil, NewError(CodeInvalidValue, "请至少选择一列。")
	}
	return slices.DeleteFunc(all, func(c Column) bool { return !slices.Contains(names, c.Name) }), nil
}

// Names are the names of all columns of a source.
func (s *Source) Names() (names []string) {
	for _, c := range slices.Concat(WhoColumns, s.Columns) {
		names = append(names, c.Name)
	}
	return names
}

// PoolCells are a person's cells of the sources "pool" and "dibao_new", by column.
func PoolCells(p *PoolPerson) map[string]string {
	labels := make([]string, len(p.Categories))
	for i, c := range p.Categories {
		labels[i] = Label("category", c)
	}
	return map[string]string{"household": p.Household, "categories": strings.Join(labels, "、"), "members": strconv.Itoa(p.Members)}
}

// StdShareDay is the day of the month up to which departments ask for data that they need in it (notice, 三·二·2).
const StdShareDay = "share_request_day"

var shareTimes = Standards{{StdShareDay, "", "all", 10, "days", "2025-09-19", "", "汨民发〔2025〕9号"}}

// FirstMonth is the month from which a need is served that was asked for on a day ("2006-01-02"): the same one up to the
// request day, else the next.
func FirstMonth(day string, requestDay int) string {
	if d, err := strconv.Atoi(day[len(day)-2:]); err == nil && d <= requestDay {
		return day[:7]
	}
	return AddMonths(day[:7]+"-01", 1)[:7]
}

// ShareDay is the request day of a month, "2006-01-02".
func ShareDay(month string, requestDay int) string {
	return fmt.Sprintf("%s-%02d", month, min(max(requestDay, 1), 28))
}

// DeptOf is the department that somebody acts for.
func (a Actor) DeptOf() string {
	if a.Role == RoleBureauOfficer {
		return "MZJ"
	}
	return a.Dept
}
