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
	server("calendar_version", "工作日历版本", Text), server("due_rule", "期限依据", Text), at("acknowledged_at", "签收时间"),
	ref("assignee", "网格员"), ref("visit", "走访"), ref("disposition", "处置"), ref("duplicate_of", "重复于"),
	server("depts", "建议承办", EnumList).of("department"), server("to_dept", "承办部门", Enum).of("department"), at("sent_dept_at", "转部门时间"),
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

var application = &Kind{Name: "application", Label: "救助申请", Bucket: BucketCase, Device: true, Answers: true, Owner: "entered_by", Due: "due_on", Parent: "household", Fields: []Field{
	id("household", "家庭"), id("form", "表单"), once("form_version", "表单版本", Text).upTo(64), id("entered_by", "经办人"),
	once("applied_at", "申请时间", Time), server("state", "状态", Enum).of("state"),
	ref("visit", "走访"), ref("lead", "线索"), ref("disposition", "处置"), ref("worker", "网格员"), server("prefilled", "预填的问题", List),
	at("submitted_at", "提交时间"), server("staff_relative", "经办人员近亲属", Bool),
	at("supplement_at", "一次性补正告知时间"), server("supplement_questions", "需补正的问题", List), server("supplement_text", "补正说明", Text).sealed(),
	at("accepted_at", "受理时间"), ref("accepted_by", "受理人"),
	server("due_on", "期限", Date), server("due_rule", "期限依据", Text), server("due_provisional", "期限待定", Bool), server("calendar_version", "工作日历版本", Text),
	server("extended", "延长办理", Bool), server("extension_reason", "延长理由", Text).sealed(),
	at("investigating_at", "启动调查时间"), ref("investigation", "调查走访"), at("reinvestigating_at", "重新调查时间"),
	server("opinion_categories", "初审意见类别", EnumList).of("category"), server("opinion_suggested", "初审时系统建议类别", EnumList).of("category"),
	server("opinion_amount", "拟救助金额(每月)", Money), server("opinion_reason", "初审理由", Text).sealed(), ref("opinion_by", "初审人"), at("opinion_at", "初审时间"),
	at("published_at", "公示时间"), server("published_until", "公示截止", Date),
	server("objection", "异议内容", Text).sealed(), ref("objection_by", "异议登记人"), at("objected_at", "异议时间"), at("reported_at", "上报时间"),
	at("county_visit_at", "县级入户登记时间"), ref("county_visit_by", "县级入户人"), server("county_visit_note", "县级入户情况", Text).sealed(),
	server("categories", "确认类别", EnumList).of("category"), server("amount", "救助金额(每月)", Money), server("suggested", "系统建议类别", EnumList).of("category"),
	server("suggested_rules", "建议规则版本", Text), server("suggested_basis", "建议依据", List).sealed(), server("valid_until", "有效期至", Date),
	server("decision_reason", "决定理由", Text).sealed(), ref("decided_by", "决定人"), at("decided_at", "决定时间"), at("told_at", "书面告知时间"),
	at("activated_at", "生效时间"), ref("person", "单人户申请人"), at("taken_over_at", "接续时间"), server("reviewed_on", "接续前最近复核", Date), at("recomputed_at", "按标准调整时间"), server("recomputed_on", "所依标准日期", Date), ref("recomputed_by", "调整人"), at("closed_at", "结束时间"), server("closed_reason", "结束理由", Text).sealed(),
	at("terminated_at", "终止时间"), server("terminated_reason", "终止理由", Text).sealed(),
	at("withdrawn_at", "撤回时间"), server("withdrawn_reason", "撤回理由", Text).sealed(),
}}

var evidence = &Kind{Name: "evidence", Label: "佐证材料", Bucket: BucketCase, Device: true, Parent: "visit", Fields: []Field{
	id("visit", "走访"), id("household", "家庭"), once("purpose", "用途", Enum).of("purpose"), once("sha256", "内容指纹", Text).upTo(64),
	once("size", "字节数", Int), once("mime", "类型", Text).upTo(64), once("taken_at", "拍摄时间", Time), once("question", "问题", Text).upTo(64),
	latest("caption", "说明", Text).sealed().upTo(200), once("location", "位置", Object),
}}

