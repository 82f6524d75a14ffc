package casework

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Dataset is a list that a department loads every month: one row a person and event. Every row begins with the key of
// the person, a keyed index of the identity number that stands in for it.
type Dataset struct {
	Code    string
	Label   string
	Dept    string // who shares it
	Columns []Column
}

// Column is one column of a dataset behind the key. An int of money is in 分; a month is "2006-01".
type Column struct {
	Name, Label string
	Type        string // "text", "int", "date", "month", or "flag" (是 or 否)
	Optional    bool
}

// Row is one row of a loaded dataset: the number of its line, the key, and the columns in order, as canonical text ("" for
// what was left out, "1" and "0" for a flag).
type Row struct {
	Line   int
	Key    string
	Values []string
}

// Datasets are all that matching knows, with the departments that share them.
var Datasets = []Dataset{
	{"deaths", "死亡人员", "WJW", []Column{{"died_on", "死亡日期", "date", false}}},
	{"payments", "救助金发放", "MZJ", []Column{{"programme", "项目", "text", false}, {"month", "月份", "month", false}, {"amount", "金额", "int", false}}},
	{"medical", "医疗费用结算", "YBJ", []Column{{"settled_on", "结算日期", "date", false}, {"own_cost", "个人自付", "int", false}}},
	{"medical_aid", "医疗救助", "YBJ", []Column{{"granted_on", "救助日期", "date", false}, {"amount", "金额", "int", false}}},
	{"insurance", "居民医保参保", "YBJ", []Column{{"year", "年度", "int", false}, {"subsidised", "资助参保", "flag", false}}},
	{"disability", "残疾人证", "CL", []Column{{"kind", "类别", "text", false}, {"grade", "等级", "int", false}, {"issued_on", "发证日期", "date", false}}},
	{"care_subsidy", "重度残疾人护理补贴", "MZJ", []Column{{"month", "月份", "month", false}}},
	{"living_subsidy", "困难残疾人生活补贴", "MZJ", []Column{{"month", "月份", "month", false}}},
	{"enrolment", "学籍", "JTJ", []Column{{"stage", "学段", "text", false}, {"school", "学校", "text", true}}},
	{"education_aid", "教育资助", "JTJ", []Column{{"granted_on", "资助日期", "date", false}}},
	{"unemployed", "失业登记", "RSJ", []Column{{"since", "登记日期", "date", false}}},
	{"job_services", "就业服务", "RSJ", []Column{{"on", "日期", "date", false}, {"kind", "类型", "text", false}}},
	{"employment", "就业参保", "RSJ", []Column{{"since", "起始日期", "date", false}, {"wage_month", "月工资", "int", false}}},
	{"pensions", "养老金发放", "RSJ", []Column{{"amount_month", "月养老金", "int", false}}},
	{"relocated", "易地搬迁", "NYJ", []Column{{"from", "迁出地", "text", false}, {"to", "迁入地", "text", false}}},
	{"monitored", "防止返贫监测对象", "NYJ", []Column{{"kind", "类别", "text", false}, {"risk_removed", "风险已消除", "flag", false}}},
	{"fishers", "禁捕退捕渔民", "NYJ", nil},
	{"agri_known", "农业农村部门已掌握整户保", "NYJ", nil},
	{"disaster_aid", "受灾救助", "YJJ", []Column{{"ended_on", "结束日期", "date", false}}},
	{"dwellings", "住房鉴定", "ZJJ", []Column{{"grade", "等级", "text", false}}},
	{"housing_help", "住房保障", "ZJJ", []Column{{"kind", "类型", "text", true}}},
}

// DatasetOf finds a dataset by its code.
func DatasetOf(code string) (*Dataset, bool) {
	for i := range Datasets {
		if Datasets[i].Code == code {
			return &Datasets[i], true
		}
	}
	return nil, false
}

// column is the place of a column; it panics for a name that the dataset does not have, which is a mistake of a rule.
func (d *Dataset) column(name string) int {
	i := slices.IndexFunc(d.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		panic("casework: the dataset " + d.Code + " has no column " + name)
	}
	return i
}

// maxCell bounds one cell, in characters.
const maxCell = 200

// Clean turns the cells of one line, in the order of the columns, into canonical text. The error names the column and
// says what to write there.
func (d *Dataset) Clean(cells []string) ([]string, error) {
	if len(cells) > len(d.Columns) {
		return nil, NewError(CodeInvalidValue, fmt.Sprintf("这一行多于%d列,请核对。", len(d.Columns)))
	}
	out := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		if i < len(cells) {
			out[i] = strings.TrimSpace(cells[i])
		}
		if out[i] == "" {
			if c.Optional {
				continue
			}
			return nil, NewError(CodeInvalidValue, fmt.Sprintf("“%s”不能为空。", c.Label))
		}
		if err := c.clean(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Column) clean(v *string) error {
	bad := func(want string) error {
		return NewError(CodeInvalidValue, fmt.Sprintf("“%s”%s。", c.Label, want))
	}
	switch c.Type {
	case "int":
		n, err := strconv.ParseInt(*v, 10, 64)
		if err != nil || n < 0 || n > maxAmount {
			return bad("应为不小于0的整数(金额以分为单位)")
		}
		*v = strconv.FormatInt(n, 10)
	case "date":
		if !plausibleDay(*v) {
			return bad("应写成2026-01-31的样子")
		}
	case "month":
		if !plausibleDay(*v + "-01") {
			return bad("应写成2026-01的样子")
		}
	case "flag":
		yes, known := map[string]string{"是": "1", "1": "1", "true": "1", "否": "0", "0": "0", "false": "0"}[*v]
		if !known {
			return bad("应填“是”或“否”")
		}
		*v = yes
	default:
		if len([]rune(*v)) > maxCell {
			return bad(fmt.Sprintf("最多%d个字", maxCell))
		}
	}
	return nil
}
