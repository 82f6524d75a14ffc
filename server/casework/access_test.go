package casework_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func ExamplePermissionTable() {
	fmt.Print(casework.PermissionTable())
	// Output:
	// grid_worker           (nothing at the desk)
	// village_clerk  region list, read_case, read_history, apply, register_objection
	// town_clerk     region list, read_case, read_history, read_sealed, apply, accept_application, register_objection, review_help
	// town_reviewer  region list, read_case, read_history, read_sealed, assign, review_visit, propose, refer, close_referral, list_users, decide_held, transfer, mark_duplicate, settle_conflict, amend, merge_households, move_household, read_lost, read_backlog, accept_application, review_application, register_objection, review_help, answer_order
	// town_leader    region list, read_case, read_history, assign, list_users, grant, transfer, mark_duplicate, move_household, read_lost, read_backlog, manage_devices, see_figures, review_help, urge, answer_order
	// bureau_officer region list, read_case, read_history, read_sealed, dispatch, assign, verify, refer, close_referral, feed_back, import_leads, register, list_users, grant, mark_duplicate, settle_conflict, merge_households, move_household, read_lost, read_incidents, read_backlog, simulate, load_dataset, match, decide_application, decide_help, give_aid, pay, see_funds, see_figures, meet, publicise, answer_resolution, urge, answer_order, share_data, evaluate
	// dept_officer   dept   list, read_case, read_sealed, answer_referral, give_aid, see_funds, answer_resolution, answer_order, load_dataset, share_data, monitor, push_leads
	// evaluator      own    list, assess
	// auditor        region read_audit
	// admin          region manage_users, list_users, grant, read_audit, read_incidents, read_backlog, reference, manage_devices, rotate_keys
	// system         all    register, reference, manage_users, grant, import_leads, dispatch, manage_devices, rotate_keys
}

var regions = []string{"430681000000", "430681101000", "430681102000", "430681101200", "430681101200-001", "430681101201-001", "430682000000", ""}

var verbs = []casework.Verb{casework.VerbList, casework.VerbReadCase, casework.VerbReadSealed, casework.VerbDispatch, casework.VerbAssign, casework.VerbReviewVisit,
	casework.VerbPropose, casework.VerbVerify, casework.VerbRefer, casework.VerbAnswerReferral, casework.VerbCloseReferral, casework.VerbFeedBack,
	casework.VerbImportLeads, casework.VerbRegister, casework.VerbReference, casework.VerbManageUsers, casework.VerbListUsers, casework.VerbGrant,
	casework.VerbReadAudit, casework.VerbDecideHeld, casework.VerbTransfer, casework.VerbMarkDuplicate, casework.VerbReadIncidents, casework.VerbSeeFigures}

// Nobody but the server itself may anything outside his region, and nobody learns there whether something exists.
func TestNothingOutsideTheRegion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(casework.Roles).Draw(t, "role")
		a := casework.Actor{UserID: "u", Role: casework.Role(role.Code), Region: rapid.SampledFrom(regions).Draw(t, "region")}
		on := casework.Subject{Kind: "lead", Region: rapid.SampledFrom(regions).Draw(t, "subject")}
		err := a.May(rapid.SampledFrom(verbs).Draw(t, "verb"), on)
		if casework.Covers(a.Region, on.Region) {
			return
		}
		if code := casework.CodeOf(err); code != casework.CodeNotFound && !(on.Region == "" && code == casework.CodeForbidden) {
			t.Fatalf("%+v on %+v: %v", a, on, err)
		}
	})
}

func TestDepartmentsSeeTheirReferralsOnly(t *testing.T) {
	a := casework.Actor{UserID: "u", Role: casework.RoleDeptOfficer, Region: "430681000000", Dept: "YBJ"}
	for _, c := range []struct {
		on casework.Subject
		ok bool
	}{
		{casework.Subject{Kind: "referral", Region: "430681101200-001", Dept: "YBJ"}, true},
		{casework.Subject{Kind: "referral", Region: "430681101200-001", Dept: "NYJ"}, false},
		{casework.Subject{Kind: "visit", Region: "430681101200-001"}, false},
		{casework.Subject{Kind: "visit", Region: "430681101200-001", Dept: "YBJ"}, false},
	} {
		if err := a.May(casework.VerbReadCase, c.on); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.on, err)
		}
	}
}

func TestLeadersAndAdministratorsOpenNothing(t *testing.T) {
	for _, r := range []casework.Role{casework.RoleTownLeader, casework.RoleAdmin, casework.RoleAuditor, casework.RoleEvaluator, casework.RoleVillageClerk} {
		a := casework.Actor{Role: r, Region: "430681000000"}
		if a.May(casework.VerbReadSealed, casework.Subject{Kind: "visit", Region: "430681101200-001"}) == nil {
			t.Errorf("%s opens sealed fields", r)
		}
	}
}