var task = &Kind{Name: "task", Label: "任务", Bucket: BucketCase, Owner: "assignee", Due: "due_on", Parent: "lead", Fields: []Field{
	server("type", "类型", Enum).of("task_type"), ref("visit", "走访"), ref("lead", "线索"), ref("application", "救助申请"), ref("periodic_review", "定期复核"), ref("exit", "退出与渐退"), ref("household", "家庭"),
	ref("assignee", "承办人"), server("title", "标题", Text),
	server("questions", "问题", List).sealed(), server("due_on", "期限", Date), at("created_at", "创建时间"), server("state", "状态", Enum).of("state"),
}}

var periodicReview = &Kind{Name: "periodic_review", Label: "定期复核", Bucket: BucketCase, Owner: "worker", Due: "due_on", Parent: "household", Fields: []Field{
	ref("household", "家庭"), server("cause", "复核原因", Enum).of("review_cause"), server("since", "起算日期", Date), server("held", "现有类别", EnumList).of("category"),
	at("opened_at", "发起时间"), ref("opened_by", "发起人"), ref("worker", "网格员"), server("due_on", "期限", Date), server("due_rule", "期限依据", Text),
	ref("visit", "走访"), at("visited_at", "入户时间"), server("outcome", "复核意见", Enum).of("review_outcome"), server("categories", "拟定类别", EnumList).of("category"),
	server("suggested", "系统建议类别", EnumList).of("category"), server("suggested_rules", "建议规则版本", Text), server("suggested_basis", "建议依据", List).sealed(),
	server("months", "渐退月数", Int), server("reason", "理由", Text).sealed(), ref("proposed_by", "提出人"), at("proposed_at", "提出时间"),
	server("returned_reason", "退回理由", Text).sealed(), ref("confirmed_by", "核定人"), at("confirmed_at", "核定时间"), server("confirm_note", "核定意见", Text).sealed(),
	at("notified_at", "书面告知时间"), server("state", "状态", Enum).of("state"),
}}

var exit = &Kind{Name: "exit", Label: "退出与渐退", Bucket: BucketCase, Owner: "worker", Due: "due_on", Parent: "household", Fields: []Field{
	ref("household", "家庭"), ref("periodic_review", "定期复核"), server("cause", "退出原因", Enum).of("exit_cause"), server("held", "原有类别", EnumList).of("category"),
	ref("worker", "网格员"), ref("granted_by", "批准人"), at("granted_at", "批准时间"), server("from", "渐退起", Date), server("until", "渐退止", Date),
	at("ended_at", "退出时间"), server("watch_until", "监测至", Date), server("due_on", "下次回访", Date), at("asked_at", "回访任务时间"), server("visits", "回访次数", Int),
	at("resumed_at", "恢复时间"), server("resumed_reason", "恢复理由", Text).sealed(), at("closed_at", "监测结束时间"), server("state", "状态", Enum).of("state"),
}}

// A publication holds what everybody may read, and nothing else.
var publication = &Kind{Name: "publication", Label: "公示", Bucket: BucketCase, Due: "until", Parent: "application", Fields: []Field{
	ref("household", "家庭"), ref("application", "救助申请"), ref("aid", "救助记录"), server("measure", "救助措施", Enum).of("measure").public(), server("stage", "公示内容", Enum).of("publication_stage").public(), server("name", "姓名(隐去部分)", Text).public(),
	server("members", "人口数", Int).public(), server("categories", "救助类别", EnumList).of("category").public(), server("amount", "金额(每月;部门帮扶为总额)", Money).public(),
	at("posted_at", "公示时间").public(), server("until", "公示截止", Date).public(), at("ended_at", "撤下时间"), server("state", "状态", Enum).of("state"),
}}

// An objection is the root of a case of its own, which lies at the town's desk: who objects is nobody's business in the
// village, and no phone holds it.
var objection = &Kind{Name: "objection", Label: "公示异议", Bucket: BucketCase, Root: true, Parent: "application", Fields: []Field{
	ref("publication", "公示"), ref("application", "救助申请"), ref("aid", "救助记录"), server("receipt", "受理编号", Text), server("town", "镇(街道)", Text), server("village", "村(社区)", Text),
	server("name", "姓名", Text).sealed(), server("phone", "联系电话", Text).sealed(), server("text", "异议内容", Text).sealed(),
	at("received_at", "收到时间"), ref("decided_by", "处理人"), at("decided_at", "处理时间"), server("reason", "处理意见", Text).sealed(), server("state", "状态", Enum).of("state"),
}}

