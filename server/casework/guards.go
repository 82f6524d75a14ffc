package casework

import "slices"

// Facts are what guards look at. The caller gathers them; guards only judge.
type Facts struct {
	// Of a visit.
	Surveyor1, Surveyor2   string
	SignedOne, SignedTwo   bool // the surveyors' signatures
	AdultSigned            bool // an adult of the household who was present
	RefusalReason, Witness bool // instead of that signature
	Mode, ModeReason, Met  string
	Missing                []string // labels of required questions without an answer
	Reviewer               string
	RelativeOfStaff        bool // the household is a near relative of staff
	// Of a lead.
	HasApprovedVisit  bool
	Result            string // the proposed disposition
	FedBack           bool
	ConferenceMinuted bool
	// Of an application, besides Missing, RelativeOfStaff, and the visit that investigated it.
	Agreed          bool // to the privacy notice, and to tell the truth
	Unsigned        int  // adults who have not consented to the check of their means
	SupplementAsked bool
	OtherRunning    bool // another application of the household is under way
	PublicationOver bool
	ObjectionOpen   bool // somebody objected on the public page, and nobody has answered
	CountyVisited   bool // the county made a visit of its own
	Extended        bool
	Reasoned        bool // a reason is given
	// Of a periodic review.
	Wages bool // the household earns an income
	// Of a meeting.
	Minuted         bool // its minutes and who was there are given
	OpenResolutions int
	// Of an order.
	Supervised bool // by the county
	OwnAnswer  bool // whoever decides on the answer gave it
	// Of shared data: whether the actor belongs to the unit that gives it, or asked for it.
	GivesData, AsksData bool
	Counted             bool // as many rows arrived as were sent
	// Of a relocation: on whose side the actor stands, and the months that are paid.
	Receives, Sends     bool
	LastPaid, NextMonth string // "2026-07", "" for none
	// Of an evaluation.
	Unassessed int // households of the sample without an assessment
}

// guards are the conditions of the tables by name. Each returns nil or says what is missing and what to do.
var guards = map[string]func(Facts) error{
	"visit_complete":       visitComplete,
	"visit_reviewable":     visitReviewable,
	"not_own_visit":        notOwnVisit,
	"approved_visit":       approvedVisit,
	"duplicate_result":     duplicateResult,
	"fed_back":             func(f Facts) error { return require(f.FedBack, "办结前请先反馈处置结果。") },
	"application_complete": applicationComplete,
	"acceptable":           acceptable,
	"investigated":         investigated,
	"publication_over":     publicationOver,
	"county_visited":       countyVisited,
	"extendable":           extendable,
	"reasoned_review":      reasonedReview,
	"graceful":             graceful,
	"minuted":              minuted,
	"carried_out":          carriedOut,
	"urged_by_town":        urgedByTown,
	"gives_data":           givesData,
	"assessed":             assessed,
	"receives":             receives,
	"receives_reasoned":    both(receives, reasoned),
	"sends_reasoned":       both(sends, reasoned),
	"seamless":             seamless,
	"gives_data_reasoned":  both(givesData, reasoned),
	"asks_data":            asksData,
	"asks_data_reasoned":   both(asksData, reasoned),
	"counted":              both(asksData, counted),
	"asked_once": func(f Facts) error {
		return require(!f.SupplementAsked, "补正材料须一次性告知,已告知过一次,不能再次要求补正。")
	},
	"reasoned": reasoned,
	"conference_minuted": func(f Facts) error {
		return require(f.ConferenceMinuted, "一事一议后核定,请填写会议结论。")
	},
}

func require(ok bool, message string) error {
	if ok {
		return nil
	}
	return NewError(CodeGuardFailed, message)
}

// visitComplete is what a home visit needs before it may be submitted: two different surveyors, both signatures, that
// of an adult who was present or his refusal with reason and witness, and a reason for a visit by phone or video.
func visitComplete(f Facts) error {
	switch {
	case f.Surveyor1 == "" || f.Surveyor2 == "":
		return require(false, "入户调查需要两名调查人,请补充第二名调查人。")
	case f.Surveyor1 == f.Surveyor2:
		return require(false, "两名调查人不能是同一个人,请改正。")
	case !f.SignedOne || !f.SignedTwo:
		return require(false, "请两名调查人都签名。")
	case (f.Mode == "phone" || f.Mode == "video") && f.ModeReason == "":
		return require(false, "电话或视频走访请写明原因。")
	case f.Met == "seen" && !f.AdultSigned && !(f.RefusalReason && f.Witness):
		return require(false, "请在场成年人签名;不签名的,请写明原因并由见证人确认。")
	case len(f.Missing) > 0:
		return require(false, "还有必填项没有填写:"+f.Missing[0]+"。")
	}
	return nil
}

// notOwnVisit keeps a reviewer from deciding on a visit that he made himself.
func notOwnVisit(f Facts) error {
	own := f.Reviewer != "" && slices.Contains([]string{f.Surveyor1, f.Surveyor2}, f.Reviewer)
	return require(!own, "不能审核自己参与的走访,请转交其他审核员。")
}

func visitReviewable(f Facts) error {
	if err := notOwnVisit(f); err != nil {
		return err
	}
	return visitComplete(f)
}

// approvedVisit: every disposition but duplicate rests on an approved visit.
func approvedVisit(f Facts) error {
	return require(f.HasApprovedVisit || f.Result == "duplicate", "提出处置前,需先有审核通过的入户走访。")
}

func duplicateResult(f Facts) error {
	return require(f.Result == "duplicate", "提出处置前,需先入户走访;只有重复线索可以直接提出。")
}
