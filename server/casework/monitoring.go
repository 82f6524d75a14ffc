package casework

// MonitoringMachine follows a household that agriculture has under its eye, so that it does not fall back into poverty
// (防止返贫监测): agriculture decides on it alone (notice, 三·一·1), and ends it once the risk is gone.
var MonitoringMachine = &Machine{"monitoring", "防返贫监测", []Transition{
	{"", "include", farm, "reasoned", "active"},
	{"active", "reclassify", farm, "reasoned", "active"},
	{"active", "remove", farm, "reasoned", "ended"},
}}

// farm is the role of agriculture's officers; CheckMonitoring says that they are agriculture's.
var farm = []Role{RoleDeptOfficer}

// CheckMonitoring says whether somebody may put a household under a category of monitoring; category is "" where one is
// ended.
func CheckMonitoring(by Actor, category string) error {
	switch {
	case by.Dept != "NYJ":
		return NewError(CodeForbidden, "防止返贫监测对象由农业农村局认定。")
	case category != "" && (!ValidEnum("category", category) || DecidedBy(category) != "NYJ"):
		return NewError(CodeInvalidValue, "请选择脱贫不稳定户、边缘易致贫户或突发严重困难户。")
	}
	return nil
}
