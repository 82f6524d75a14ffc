package casework

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Actor is who asks: a user with one role, bound to a region or a department.
type Actor struct {
	UserID string
	Role   Role
	Region string // a 12-digit code, or a grid's id
	Dept   string
	Until  time.Time // zero: no end; checked where somebody is let in
}

// System is the actor of what the server does by itself, such as setting up a demonstration.
var System = Actor{UserID: "system", Role: RoleSystem, Region: "000000000000"}

// Subject is what is asked about. Region is the region, grid or department code that it lies in.
type Subject struct {
	Kind      string
	Region    string
	Dept      string
	State     string
	Surveyors []string
	Owner     string // the evaluator of an evaluation
	Also      string // another region that it concerns: the town that a household moves from
}

// Verb is something that can be done.
type Verb string

// The verbs of the desk.
const (
	VerbList            Verb = "list"
	VerbReadCase        Verb = "read_case"
	VerbReadHistory     Verb = "read_history"
	VerbReadSealed      Verb = "read_sealed"
	VerbDispatch        Verb = "dispatch"
	VerbAssign          Verb = "assign"
	VerbReviewVisit     Verb = "review_visit"
	VerbPropose         Verb = "propose"
	VerbVerify          Verb = "verify"
	VerbRefer           Verb = "refer"
	VerbAnswerReferral  Verb = "answer_referral"
	VerbCloseReferral   Verb = "close_referral"
	VerbFeedBack        Verb = "feed_back"
	VerbImportLeads     Verb = "import_leads"
	VerbRegister        Verb = "register"
	VerbReference       Verb = "reference"
	VerbManageUsers     Verb = "manage_users"
	VerbListUsers       Verb = "list_users"
	VerbGrant           Verb = "grant"
	VerbReadAudit       Verb = "read_audit"
	VerbDecideHeld      Verb = "decide_held"
	VerbTransfer        Verb = "transfer"
	VerbMarkDuplicate   Verb = "mark_duplicate"
	VerbSettleConflict  Verb = "settle_conflict"
	VerbAmend           Verb = "amend"
	VerbMergeHouseholds Verb = "merge_households"
	VerbReadLost        Verb = "read_lost"
	VerbReadIncidents   Verb = "read_incidents"
	VerbMoveHousehold   Verb = "move_household"
	VerbSimulate        Verb = "simulate"
	VerbLoadDataset     Verb = "load_dataset"
	VerbMatch           Verb = "match"
	VerbReadBacklog     Verb = "read_backlog"
	VerbManageDevices   Verb = "manage_devices"
	VerbRotateKeys      Verb = "rotate_keys"
	VerbSeeFigures      Verb = "see_figures"

	VerbApply             Verb = "apply"
	VerbAcceptApplication Verb = "accept_application"
	VerbReviewApplication Verb = "review_application"
	VerbRegisterObjection Verb = "register_objection"
	VerbDecideApplication Verb = "decide_application"
	VerbReviewHelp        Verb = "review_help"
	VerbDecideHelp        Verb = "decide_help"
	VerbGiveAid           Verb = "give_aid"
	VerbPay               Verb = "pay"
	VerbSeeFunds          Verb = "see_funds"
	VerbMeet              Verb = "meet"
	VerbPublicise         Verb = "publicise"
	VerbAnswerResolution  Verb = "answer_resolution"
	VerbUrge              Verb = "urge"
	VerbAnswerOrder       Verb = "answer_order"
	VerbShareData         Verb = "share_data"
	VerbEvaluate          Verb = "evaluate"
	VerbAssess            Verb = "assess"
	VerbMonitor           Verb = "monitor"
	VerbPushLeads         Verb = "push_leads"
)

// Scope says how far a permission reaches.
type Scope string

