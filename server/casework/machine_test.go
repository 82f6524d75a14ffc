package casework_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func ExampleMachine_String() {
	for _, m := range casework.Machines {
		fmt.Println(m)
	}
	// Output:
	// lead (线索)
	// new              dispatch       -> dispatched       bureau_officer
	// new              find           -> visited          system
	// new              send_dept      -> with_dept        bureau_officer
	// with_dept        dept_done      -> closed           system
	// with_dept        dept_declined  -> new              system
	// dispatched       assign         -> assigned         town_reviewer, town_leader
	// assigned         assign         -> assigned         town_reviewer, town_leader
	// assigned         start          -> visiting         grid_worker
	// assigned         submit_visit   -> visited          system
	// visiting         submit_visit   -> visited          system
	// visited          take_review    -> town_review      system
	// town_review      return         -> returned         town_reviewer
	// returned         revisit        -> visiting         grid_worker, system
	// town_review      propose        -> proposed         town_reviewer [approved_visit]
	// proposed         submit_county  -> county_review    system
	// county_review    county_return  -> county_returned  bureau_officer
	// county_returned  reopen         -> town_review      town_reviewer, town_leader
	// county_review    conference     -> conference       bureau_officer
	// county_review    verify         -> verified         bureau_officer
	// conference       verify         -> verified         bureau_officer [conference_minuted]
	// verified         feed_back      -> feedback_sent    bureau_officer
	// feedback_sent    close          -> closed           system [fed_back]
	// dispatched       transfer       -> dispatched       town_reviewer, town_leader
	// assigned         transfer       -> dispatched       town_reviewer, town_leader
	// dispatched       propose        -> proposed         town_reviewer [duplicate_result]
	// assigned         propose        -> proposed         town_reviewer [duplicate_result]
	// new              mark_duplicate -> duplicate        bureau_officer
	// dispatched       mark_duplicate -> duplicate        town_reviewer, town_leader, bureau_officer
	//
	// visit (走访)
	// (none)           submit         -> submitted        grid_worker [visit_complete]
	// draft            submit         -> submitted        grid_worker [visit_complete]
	// returned         submit         -> submitted        grid_worker [visit_complete]
	// submitted        return         -> returned         town_reviewer [not_own_visit]
	// submitted        approve        -> approved         town_reviewer [visit_reviewable]
	// submitted        void           -> void             town_reviewer, town_leader
	// returned         void           -> void             town_reviewer, town_leader
	//
	// disposition (处置)
	// (none)           propose        -> proposed         town_reviewer
	// proposed         verify         -> verified         bureau_officer
	// proposed         return         -> returned         bureau_officer
	// returned         repropose      -> proposed         town_reviewer
	//
	// referral (转办)
	// (none)           send           -> sent             town_reviewer, town_leader, bureau_officer
	// sent             accept         -> accepted         dept_officer
	// sent             decline        -> declined         dept_officer
	// accepted         decline        -> declined         dept_officer
	// accepted         start          -> in_progress      dept_officer
	// accepted         deliver        -> delivered        dept_officer
	// in_progress      deliver        -> delivered        dept_officer
	// delivered        feed_back      -> result_fed_back  dept_officer
	// result_fed_back  close          -> closed           bureau_officer, town_reviewer
	// declined         close          -> closed           bureau_officer, town_reviewer
	//
	// task (任务)
	// (none)           open           -> open             system
	// open             finish         -> done             system, grid_worker
	// open             cancel         -> cancelled        town_reviewer, town_leader
	//
	// review (审核)
	// pending          approve        -> approved         town_reviewer [not_own_visit]
	// pending          return         -> returned         town_reviewer [not_own_visit]
	// pending          reject         -> rejected         town_reviewer [not_own_visit]
	// pending          escalate       -> escalated        town_reviewer
	// escalated        approve        -> approved         bureau_officer
	// escalated        return         -> returned         bureau_officer
	//
	// conflict (冲突)
	// (none)           open           -> open             system
	// open             settle         -> settled          grid_worker, town_reviewer, bureau_officer
	//
	// amendment (更正申请)
	// (none)           open           -> open             system
	// open             accept         -> accepted         town_reviewer
	// open             reject         -> rejected         town_reviewer
	//
	// device (设备)
	// (none)           enrol          -> active           system
	// active           freeze         -> frozen           system
	// retiring         freeze         -> frozen           system
	// active           lose           -> lost             town_leader, admin, system
	// retiring         lose           -> lost             town_leader, admin, system
	// lost             find           -> active           town_leader, admin, system
	// active           steal          -> stolen           town_leader, admin, system
	// retiring         steal          -> stolen           town_leader, admin, system
	// lost             steal          -> stolen           town_leader, admin, system
	// frozen           steal          -> stolen           town_leader, admin, system
	// revoked          steal          -> stolen           town_leader, admin, system
	// retired          steal          -> stolen           town_leader, admin, system
	// active           retire         -> retiring         town_leader, admin, system
	// retiring         keep           -> active           town_leader, admin, system
	// retiring         retire         -> retired          town_leader, admin, system
	// retiring         hand_over      -> retired          system
	// lost             retire         -> retired          town_leader, admin, system
	// frozen           retire         -> retired          town_leader, admin, system
	// active           revoke         -> revoked          town_leader, admin, system
	// retiring         revoke         -> revoked          town_leader, admin, system
	// lost             revoke         -> revoked          town_leader, admin, system
	// frozen           revoke         -> revoked          town_leader, admin, system
	//
	// application (救助申请)
	// (none)           start          -> draft            village_clerk, town_clerk
	// (none)           submit         -> submitted        grid_worker, village_clerk, town_clerk [application_complete]
	// draft            submit         -> submitted        grid_worker, village_clerk, town_clerk [application_complete]
	// submitted        supplement     -> supplement       town_clerk, town_reviewer [asked_once]
	// supplement       submit         -> submitted        grid_worker, village_clerk, town_clerk [application_complete]
	// submitted        accept         -> accepted         town_clerk, town_reviewer [acceptable]
	// accepted         investigate    -> investigating    town_reviewer
	// investigating    opine          -> preliminary      town_reviewer [investigated]
	// preliminary      publicize      -> publicizing      town_reviewer [not_own_visit]
	// publicizing      object         -> objected         village_clerk, town_clerk, town_reviewer [reasoned]
	// objected         reinvestigate  -> reinvestigating  town_reviewer
	// publicizing      report         -> county_review    town_reviewer [publication_over]
	// reinvestigating  report         -> county_review    town_reviewer [investigated]
	// county_review    county_visit   -> county_review    bureau_officer [reasoned]
	// county_review    confirm        -> confirmed        bureau_officer [county_visited]
	// county_review    deny           -> denied           bureau_officer [reasoned]
	// confirmed        activate       -> active           bureau_officer
	// (none)           take_over      -> active           bureau_officer
	// active           close          -> closed           bureau_officer, system [reasoned]
	// denied           tell           -> closed           town_clerk, town_reviewer
	// supplement       terminate      -> terminated       town_reviewer [reasoned]
	// accepted         terminate      -> terminated       town_reviewer [reasoned]
	// investigating    terminate      -> terminated       town_reviewer [reasoned]
	// reinvestigating  terminate      -> terminated       town_reviewer [reasoned]
	// draft            withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// submitted        withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// supplement       withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// accepted         withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// investigating    withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// preliminary      withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// publicizing      withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// objected         withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// reinvestigating  withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// county_review    withdraw       -> withdrawn        town_clerk, town_reviewer [reasoned]
	// accepted         extend         -> accepted         bureau_officer [extendable]
	// investigating    extend         -> investigating    bureau_officer [extendable]
	// preliminary      extend         -> preliminary      bureau_officer [extendable]
	// publicizing      extend         -> publicizing      bureau_officer [extendable]
	// objected         extend         -> objected         bureau_officer [extendable]
	// reinvestigating  extend         -> reinvestigating  bureau_officer [extendable]
	// county_review    extend         -> county_review    bureau_officer [extendable]
	//
	// periodic_review (定期复核)
	// (none)           open           -> due              system, town_reviewer, town_clerk
	// due              assign         -> due              town_reviewer, town_leader
	// due              visit          -> visited          system
	// visited          maintain       -> maintain         town_reviewer [not_own_visit]
	// visited          adjust         -> adjust           town_reviewer [reasoned_review]
	// visited          grace          -> grace            town_reviewer [graceful]
	// visited          propose_exit   -> exit_proposed    town_reviewer [reasoned_review]
	// adjust           send_back      -> visited          bureau_officer [reasoned]
	// grace            send_back      -> visited          bureau_officer [reasoned]
	// exit_proposed    send_back      -> visited          bureau_officer [reasoned]
	// adjust           confirm        -> confirmed        bureau_officer
	// grace            confirm        -> confirmed        bureau_officer
	// exit_proposed    confirm        -> confirmed        bureau_officer
	// maintain         notify         -> notified         town_clerk, town_reviewer
	// confirmed        notify         -> notified         town_clerk, town_reviewer
	// notified         finish         -> done             system
	// due              cancel         -> cancelled        system
	// visited          cancel         -> cancelled        system
	//
	// exit (退出与渐退)
	// (none)           grant          -> granted          bureau_officer
	// (none)           leave          -> ended            bureau_officer
	// granted          begin          -> active           system
	// granted          resume         -> cancelled        bureau_officer [reasoned]
	// active           resume         -> cancelled        bureau_officer [reasoned]
	// granted          end            -> ended            system
	// active           end            -> ended            system
	// ended            watch          -> monitored        system
	// ended            finish         -> closed           system
	// monitored        finish         -> closed           system
	//
	// publication (公示)
	// (none)           post           -> posted           town_reviewer, bureau_officer, dept_officer
	// posted           expire         -> expired          system
	// posted           object         -> objected         village_clerk, town_clerk, town_reviewer
	// posted           withdraw       -> archived         town_reviewer, bureau_officer, system
	// expired          archive        -> archived         system
	// objected         archive        -> archived         system
	//
	// objection (公示异议)
	// (none)           receive        -> received         system
	// received         register       -> registered       village_clerk, town_clerk, town_reviewer [reasoned]
	// received         dismiss        -> dismissed        town_reviewer [reasoned]
	//
	// aid (救助记录)
	// (none)           plan           -> planned          dept_officer, bureau_officer
	// planned          approve        -> approved         dept_officer, bureau_officer
	// planned          cancel         -> cancelled        dept_officer, bureau_officer [reasoned]
	// approved         cancel         -> cancelled        dept_officer, bureau_officer [reasoned]
	// approved         disburse       -> disbursed        dept_officer, bureau_officer
	// disbursed        confirm        -> confirmed        dept_officer, bureau_officer
	// disbursed        fail           -> failed           dept_officer, bureau_officer [reasoned]
	// failed           approve        -> approved         dept_officer, bureau_officer
	// failed           cancel         -> cancelled        dept_officer, bureau_officer [reasoned]
	// disbursed        recover        -> recovered        dept_officer, bureau_officer [reasoned]
	// confirmed        recover        -> recovered        dept_officer, bureau_officer [reasoned]
	//
	// meeting (会议)
	// (none)           call           -> called           bureau_officer
	// called           cancel         -> cancelled        bureau_officer [reasoned]
	// called           hold           -> held             bureau_officer [minuted]
	// held             close          -> closed           bureau_officer [carried_out]
	//
	// resolution (会议事项)
	// (none)           resolve        -> open             bureau_officer
	// open             answer         -> answered         dept_officer, bureau_officer [reasoned]
	// answered         send_back      -> open             bureau_officer [reasoned]
	// answered         accept         -> done             bureau_officer
	// open             drop           -> cancelled        bureau_officer [reasoned]
	//
	// order (督办单)
	// (none)           urge           -> issued           town_leader, bureau_officer, system [reasoned]
	// (none)           supervise      -> issued           bureau_officer [reasoned]
	// issued           escalate       -> issued           bureau_officer, system
	// issued           answer         -> answered         town_reviewer, town_leader, dept_officer, bureau_officer [reasoned]
	// answered         send_back      -> issued           bureau_officer [reasoned]
	// answered         send_back      -> issued           town_leader [urged_by_town]
	// answered         accept         -> done             bureau_officer
	// answered         accept         -> done             town_leader [urged_by_town]
	// issued           withdraw       -> cancelled        bureau_officer [reasoned]
	// issued           withdraw       -> cancelled        town_leader [urged_by_town]
	// issued           settle         -> done             system
	// answered         settle         -> done             system
	//
	// data_need (数据需求)
	// (none)           request        -> requested        dept_officer, bureau_officer
	// requested        approve        -> approved         dept_officer, bureau_officer [gives_data]
	// requested        refuse         -> refused          dept_officer, bureau_officer [gives_data_reasoned]
	// requested        withdraw       -> cancelled        dept_officer, bureau_officer [asks_data]
	// approved         end            -> closed           dept_officer, bureau_officer [reasoned]
	//
	// data_package (共享数据包)
	// (none)           make           -> ready            bureau_officer, system
	// ready            fetch          -> fetched          dept_officer, bureau_officer [asks_data]
	// fetched          fetch          -> fetched          dept_officer, bureau_officer [asks_data]
	// fetched          receive        -> taken            dept_officer, bureau_officer [counted]
	// fetched          reject         -> returned         dept_officer, bureau_officer [asks_data_reasoned]
	// returned         make           -> ready            bureau_officer, system
	//
	// evaluation (第三方评估)
	// (none)           draw           -> open             bureau_officer
	// open             submit         -> submitted        evaluator [assessed]
	// submitted        send_back      -> open             bureau_officer [reasoned]
	// submitted        accept         -> closed           bureau_officer
	// open             cancel         -> cancelled        bureau_officer [reasoned]
	//
	// monitoring (防返贫监测)
	// (none)           include        -> active           dept_officer [reasoned]
	// active           reclassify     -> active           dept_officer [reasoned]
	// active           remove         -> ended            dept_officer [reasoned]
	//
	// relocation (迁移接续)
	// (none)           propose        -> proposed         town_reviewer, town_leader, bureau_officer [reasoned]
	// proposed         accept         -> moved            town_reviewer, town_leader, bureau_officer [receives]
	// proposed         decline        -> declined         town_reviewer, town_leader, bureau_officer [receives_reasoned]
	// declined         accept         -> moved            bureau_officer [reasoned]
	// proposed         drop           -> cancelled        town_reviewer, town_leader, bureau_officer [sends_reasoned]
	// declined         drop           -> cancelled        town_reviewer, town_leader, bureau_officer [sends_reasoned]
	// (none)           hand_over      -> handed_over      bureau_officer [reasoned]
	// handed_over      confirm        -> closed           bureau_officer [seamless]
	// handed_over      drop           -> cancelled        bureau_officer [reasoned]
	// moved            finish         -> closed           system
	//
	// invitation (会议通知)
	// (none)           invite         -> open             bureau_officer
	// open             accept         -> accepted         dept_officer, bureau_officer [reasoned]
	// open             decline        -> declined         dept_officer, bureau_officer [reasoned]
	// open             close          -> closed           system
	// accepted         close          -> closed           system
	// open             cancel         -> cancelled        system
	// accepted         cancel         -> cancelled        system
}

