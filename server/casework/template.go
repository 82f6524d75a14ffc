package casework

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template is a table that a county's own data come in by: one row a thing, the first row names the columns.
type Template struct {
	Code, Label string
	Columns     []TemplateColumn
}

// TemplateColumn is one column. Types are those of Column, and "yuan" (kept in 分), "enum" and "enums" (several, with 、
// between) of a code list, by label or code.
type TemplateColumn struct {
	Name, Label, Type, Enum string
	Need                    bool
}

// Templates are all of them, in the order in which a new county fills them in.
var Templates = []Template{
	{"regions", "区划", []TemplateColumn{{"code", "区划代码", "text", "", true}, {"name", "名称", "text", "", true}, {"level", "级别", "enum", "level", true},
		{"parent", "上级代码", "text", "", false}, {"urban", "城镇", "flag", "", false}}},
	{"grids", "网格", []TemplateColumn{{"code", "网格编号", "text", "", true}, {"name", "名称", "text", "", true}}},
	{"users", "人员账号", []TemplateColumn{{"login", "登录名", "text", "", true}, {"name", "姓名", "text", "", true}, {"role", "岗位", "enum", "role", true},
		{"region", "区划代码", "text", "", false}, {"dept", "部门", "enum", "department", false}, {"grids", "负责网格", "text", "", false}, {"until", "有效期至", "date", "", false}}},
	{"households", "家庭", []TemplateColumn{{"code", "户编号", "text", "", true}, {"grid", "网格编号", "text", "", true}, {"head_name", "户主姓名", "text", "", true},
		{"address", "居住地址", "text", "", false}, {"door_no", "门牌号", "text", "", false}, {"phone", "联系电话", "text", "", false}, {"urban", "城镇户", "flag", "", false},
		{"members_count", "人口数", "int", "", false}, {"income_year", "年收入(元)", "yuan", "", false}, {"difficulties", "困难类型", "enums", "difficulty", false}, {"note", "备注", "text", "", false}}},
	{"persons", "家庭成员", []TemplateColumn{{"household", "户编号", "text", "", true}, {"name", "姓名", "text", "", true}, {"id_no", "身份证号", "text", "", false},
		{"relation", "与户主关系", "text", "", false}, {"sex", "性别", "enum", "sex", false}, {"birth", "出生日期", "date", "", false}, {"phone", "联系电话", "text", "", false},
		{"account", "银行账号", "text", "", false}, {"lives_together", "共同生活", "flag", "", false}, {"health", "健康状况", "text", "", false}, {"disability_kind", "残疾类别", "text", "", false},
		{"disability_grade", "残疾等级", "int", "", false}, {"work", "就业状况", "text", "", false}, {"school", "就学状况", "text", "", false}}},
	{"aid", "在享救助", []TemplateColumn{{"household", "户编号", "text", "", true}, {"category", "救助类别", "enum", "category", true}, {"amount", "月救助金额(元)", "yuan", "", false},
		{"since", "起始日期", "date", "", true}, {"until", "有效期至", "date", "", false}, {"reviewed", "最近复核日期", "date", "", false}}},
}

// TemplateOf finds a template by its code.
func TemplateOf(code string) (*Template, bool) {
	i := slices.IndexFunc(Templates, func(t Template) bool { return t.Code == code })
	if i < 0 {
		return nil, false
	}
	return &Templates[i], true
}

// Column finds a column by its heading or its name.
func (t *Template) Column(heading string) (name string, ok bool) {
	heading = strings.TrimSuffix(heading, "*")
	for _, c := range t.Columns {
		if c.Label == heading || c.Name == heading || strings.TrimSuffix(c.Label, "(元)") == heading {
			return c.Name, true
		}
	}
	return "", false
}

// Clean turns the cells of one row, by column, into values of the catalog's types; an empty cell has none. The error names
// the column and says what to write there.
func (t *Template) Clean(cells map[string]string) (values map[string]any, field string, err error) {
	values = map[string]any{}
	for _, c := range t.Columns {
		cell := strings.TrimSpace(cells[c.Name])
		if cell == "" {
			if c.Need {
				return nil, c.Name, NewError(CodeInvalidValue, "“"+c.Label+"”不能为空。")
			}
			continue
		}
		if values[c.Name], err = c.value(cell); err != nil {
			return nil, c.Name, err
		}
	}
	return values, "", nil
}

func (c *TemplateColumn) value(cell string) (any, error) {
	bad := func(want string) error { return NewError(CodeInvalidValue, "“"+c.Label+"”"+want+"。") }
	switch c.Type {
	case "enum", "enums":
		var codes []any
		for _, s := range SplitList(cell) {
			code, ok := c.code(s)
			if !ok {
				return nil, bad("里没有“" + clip(s) + "”,请填:" + strings.Join(c.Choices(), "、"))
			}
			codes = append(codes, code)
		}
		switch {
		case c.Type == "enums":
			return codes, nil
		case len(codes) != 1:
			return nil, bad("只能填一项:" + strings.Join(c.Choices(), "、"))
		}
		return codes[0], nil
	case "yuan":
		fen, err := fenOf(cell)
		if err != nil {
			return nil, bad("应为不小于0的金额,以元为单位,最多两位小数")
		}
		return fen, nil
	}
	v := cell
	if err := (&Column{Label: c.Label, Type: c.Type}).clean(&v); err != nil {
		return nil, err
	}
	switch c.Type {
	case "int":
		return strconv.ParseInt(v, 10, 64)
	case "flag":
		return v == "1", nil
	}
	return v, nil
}

func (c *TemplateColumn) terms() []Term {
	if c.Enum == "role" {
		return Roles
	}
	return Enums[c.Enum]
}

func (c *TemplateColumn) code(s string) (string, bool) {
	for _, t := range c.terms() {
		if s == t.Code || s == t.Label {
			return t.Code, true
		}
	}
	return "", false
}

// Choices are the labels that a column of a code list takes; nil for any other column.
func (c *TemplateColumn) Choices() (labels []string) {
	for _, t := range c.terms() {
		labels = append(labels, t.Label)
	}
	return labels
}

// SplitList is what a cell lists, whatever people write between.
func SplitList(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune("、,,;; ", r) })
}

// fenOf reads an amount of yuan with at most two places.
func fenOf(s string) (int64, error) {
	whole, part, _ := strings.Cut(strings.ReplaceAll(s, ",", ""), ".")
	if len(part) > 2 || !isDigits(whole) || part != "" && !isDigits(part) {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	fen, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
	if err == nil && fen > maxAmount {
		err = fmt.Errorf("%q is too much", s)
	}
	return fen, err
}
