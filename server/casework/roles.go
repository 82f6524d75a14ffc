package casework

// Role is what somebody is employed to do. Each is bound to a region or a department.
type Role string

// The roles. RoleSystem is nobody's: it marks steps that the server takes by itself.
const (
	RoleGridWorker    Role = "grid_worker"
	RoleVillageClerk  Role = "village_clerk"
	RoleTownClerk     Role = "town_clerk"
	RoleTownReviewer  Role = "town_reviewer"
	RoleTownLeader    Role = "town_leader"
	RoleBureauOfficer Role = "bureau_officer"
	RoleDeptOfficer   Role = "dept_officer"
	RoleEvaluator     Role = "evaluator"
	RoleAuditor       Role = "auditor"
	RoleAdmin         Role = "admin"
	RoleSystem        Role = "system"
)

// Roles lists the roles that an account can have, with their Chinese labels.
var Roles = []Term{
	{string(RoleGridWorker), "网格员"}, {string(RoleVillageClerk), "村(社区)经办"}, {string(RoleTownClerk), "镇街窗口"},
	{string(RoleTownReviewer), "镇街审核员"}, {string(RoleTownLeader), "镇街分管领导"}, {string(RoleBureauOfficer), "民政局经办"},
	{string(RoleDeptOfficer), "部门经办"}, {string(RoleEvaluator), "第三方评估"}, {string(RoleAuditor), "审计"}, {string(RoleAdmin), "系统管理员"},
}

// ValidRole reports whether an account can have the role.
func ValidRole(r Role) bool {
	for _, t := range Roles {
		if t.Code == string(r) {
			return true
		}
	}
	return false
}