// The scopes. Region: what the actor's region contains. Dept: what was sent to the actor's department, the help
// that it gave, what meetings and orders ask of it, the datasets that it shares, and the register of what all departments share. Own:
// the evaluations that the actor makes.
const (
	ScopeRegion Scope = "region"
	ScopeDept   Scope = "dept"
	ScopeOwn    Scope = "own"
	ScopeAll    Scope = "all"
)

// Permission lets a role use a verb within a scope.
type Permission struct {
	Role  Role
	Verb  Verb
	Scope Scope
}

// Permissions is the one table of who may do what. What it does not name is forbidden. A town's leader sees figures and
// assigns, but opens no sealed field; an administrator keeps users and devices and sees no case at all.
var Permissions = permissions()

func permissions() (list []Permission) {
	allow := func(role Role, scope Scope, verbs ...Verb) {
		for _, v := range verbs {
			list = append(list, Permission{role, v, scope})
		}
	}
	allow(RoleVillageClerk, ScopeRegion, VerbList, VerbReadCase, VerbReadHistory, VerbApply, VerbRegisterObjection)
	allow(RoleTownClerk, ScopeRegion, VerbList, VerbReadCase, VerbReadHistory, VerbReadSealed, VerbApply, VerbAcceptApplication, VerbRegisterObjection, VerbReviewHelp)
	allow(RoleTownReviewer, ScopeRegion, VerbList, VerbReadCase, VerbReadHistory, VerbReadSealed, VerbAssign, VerbReviewVisit, VerbPropose, VerbRefer,
		VerbCloseReferral, VerbListUsers, VerbDecideHeld, VerbTransfer, VerbMarkDuplicate,
		VerbSettleConflict, VerbAmend, VerbMergeHouseholds, VerbMoveHousehold, VerbReadLost, VerbReadBacklog,
		VerbAcceptApplication, VerbReviewApplication, VerbRegisterObjection, VerbReviewHelp, VerbAnswerOrder)
	allow(RoleTownLeader, ScopeRegion, VerbList, VerbReadCase, VerbReadHistory, VerbAssign, VerbListUsers, VerbGrant, VerbTransfer, VerbMarkDuplicate, VerbMoveHousehold, VerbReadLost,
		VerbReadBacklog, VerbManageDevices, VerbSeeFigures, VerbReviewHelp, VerbUrge, VerbAnswerOrder)
	allow(RoleBureauOfficer, ScopeRegion, VerbList, VerbReadCase, VerbReadHistory, VerbReadSealed, VerbDispatch, VerbAssign, VerbVerify, VerbRefer,
		VerbCloseReferral, VerbFeedBack, VerbImportLeads, VerbRegister, VerbListUsers, VerbGrant, VerbMarkDuplicate,
		VerbSettleConflict, VerbMergeHouseholds, VerbMoveHousehold, VerbReadLost, VerbReadIncidents, VerbReadBacklog, VerbSimulate, VerbLoadDataset, VerbMatch,
		VerbDecideApplication, VerbDecideHelp, VerbGiveAid, VerbPay, VerbSeeFunds, VerbSeeFigures,
		VerbMeet, VerbPublicise, VerbAnswerResolution, VerbUrge, VerbAnswerOrder, VerbShareData, VerbEvaluate)
	allow(RoleDeptOfficer, ScopeDept, VerbList, VerbReadCase, VerbReadSealed, VerbAnswerReferral, VerbGiveAid, VerbSeeFunds, VerbAnswerResolution, VerbAnswerOrder, VerbLoadDataset, VerbShareData, VerbMonitor, VerbPushLeads)
	allow(RoleEvaluator, ScopeOwn, VerbList, VerbAssess)
	allow(RoleAuditor, ScopeRegion, VerbReadAudit)
	allow(RoleAdmin, ScopeRegion, VerbManageUsers, VerbListUsers, VerbGrant, VerbReadAudit, VerbReadIncidents, VerbReadBacklog, VerbReference,
		VerbManageDevices, VerbRotateKeys)
	allow(RoleSystem, ScopeAll, VerbRegister, VerbReference, VerbManageUsers, VerbGrant, VerbImportLeads, VerbDispatch, VerbManageDevices,
		VerbRotateKeys)
	return list
}