// willing are facts under which every guard holds.
var willing = casework.Facts{Surveyor1: "a", Surveyor2: "b", SignedOne: true, SignedTwo: true, AdultSigned: true, Mode: "on_site", Met: "seen",
	Reviewer: "c", HasApprovedVisit: true, Result: "duplicate", FedBack: true, ConferenceMinuted: true,
	Agreed: true, PublicationOver: true, CountyVisited: true, Reasoned: true}

func allRoles() []casework.Role {
	list := []casework.Role{casework.RoleSystem}
	for _, r := range casework.Roles {
		list = append(list, casework.Role(r.Code))
	}
	return list
}

func allActions() []string {
	list := []string{"", "delete", "approve all"}
	for _, m := range casework.Machines {
		for _, t := range m.Table {
			list = append(list, t.Action)
		}
	}
	return list
}

// An action that the table does not name for the state and the role moves nothing, and says which of the two it was.
func TestNothingMovesOutsideTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(casework.Machines).Draw(t, "machine")
		state := rapid.SampledFrom(append(m.States(), "elsewhere")).Draw(t, "state")
		action := rapid.SampledFrom(allActions()).Draw(t, "action")
		role := rapid.SampledFrom(allRoles()).Draw(t, "role")
		to, err := m.Next(state, action, role, willing)
		named := slices.ContainsFunc(m.Table, func(x casework.Transition) bool {
			return x.From == state && x.Action == action && slices.Contains(x.Actors, role) && x.To == to
		})
		if named != (err == nil) {
			t.Fatalf("%s: %s from %q by %s: to %q, %v", m.Name, action, state, role, to, err)
		}
		if err != nil && casework.MessageOf(err) == "" {
			t.Fatal("a refusal without words")
		}
	})
}

