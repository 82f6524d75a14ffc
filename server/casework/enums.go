package casework

import "slices"

// EnumVersion is the version of the code lists. Categories are renamed over the years; codes are added, never reused.
const EnumVersion = 1

// Term is one value of a code list with its Chinese label.
type Term struct{ Code, Label string }

// Enums are the code lists by name.
var Enums = map[string][]Term{
	"category": {{"DIBAO", "最低生活保障"}, {"TEKUN_CENTRAL", "特困集中供养"}, {"TEKUN_SCATTERED", "特困分散供养"}, {"MARGINAL", "低保边缘家庭"},
		{"RIGID", "刚性支出困难家庭"}, {"FPFP_UNSTABLE", "脱贫不稳定户"}, {"FPFP_MARGINAL", "边缘易致贫户"}, {"FPFP_SUDDEN", "突发严重困难户"}, {"OTHER", "其他困难人员"}},
	"difficulty": {{"illness", "因病"}, {"disability", "因残"}, {"education", "因学"}, {"unemployment", "失业"}, {"disaster", "因灾"}, {"accident", "意外事故"},
		{"housing", "住房困难"}, {"water", "饮水困难"}, {"elder_care", "养老照料"}, {"child", "儿童抚养"}, {"no_labor", "缺劳力"}, {"other", "其他"}},
	"lead_type": {{"suspected_missed", "疑似漏保"}, {"benefit_not_delivered", "待遇未落实"}, {"suspected_ineligible", "疑似不符合"}, {"duplicate", "重复享受"},
		{"deceased", "疑似死亡"}, {"risk_rising", "风险上升"}, {"info_mismatch", "信息不一致"}},
	"lead_source": {{"province", "省级下发"}, {"matching", "数据比对"}, {"self_report", "群众申报"}, {"department", "部门推送"}, {"patrol", "基层排查"}},
	"disposition": {{"included", "纳入救助"}, {"application_started", "已启动申请"}, {"already_covered", "已在保障"}, {"referred", "转介部门"}, {"temp_aid", "临时救助"},
		{"not_eligible", "不符合条件"}, {"refused", "本人拒绝"}, {"unreachable", "联系不上"}, {"moved_out", "已迁出"}, {"deceased", "已去世"}, {"duplicate", "重复线索"}, {"conference", "提请一事一议"}},
	"review": {{"pending", "待审核"}, {"approved", "通过"}, {"returned", "退回"}, {"rejected", "不予认可"}, {"escalated", "上报"}},
	"department": {{"MZJ", "民政局"}, {"NYJ", "农业农村局"}, {"YBJ", "医疗保障局"}, {"JTJ", "教体局"}, {"RSJ", "人力资源和社会保障局"}, {"ZJJ", "住房和城乡建设局"},
		{"WJW", "卫生健康局"}, {"YJJ", "应急管理局"}, {"CL", "残疾人联合会"}, {"SLJ", "水利局"}, {"CZJ", "财政局"}, {"FGJ", "发展和改革局"}, {"SJJ", "数据局"}, {"TOWN", "镇(街道)"}, {"OTHER", "其他单位"}},
	"evidence": {{"clock_jumped", "手机时间被改动"}, {"clock_set_back", "手机时间曾被调回"}, {"clock_ahead", "手机时间超前"}, {"clock_before_app", "手机时间明显过早"},
		{"late_entry", "事后补录"}},
	"visit_mode":        {{"on_site", "实地入户"}, {"phone", "电话"}, {"video", "视频"}},
	"met":               {{"seen", "见到"}, {"absent", "不在家"}, {"moved", "已搬走"}, {"dead", "已去世"}, {"refused", "拒绝走访"}},
	"purpose":           {{"photo", "现场照片"}, {"receipt", "票据"}, {"signature", "签名"}, {"mandate", "委托书"}, {"document", "材料"}},
	"level":             {{"county", "县(市)"}, {"town", "镇(街道)"}, {"village", "村(社区)"}, {"grid", "网格"}, {"group", "组"}},
	"sex":               {{"male", "男"}, {"female", "女"}},
	"task_type":         {{"visit", "入户核实"}, {"correction", "退回补正"}, {"return_visit", "回访"}, {"check", "核查"}, {"supplement", "申请补正"}, {"periodic_review", "定期复核"}},
	"review_cause":      {{"yearly", "年度复核"}, {"half_yearly", "半年复核"}, {"term", "期满复核"}, {"death", "成员死亡"}, {"change", "情况变化"}},
	"review_outcome":    {{"maintain", "保持不变"}, {"adjust", "调整类别"}, {"grace", "渐退"}, {"exit", "退出"}},
	"publication_stage": {{"opinion", "初审意见公示"}, {"decision", "享受救助公布"}, {"aid", "部门帮扶公示"}},
	"measure":           measureTerms(),
	"meeting_type":      {{"conference", "一事一议"}, {"joint", "联席会议"}},
	"data_mode":         {{"monthly", "按月推送"}, {"lookup", "按需查询"}},
	"order_level":       {{"urge", "催办"}, {"supervise", "督办"}},
	"aid_layer":         {{"basic", "基本生活救助"}, {"special", "专项救助"}, {"social", "社会力量帮扶"}},
	"exit_cause":        {{"grace", "就业渐退"}, {"review", "复核退出"}, {"application", "申请结束"}, {"moved_out", "迁出本县"}},
	"state": {{"new", "新线索"}, {"dispatched", "已派发"}, {"assigned", "已分派"}, {"visiting", "入户中"}, {"visited", "已入户"}, {"town_review", "镇级审核"},
		{"returned", "已退回"}, {"proposed", "已提出处置"}, {"county_review", "县级核定"}, {"county_returned", "县级退回"}, {"conference", "一事一议"},
		{"verified", "已核定"}, {"feedback_sent", "已反馈"}, {"closed", "已办结"}, {"transferred", "已转交"}, {"duplicate", "重复"},
		{"draft", "草稿"}, {"submitted", "已提交"}, {"approved", "已通过"}, {"void", "已作废"}, {"sent", "已转办"}, {"accepted", "已受理"},
		{"declined", "不予受理"}, {"in_progress", "办理中"}, {"delivered", "已落实"}, {"result_fed_back", "已反馈结果"}, {"open", "待办"}, {"done", "已完成"}, {"cancelled", "已取消"}, {"settled", "已处理"},
		{"supplement", "待补正"}, {"investigating", "调查中"}, {"preliminary", "已初审"}, {"publicizing", "公示中"}, {"objected", "公示有异议"},
		{"reinvestigating", "重新调查"}, {"confirmed", "已确认"}, {"denied", "不予确认"}, {"terminated", "已终止"}, {"withdrawn", "已撤回申请"}, {"with_dept", "部门办理中"},
		{"due", "待复核"}, {"maintain", "拟保持不变"}, {"adjust", "拟调整"}, {"grace", "拟渐退"}, {"exit_proposed", "拟退出"}, {"notified", "已告知"},
		{"requested", "待审批"}, {"refused", "不予提供"}, {"ready", "待领取"}, {"fetched", "已领取"}, {"taken", "已签收"}, {"moved", "已迁入"}, {"handed_over", "待迁入地接续"}, {"issued", "待答复"}, {"called", "已通知"}, {"held", "已召开"}, {"answered", "已答复"}, {"planned", "已登记"}, {"disbursed", "已发放"}, {"failed", "发放失败"}, {"recovered", "已追回"}, {"granted", "渐退待起"}, {"ended", "已退出"}, {"monitored", "退出后监测"},
		{"posted", "公示中"}, {"expired", "公示期满"}, {"archived", "已撤下"}, {"received", "待处理"}, {"registered", "已登记"}, {"dismissed", "不予采纳"},
		{"active", "有效"}, {"lost", "已报失"}, {"stolen", "已报被盗"}, {"retiring", "待停用"}, {"retired", "已停用"}, {"frozen", "已冻结"}, {"revoked", "已禁用"}},
}

// ValidEnum reports whether a code stands in a list.
func ValidEnum(enum, code string) bool {
	return slices.ContainsFunc(Enums[enum], func(t Term) bool { return t.Code == code })
}

// Label is the Chinese label of a code, or the code itself where it has none.
func Label(enum, code string) string {
	for _, t := range Enums[enum] {
		if t.Code == code {
			return t.Label
		}
	}
	return code
}
