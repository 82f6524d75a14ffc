package casework

// The shorthands say a field's policy: who writes it, and what becomes of concurrent writes.

func latest(name, label string, t Type) Field {
	return Field{Name: name, Label: label, Type: t, Policy: Latest, Privacy: Personal}
}

func review(name, label string, t Type) Field {
	return Field{Name: name, Label: label, Type: t, Policy: Review, Privacy: Personal}
}

func server(name, label string, t Type) Field {
	return Field{Name: name, Label: label, Type: t, Policy: Server, Privacy: Personal}
}

func once(name, label string, t Type) Field {
	return Field{Name: name, Label: label, Type: t, Policy: Once, Privacy: Personal}
}

func (f Field) sealed() Field        { f.Sealed, f.Privacy = true, Sensitive; return f }
func (f Field) public() Field        { f.Privacy = Public; return f }
func (f Field) of(enum string) Field { f.Enum = enum; return f }
func (f Field) upTo(chars int) Field { f.Max = chars; return f }
func id(name, label string) Field    { return once(name, label, Text).upTo(64) }
func ref(name, label string) Field   { return server(name, label, Text).upTo(64) }
func at(name, label string) Field    { return server(name, label, Time) }

var household = &Kind{Name: "household", Label: "家庭", Bucket: BucketCase, Root: true, Device: true, Fields: []Field{
	latest("code", "家庭编号", Text).upTo(64),
	latest("head_name", "户主姓名", Text).sealed(),
	latest("address", "居住地址", Text).sealed(),
	latest("door_no", "门牌号", Text).sealed(),
	latest("phone", "联系电话", Text).sealed(),
	latest("note", "备注", Text).sealed(),
	server("town", "镇(街道)", Text), server("village", "村(社区)", Text), server("grid", "网格", Text), server("urban", "城镇户", Bool),
	latest("members_count", "人口数", Int).public(),
	review("income_year", "年收入", Money),
	server("categories", "救助类别", EnumList).of("category").public(),
	latest("difficulties", "困难类型", EnumList).of("difficulty"),
	latest("location", "住所位置", Object),
	server("state", "状态", Text), server("merged_into", "合并到", Text), server("former", "曾属网格", List),
}}

var person = &Kind{Name: "person", Label: "家庭成员", Bucket: BucketCase, Device: true, Parent: "household", Blind: []string{"id_no"}, Fields: []Field{
	id("household", "家庭"),
	latest("name", "姓名", Text).sealed(),
	review("id_no", "身份证号", Text).sealed(),
	latest("phone", "联系电话", Text).sealed(),
	review("account", "银行账号", Text).sealed(),
	latest("illness_note", "病情说明", Text).sealed(),
	latest("relation", "与户主关系", Text), latest("sex", "性别", Enum).of("sex"), review("birth", "出生日期", Date),
	latest("lives_together", "共同生活", Bool), latest("health", "健康状况", Text),
	review("disability_kind", "残疾类别", Text), review("disability_grade", "残疾等级", Int),
	latest("work", "就业状况", Text), latest("school", "就学状况", Text),
	server("categories", "救助类别", EnumList).of("category"), server("state", "状态", Text), server("merged_into", "合并到", Text),
}}

var lead = &Kind{Name: "lead", Label: "预警线索", Bucket: BucketCase, Root: true, Owner: "assignee", Due: "due_on", Blind: []string{"subject_id_no"}, Fields: []Field{
	ref("household", "家庭"),
	server("lead_type", "预警类型", Enum).of("lead_type"), server("source", "来源", Enum).of("lead_source"), server("source_ref", "线索编号", Text),
	server("subject_name", "姓名", Text).sealed(), server("subject_id_no", "身份证号", Text).sealed(),
	server("subject_phone", "联系电话", Text).sealed(), server("address", "地址", Text).sealed(),
	server("town", "镇(街道)", Text), server("village", "村(社区)", Text), server("grid", "网格", Text),
	server("reason", "预警原因", Text).sealed(), server("issued_on", "下发日期", Date), server("priority", "紧急程度", Int),
	at("received_at", "镇街收到时间"), server("due_on", "办结期限", Date), server("due_provisional", "期限待定", Bool),
	server("calendar_version", "工作日历版本", Text), at("acknowledged_at", "签收时间"),
	ref("assignee", "网格员"), ref("visit", "走访"), ref("disposition", "处置"), ref("duplicate_of", "重复于"),
	at("fed_back_at", "反馈时间"), server("former", "曾属网格", List), server("state", "状态", Enum).of("state"),
}}

var visit = &Kind{Name: "visit", Label: "入户走访", Bucket: BucketCase, Device: true, Answers: true, Owner: "surveyor_1", Parent: "lead", Fields: []Field{
	id("household", "家庭"), id("lead", "线索"), id("form", "表单"), once("form_version", "表单版本", Text).upTo(64),
	id("surveyor_1", "调查人一"), review("surveyor_2", "调查人二", Text).upTo(64),
	review("visited_at", "入户时间", Time), once("started_at", "开始时间", Time), review("ended_at", "结束时间", Time),
	review("mode", "走访方式", Enum).of("visit_mode"), review("mode_reason", "未实地入户的原因", Text).upTo(200),
	review("met", "见面情况", Enum).of("met"), latest("note", "备注", Text).sealed().upTo(500),
	id("entered_by", "代录人"), server("returned_questions", "退回的问题", List),
	server("late", "补录", Bool), server("clock_doubts", "手机时间疑点", EnumList).of("evidence"), server("state", "状态", Enum).of("state"),
}}

var application = &Kind{Name: "application", Label: "救助申请", Bucket: BucketCase, Device: true, Answers: true, Owner: "entered_by", Fields: []Field{
	id("household", "家庭"), id("form", "表单"), once("form_version", "表单版本", Text).upTo(64), id("entered_by", "经办人"),
	once("applied_at", "申请时间", Time), server("state", "状态", Enum).of("state"),
}}

var evidence = &Kind{Name: "evidence", Label: "佐证材料", Bucket: BucketCase, Device: true, Parent: "visit", Fields: []Field{
	id("visit", "走访"), id("household", "家庭"), once("purpose", "用途", Enum).of("purpose"), once("sha256", "内容指纹", Text).upTo(64),
	once("size", "字节数", Int), once("mime", "类型", Text).upTo(64), once("taken_at", "拍摄时间", Time), once("question", "问题", Text).upTo(64),
	latest("caption", "说明", Text).sealed().upTo(200), once("location", "位置", Object),
}}

var task = &Kind{Name: "task", Label: "任务", Bucket: BucketCase, Owner: "assignee", Due: "due_on", Parent: "lead", Fields: []Field{
	server("type", "类型", Enum).of("task_type"), ref("visit", "走访"), ref("lead", "线索"), ref("assignee", "承办人"), server("title", "标题", Text),
	server("questions", "问题", List).sealed(), server("due_on", "期限", Date), at("created_at", "创建时间"), server("state", "状态", Enum).of("state"),
}}