// May says whether the actor may do it. Outside the actor's region or department the answer is CodeNotFound, the same
// as for what does not exist; inside, a role that may not gets CodeForbidden.
func (a Actor) May(verb Verb, on Subject) error {
	for _, p := range Permissions {
		if p.Role == a.Role && p.Verb == verb {
			if a.reaches(p.Scope, on) {
				return nil
			}
			return NewError(CodeNotFound, "没有找到这条记录。")
		}
	}
	if on.Region != "" && !Covers(a.Region, on.Region) {
		return NewError(CodeNotFound, "没有找到这条记录。")
	}
	return NewError(CodeForbidden, "您的岗位没有这项权限,如有需要请联系管理员。")
}

func (a Actor) reaches(s Scope, on Subject) bool {
	switch s {
	case ScopeAll:
		return true
	case ScopeRegion:
		return Covers(a.Region, on.Region) || on.Also != "" && Covers(a.Region, on.Also)
	case ScopeDept:
		return a.Dept != "" && (OfDepartment(on.Kind) && on.Dept == a.Dept || OfAllDepartments(on.Kind) && Covers(a.Region, on.Region))
	case ScopeOwn:
		return on.Kind == "evaluation" && on.Owner == a.UserID
	}
	return false
}

// OfDepartment reports whether a department sees its own of a kind.
func OfDepartment(kind string) bool {
	return slices.Contains([]string{"referral", "dataset", "aid", "resolution", "invitation", "order", "monitoring"}, kind)
}

// OfAllDepartments reports whether every department of a region sees all of a kind: what data is asked for and handed on, and
// no data itself.
func OfAllDepartments(kind string) bool { return kind == "data_need" || kind == "data_package" }

// RegionPrefix is the part of a region's code that the codes of everything in it begin with: 6 digits of a county, 9
// of a town, 12 of a village, all of a grid's id. It is "" for what is no region.
func RegionPrefix(code string) string {
	switch {
	case IsGrid(code):
		return code
	case !isDigits(code) || len(code) != 12:
		return ""
	case strings.HasSuffix(code, "000000"):
		return code[:6]
	case strings.HasSuffix(code, "000"):
		return code[:9]
	}
	return code
}

// Covers reports whether a region contains another one, or is it.
func Covers(region, code string) bool {
	p := RegionPrefix(region)
	return p != "" && RegionPrefix(code) != "" && strings.HasPrefix(code, p)
}

// CountyOf is the code of the county that a region lies in, or "".
func CountyOf(region string) string {
	if RegionPrefix(region) == "" {
		return ""
	}
	return region[:6] + "000000"
}

// TownOf is the code of the town that a village or a grid lies in, or "".
func TownOf(region string) string {
	if len(RegionPrefix(region)) < 9 {
		return ""
	}
	return region[:9] + "000"
}

// IsGrid reports whether s is a grid's id: a village's 12-digit code, '-', and three digits.
func IsGrid(s string) bool {
	return len(s) == 16 && s[12] == '-' && isDigits(s[:12]) && isDigits(s[13:])
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// PermissionTable prints who may do what.
func PermissionTable() string {
	var b strings.Builder
	for _, r := range append(slices.Clone(Roles), Term{string(RoleSystem), "系统"}) {
		var verbs []string
		scope := Scope("")
		for _, p := range Permissions {
			if p.Role == Role(r.Code) {
				verbs, scope = append(verbs, string(p.Verb)), p.Scope
			}
		}
		if len(verbs) == 0 {
			verbs = []string{"(nothing at the desk)"}
		}
		fmt.Fprintf(&b, "%-14s %-6s %s\n", r.Code, scope, strings.Join(verbs, ", "))
	}
	return b.String()
}