func TestEveryStateIsReached(t *testing.T) {
	starts := map[string]string{"lead": "new", "review": "pending"}
	for _, m := range casework.Machines {
		seen := []string{starts[m.Name]}
		for i := 0; i < len(seen); i++ {
			for _, x := range m.Table {
				if x.From == seen[i] && !slices.Contains(seen, x.To) {
					seen = append(seen, x.To)
				}
			}
		}
		for _, s := range m.States() {
			if !slices.Contains(seen, s) && !(m.Name == "visit" && s == "draft") {
				t.Errorf("%s: nothing leads to %q", m.Name, s)
			}
		}
		if len(m.Terminal()) == 0 && m.Name != "review" {
			t.Errorf("%s never ends", m.Name)
		}
	}
}

func TestVisitGuards(t *testing.T) {
	for name, spoil := range map[string]func(*casework.Facts){
		"second surveyor":        func(f *casework.Facts) { f.Surveyor2 = "" },
		"same surveyor twice":    func(f *casework.Facts) { f.Surveyor2 = f.Surveyor1 },
		"signature missing":      func(f *casework.Facts) { f.SignedTwo = false },
		"by phone, no reason":    func(f *casework.Facts) { f.Mode = "phone" },
		"nobody of the house":    func(f *casework.Facts) { f.AdultSigned = false },
		"refusal, no witness":    func(f *casework.Facts) { f.AdultSigned, f.RefusalReason = false, true },
		"required answer missed": func(f *casework.Facts) { f.Missing = []string{"工资性收入"} },
	} {
		f := willing
		spoil(&f)
		if _, err := casework.VisitMachine.Next("", "submit", casework.RoleGridWorker, f); casework.CodeOf(err) != casework.CodeGuardFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := willing
	f.AdultSigned, f.Met = false, "absent"
	if _, err := casework.VisitMachine.Next("", "submit", casework.RoleGridWorker, f); err != nil {
		t.Errorf("nobody at home needs no signature of an adult: %v", err)
	}
	f = willing
	f.Reviewer = f.Surveyor2
	for _, action := range []string{"approve", "return"} {
		if _, err := casework.VisitMachine.Next("submitted", action, casework.RoleTownReviewer, f); casework.CodeOf(err) != casework.CodeGuardFailed {
			t.Errorf("a reviewer decides on his own visit: %v", err)
		}
	}
}

func TestDispositionNeedsAnApprovedVisit(t *testing.T) {
	for _, d := range casework.Enums["disposition"] {
		f := casework.Facts{Result: d.Code}
		_, err := casework.LeadMachine.Next("town_review", "propose", casework.RoleTownReviewer, f)
		if (err == nil) != (d.Code == "duplicate") {
			t.Errorf("%s without a visit: %v", d.Code, err)
		}
	}
}