// Aid is help that somebody gave. A month's records are found by the month, a department's by the department.
var aid = &Kind{Name: "aid", Label: "救助记录", Bucket: BucketCase, Owner: "dept", Parent: "period", Fields: []Field{
	ref("household", "家庭"), ref("person", "人员"), ref("referral", "转办"), ref("monitoring", "防返贫监测"), ref("application", "救助申请"), server("programme", "项目", Text),
	server("measure", "救助措施", Enum).of("measure"), server("layer", "救助层次", Enum).of("aid_layer"), server("dept", "部门", Enum).of("department"),
	server("amount", "金额", Money), server("period", "期间", Text), server("note", "说明", Text).sealed(), ref("planned_by", "登记人"), at("planned_at", "登记时间"),
	ref("approved_by", "批准人"), at("approved_at", "批准时间"), at("disbursed_at", "发放时间"), at("confirmed_at", "到账时间"),
	at("failed_at", "发放失败时间"), at("recovered_at", "追回时间"), at("cancelled_at", "取消时间"), server("reason", "原因", Text).sealed(),
	at("objected_at", "公示异议时间"), server("objection", "公示异议", Text).sealed(), server("state", "状态", Enum).of("state"),
}}

// A meeting is the root of a case of its own at the county's desk; what it concluded on a household stands in that one's case.
var meeting = &Kind{Name: "meeting", Label: "会议", Bucket: BucketCase, Root: true, Due: "held_on", Fields: []Field{
	server("type", "会议类型", Enum).of("meeting_type"), server("held_on", "会议日期", Date), server("place", "地点", Text), server("agenda", "议题", Text).sealed(),
	server("departments", "参会部门", EnumList).of("department"), server("dispositions", "列入的处置", List), ref("called_by", "召集人"), at("called_at", "通知时间"),
	at("held_at", "记录时间"), server("present", "参会人员", List).sealed(), server("minutes", "会议纪要", Text).sealed(), at("cancelled_at", "取消时间"),
	server("reason", "理由", Text).sealed(), at("closed_at", "办结时间"), server("state", "状态", Enum).of("state"),
}}

var invitation = &Kind{Name: "invitation", Label: "会议通知", Bucket: BucketCase, Owner: "to_dept", Due: "due_on", Parent: "meeting", Fields: []Field{
	ref("meeting", "会议"), server("to_dept", "部门", Enum).of("department"), server("type", "会议类型", Enum).of("meeting_type"), server("due_on", "会议日期", Date), server("place", "地点", Text),
	server("agenda", "议题", Text).sealed(), at("sent_at", "通知时间"), server("answer", "回复(参会人员或不能参会的原因)", Text).sealed(), ref("answered_by", "回复人"), at("answered_at", "回复时间"),
	server("state", "状态", Enum).of("state"),
}}

var resolution = &Kind{Name: "resolution", Label: "会议事项", Bucket: BucketCase, Owner: "to_dept", Due: "due_on", Parent: "meeting", Fields: []Field{
	ref("meeting", "会议"), server("to_dept", "承办部门", Enum).of("department"), server("text", "事项", Text).sealed(), server("due_on", "期限", Date), at("made_at", "议定时间"),
	server("answer", "办理情况", Text).sealed(), at("answered_at", "答复时间"), server("returned_reason", "退回或取消理由", Text).sealed(), at("done_at", "办结时间"),
	server("state", "状态", Enum).of("state"),
}}

// An order lies in the case of what is late, so that it moves along with it.
var order = &Kind{Name: "order", Label: "督办单", Bucket: BucketCase, Owner: "to_dept", Due: "due_on", Parent: "about", Fields: []Field{
	server("about_kind", "事项类型", Text), ref("about", "事项"), server("level", "层级", Enum).of("order_level"), server("to_dept", "承办部门", Enum).of("department"),
	server("text", "要求", Text).sealed(), server("due_on", "答复期限", Date), server("due_rule", "期限依据", Text), ref("issued_by", "签发人"), at("issued_at", "签发时间"),
	at("escalated_at", "升级时间"), server("answer", "答复", Text).sealed(), ref("answered_by", "答复人"), at("answered_at", "答复时间"),
	server("returned_reason", "退回或撤销理由", Text).sealed(), at("closed_at", "办结时间"), server("state", "状态", Enum).of("state"),
}}

