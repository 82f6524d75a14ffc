package casework

import "slices"

// RosterField is something that can stand in a list for others, such as the one that the province wants back: what it is
// called, and what it is called elsewhere.
type RosterField struct {
	Name, Label string
	Also        []string
}

// Rosters are what lists can be made of, with their fields: whatever template a higher platform sends, it is filled from
// the one record.
var Rosters = map[string][]RosterField{
	"leads": {{"ref", "线索编号", []string{"编号", "预警编号"}}, {"name", "姓名", []string{"对象姓名", "预警对象"}}, {"id_no", "身份证号", []string{"身份证号码", "证件号码"}},
		{"phone", "联系电话", []string{"电话"}}, {"town", "镇(街道)", []string{"镇街", "乡镇", "镇(街道)"}}, {"village", "村(社区)", []string{"村社区", "村", "村(社区)"}},
		{"address", "详细地址", []string{"地址", "居住地址"}}, {"type", "预警类型", []string{"线索类型"}}, {"source", "来源", []string{"线索来源"}}, {"reason", "预警原因", []string{"原因"}},
		{"issued_on", "下发日期", []string{"下发时间"}}, {"received_on", "镇街收到日期", []string{"接收日期", "收到日期"}}, {"due_on", "办结期限", []string{"期限"}},
		{"visited_on", "入户日期", []string{"核查日期", "入户核实日期", "核实日期"}}, {"surveyor", "调查人", []string{"核查人"}}, {"met", "走访情况", nil},
		{"result", "处置结果", []string{"核查结果", "核实结果"}}, {"categories", "救助类别", []string{"纳入类别", "纳入救助类别"}}, {"note", "处置说明", []string{"核查情况", "核实情况", "备注"}},
		{"proposed_on", "上报日期", nil}, {"verified_on", "核定日期", nil}, {"fed_back_on", "反馈日期", []string{"反馈时间"}}, {"on_time", "是否按时", nil}, {"state", "状态", nil}},
	"households": {{"code", "户编号", []string{"家庭编号"}}, {"head_name", "户主姓名", []string{"户主"}}, {"town", "镇(街道)", []string{"镇街", "乡镇"}}, {"village", "村(社区)", []string{"村社区", "村"}},
		{"grid", "网格", []string{"网格编号"}}, {"address", "居住地址", []string{"地址", "家庭住址", "详细地址"}}, {"phone", "联系电话", []string{"电话"}}, {"urban", "城镇户", nil},
		{"members_count", "人口数", []string{"家庭人口", "家庭人口数"}}, {"income_year", "年收入", []string{"年收入(元)", "家庭年收入"}}, {"categories", "救助类别", []string{"对象类别"}},
		{"difficulties", "困难类型", []string{"致困原因"}}, {"amount", "月救助金额", []string{"月救助金额(元)", "救助金额"}}, {"since", "起始日期", []string{"享受起始", "纳入日期"}},
		{"until", "有效期至", nil}, {"visited_on", "最近走访", []string{"最近入户日期"}}},
	"persons": {{"name", "姓名", nil}, {"id_no", "身份证号", []string{"身份证号码", "证件号码"}}, {"relation", "与户主关系", []string{"关系"}}, {"sex", "性别", nil}, {"birth", "出生日期", nil},
		{"phone", "联系电话", []string{"电话"}}, {"code", "户编号", []string{"家庭编号"}}, {"head_name", "户主姓名", []string{"户主"}}, {"town", "镇(街道)", []string{"镇街", "乡镇"}},
		{"village", "村(社区)", []string{"村社区", "村"}}, {"address", "居住地址", []string{"地址", "家庭住址"}}, {"categories", "救助类别", []string{"对象类别"}}, {"health", "健康状况", nil},
		{"disability_kind", "残疾类别", nil}, {"disability_grade", "残疾等级", nil}, {"work", "就业状况", nil}, {"school", "就学状况", nil}},
}

// RosterFieldOf finds a field of a roster by a heading.
func RosterFieldOf(over, heading string) (name string, ok bool) {
	for _, f := range Rosters[over] {
		if f.Label == heading || f.Name == heading || slices.Contains(f.Also, heading) {
			return f.Name, true
		}
	}
	return "", false
}

// FeedbackHeadings are the columns of the file that goes back to the province, in their order.
var FeedbackHeadings = []string{"线索编号", "姓名", "身份证号", "镇(街道)", "村(社区)", "预警类型", "下发日期", "镇街收到日期", "办结期限", "入户日期", "处置结果", "救助类别", "处置说明", "核定日期", "反馈日期", "是否按时"}
