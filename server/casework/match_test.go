package casework_test

import (
	"fmt"

	"aidloop/server/casework"
)

func ExampleMatchTable() {
	fmt.Print(casework.MatchTable())
	// Output:
	//  1 deaths       paid_after_death -> deceased TOWN, MZJ
	//  2 medical      sum_at_least medical own_cost match_medical_missed; no_category -> suspected_missed TOWN
	//  3 medical      category; sum_at_least medical own_cost match_medical_aid; lacks_recent medical_aid granted_on match_year -> benefit_not_delivered YBJ
	//  4 pool         category; not_insured insurance -> benefit_not_delivered YBJ
	//  5 disability   graded disability 1/2; older disability issued_on match_care_delay; lacks_months care_subsidy month match_subsidy_months -> benefit_not_delivered MZJ, CL
	//  6 disability   category DIBAO; has disability; lacks_months living_subsidy month match_subsidy_months -> benefit_not_delivered MZJ
	//  7 pool         category MARGINAL; severe disability; not_single -> suspected_missed TOWN
	//  8 pool         category; age_from match_school_from; age_to match_school_to; lacks enrolment -> risk_rising JTJ
	//  9 enrolment    category; has enrolment; lacks_recent education_aid granted_on match_term -> benefit_not_delivered JTJ
	// 10 unemployed   category; older unemployed since match_services_after; underserved job_services match_offers -> benefit_not_delivered RSJ
	// 11 unemployed   category MARGINAL/RIGID; older unemployed since match_jobless -> risk_rising TOWN
	// 12 pool         category DIBAO; over_line -> suspected_ineligible TOWN
	// 13 pool         twice -> duplicate MZJ
	// 14 relocated    left_behind relocated -> suspected_missed MZJ
	// 14 relocated    in_both relocated -> duplicate MZJ
	// 15 monitored    flagged monitored risk_removed 0; unknown -> suspected_missed MZJ
	// 16 pool         new_whole_dibao match_new_dibao; lacks agri_known -> info_mismatch NYJ
	// 17 disaster_aid older disaster_aid ended_on match_disaster_delay; no_category -> suspected_missed TOWN
	// 18 dwellings    category; flagged dwellings grade C/D/无; lacks housing_help -> benefit_not_delivered ZJJ
	// 19 pool         category; age_from match_alone_age; alone; not_category TEKUN_CENTRAL/TEKUN_SCATTERED -> suspected_missed TOWN
	// 20 fishers      has fishers; has unemployed; lacks pensions -> risk_rising RSJ, NYJ
	// 21 pool         due_soon match_due_soon -> (task) TOWN
}