// A data need and a package are roots at the county's desk without a person's data: a package's rows are kept beside the
// datasets, and its record is its manifest.
var dataNeed = &Kind{Name: "data_need", Label: "数据需求", Bucket: BucketCase, Root: true, Owner: "dept", Parent: "from_dept", Fields: []Field{
	server("dept", "申请部门", Enum).of("department"), server("from_dept", "提供部门", Enum).of("department"), server("source", "数据", Text),
	server("columns", "数据项", List), server("purpose", "用途", Text).upTo(500), server("basis", "依据", Text).upTo(200), server("mode", "方式", Enum).of("data_mode"),
	server("first_month", "起始月份", Text), server("last_month", "截止月份", Text), ref("requested_by", "申请人"), at("requested_at", "申请时间"),
	ref("decided_by", "审批人"), at("decided_at", "审批时间"), server("reason", "理由", Text).upTo(500), at("closed_at", "停止时间"), server("state", "状态", Enum).of("state"),
}}

var dataPackage = &Kind{Name: "data_package", Label: "共享数据包", Bucket: BucketCase, Root: true, Owner: "dept", Parent: "month", Fields: []Field{
	ref("need", "数据需求"), server("month", "月份", Text), server("dept", "接收部门", Enum).of("department"), server("from_dept", "提供部门", Enum).of("department"),
	server("source", "数据", Text), server("columns", "数据项", List), server("rows", "行数", Int), server("unnamed", "无法识别人员的行数", Int), server("sha256", "校验值", Text), server("load", "批次", Int),
	at("made_at", "生成时间"), at("fetched_at", "领取时间"), ref("received_by", "签收人"), at("received_at", "签收时间"),
	server("reason", "退回理由", Text).upTo(500), server("state", "状态", Enum).of("state"),
}}

// An evaluation is a root at the county's desk; its sample lies beside the datasets, and its assessments lie under it.
var evaluation = &Kind{Name: "evaluation", Label: "第三方评估", Bucket: BucketCase, Root: true, Owner: "evaluator", Due: "due_on", Fields: []Field{
	server("title", "名称", Text).upTo(100), ref("evaluator", "评估人"), server("region", "区划", Text), server("size", "样本数", Int), server("population", "总体户数", Int),
	server("seed", "抽样种子", Text).upTo(64), server("due_on", "期限", Date), ref("drawn_by", "抽样人"), at("drawn_at", "抽样时间"), at("submitted_at", "提交时间"),
	server("summary", "评估结论", Text).sealed(), server("rating", "平均评分(百分之一)", Int), at("closed_at", "办结时间"), server("reason", "理由", Text).sealed(), server("state", "状态", Enum).of("state"),
}}

var assessment = &Kind{Name: "assessment", Label: "评估记录", Bucket: BucketCase, Parent: "evaluation", Fields: []Field{
	ref("evaluation", "评估"), server("number", "样本编号", Int), server("rating", "评分", Int), server("delivered", "帮扶已落实", Bool), server("text", "评估意见", Text).sealed(),
	ref("by", "评估人"), at("at", "评估时间"),
}}

// Monitoring is agriculture's decision on a household.
var monitoring = &Kind{Name: "monitoring", Label: "防返贫监测", Bucket: BucketCase, Owner: "dept", Parent: "household", Fields: []Field{
	ref("household", "家庭"), ref("referral", "转办"), server("dept", "认定部门", Enum).of("department"), server("category", "监测类别", Enum).of("category"),
	server("reason", "认定理由", Text).sealed(), ref("decided_by", "认定人"), at("decided_at", "认定时间"), at("reclassified_at", "调整时间"),
	at("removed_at", "风险消除时间"), server("removed_reason", "风险消除依据", Text).sealed(), server("state", "状态", Enum).of("state"),
}}

// A relocation is a root of its own at the desk of the town that takes over, or of the county; both towns see it.
var relocationKind = &Kind{Name: "relocation", Label: "迁移接续", Bucket: BucketCase, Root: true, Owner: "from_town", Parent: "household", Fields: []Field{
	ref("household", "家庭"), server("from_town", "迁出镇(街道)", Text), server("to_town", "迁入镇(街道)", Text), server("to_place", "迁入地(县外)", Text).upTo(100),
	server("grid", "迁入网格", Text), server("reason", "迁移原因", Text).sealed(), ref("proposed_by", "提出人"), at("proposed_at", "提出时间"),
	server("answer", "答复", Text).sealed(), ref("answered_by", "答复人"), at("answered_at", "答复时间"), server("last_paid", "本县发放至", Text), server("next_month", "迁入地起发月份", Text),
	ref("periodic_review", "迁入后复核"), at("closed_at", "办结时间"), server("state", "状态", Enum).of("state"),
}}
