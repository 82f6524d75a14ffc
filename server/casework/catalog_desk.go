package casework

// Catalog declares every kind and field once. Validation, merging, sealing, lists and the protocol's schema document
// follow it; adding a field is one line.
var Catalog = []*Kind{
	household, person, lead, visit, application, evidence, task, periodicReview, exit, publication, objection, aid, meeting, invitation, resolution, order, dataNeed, dataPackage, evaluation, assessment, monitoring, relocationKind,
	{Name: "review", Label: "审核", Bucket: BucketCase, Owner: "reviewer", Parent: "visit", Fields: []Field{
		ref("visit", "走访"), ref("reviewer", "审核员"), server("decision", "决定", Enum).of("review"), server("comments", "逐题意见", List).sealed(),
		server("text", "意见", Text).sealed(), at("at", "时间"), server("state", "状态", Enum).of("state"),
	}},
	{Name: "disposition", Label: "处置", Bucket: BucketCase, Parent: "lead", Fields: []Field{
		ref("lead", "线索"), ref("household", "家庭"), ref("visit", "走访"), server("result", "处置结果", Enum).of("disposition"),
		server("categories", "救助类别", EnumList).of("category"), server("reason", "理由", Text).sealed(), ref("proposed_by", "提出人"), at("proposed_at", "提出时间"),
		ref("verified_by", "核定人"), at("verified_at", "核定时间"), server("verify_note", "核定意见", Text).sealed(), server("returned_reason", "退回理由", Text).sealed(),
		server("conference_reason", "提请一事一议理由", Text).sealed(), ref("meeting", "会议"), server("conference_conclusion", "会议结论", Text).sealed(),
		at("fed_back_at", "反馈时间"), server("state", "状态", Enum).of("state"),
	}},
	{Name: "referral", Label: "转办", Bucket: BucketCase, Owner: "to_dept", Due: "due_on", Parent: "disposition", Fields: []Field{
		ref("lead", "线索"), ref("household", "家庭"), ref("disposition", "处置"), server("to_dept", "承办部门", Enum).of("department"),
		server("need", "困难类型", Enum).of("difficulty"), server("text", "转办事由", Text).sealed(), ref("sent_by", "转办人"), at("sent_at", "转办时间"),
		server("due_on", "期限", Date), at("accepted_at", "受理时间"), at("delivered_at", "落实时间"), at("fed_back_at", "反馈时间"), at("closed_at", "办结时间"),
		server("result", "办理结果", Text).sealed(), server("result_code", "结果代码", Text), server("amount", "金额", Money), server("state", "状态", Enum).of("state"),
	}},
	{Name: "key", Label: "密钥", Bucket: BucketCase, Device: true, Fields: []Field{
		once("root", "所属", Text).upTo(128), latest("current", "当前密钥", Text).upTo(64), latest("keys", "密钥", Object),
	}},
	{Name: "conflict", Label: "冲突", Bucket: BucketCase, Fields: []Field{
		server("rec", "记录", Text), server("field", "项目", Text), server("loser", "未采用的值", Object), server("winner", "采用的值", Object),
		server("base", "依据", Text), server("state", "状态", Text), server("choice", "处理", Text), ref("settled_by", "处理人"), at("settled_at", "处理时间"),
	}},
	{Name: "amendment", Label: "更正申请", Bucket: BucketCase, Owner: "proposed_by", Fields: []Field{
		server("rec", "记录", Text), server("op", "操作", Text), server("fields", "内容", Object), server("clear", "清除", List), server("base", "依据", Object),
		server("stamp", "修改编号", Text), server("time", "修改时间", Int), ref("proposed_by", "提出人"), server("state", "状态", Text),
		ref("decided_by", "审核人"), at("decided_at", "审核时间"), server("reason", "原因", Text).sealed(),
	}},
	{Name: "region", Label: "区划", Bucket: BucketRef, Fields: []Field{
		server("code", "代码", Text).public(), server("name", "名称", Text).public(), server("level", "级别", Enum).of("level").public(),
		server("parent", "上级", Text).public(), server("urban", "城镇", Bool).public(),
	}},
	{Name: "form", Label: "表单", Bucket: BucketRef, Fields: []Field{
		server("form_id", "编号", Text).public(), server("version", "版本", Text).public(), server("title", "名称", Text).public(), server("questions", "问题", List).public(),
	}},
	{Name: "standard", Label: "标准", Bucket: BucketRef, Fields: []Field{
		server("code", "代码", Text).public(), server("name", "名称", Text).public(), server("region", "区划", Text).public(), server("area", "城乡", Text).public(),
		server("value", "数值", Int).public(), server("unit", "单位", Text).public(), server("from", "起", Date).public(), server("until", "止", Date).public(), server("source", "来源", Text).public(),
	}},
	{Name: "calendar", Label: "工作日历", Bucket: BucketRef, Fields: []Field{
		server("year", "年", Int).public(), server("version", "版本", Text).public(), server("holidays", "放假", List).public(),
		server("workdays", "调休上班", List).public(), server("source", "来源", Text).public(),
	}},
	{Name: "contact", Label: "通讯录", Bucket: BucketRef, Fields: []Field{
		server("unit", "单位", Text), server("name", "负责人", Text), server("post", "职务", Text), server("phone", "办公电话", Text), server("retired", "停用", Bool),
	}},
	{Name: "policy", Label: "政策", Bucket: BucketRef, Fields: []Field{
		server("title", "标题", Text).public(), server("text", "内容", Text).public().upTo(2 * MaxText), server("source", "文号", Text).public(), server("issued_on", "发布日期", Date).public(),
		server("retired", "停用", Bool).public(),
	}},
	{Name: "grant", Label: "授权", Bucket: BucketUser, Parent: "bucket", Fields: []Field{
		ref("user", "用户"), server("bucket", "范围", Text), server("role", "岗位", Text), at("from", "起"), at("until", "止"), at("ended_at", "收回时间"),
		server("keys", "密钥", Object), server("current", "当前密钥", Text), server("state", "状态", Text),
	}},
	{Name: "outcome", Label: "处理结果", Bucket: BucketUser, Fields: []Field{
		server("device", "设备", Text), server("dseq", "编号", Int), server("status", "状态", Text), server("code", "代码", Text), server("reason", "原因", Text),
		server("changes", "逐项结果", List), server("expiry", "最迟处理", Int), server("bucket", "范围", Text), server("seq", "序号", Int), at("at", "时间"),
	}},
	{Name: "notice", Label: "通知", Bucket: BucketUser, Fields: []Field{
		server("kind", "类型", Text), server("title", "标题", Text), server("text", "内容", Text).sealed(), server("ref_kind", "关联类型", Text), server("ref_id", "关联", Text),
		at("created_at", "时间"), latest("read_at", "已读时间", Time),
	}},
}
