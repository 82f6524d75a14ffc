package casework

import (
	"cmp"
	"slices"
	"time"
)

// Moment is something that happens to a household, told by a time that some kind of record carries.
type Moment struct {
	Kind  string
	At    string   // the field with the time
	Label string   // what happened, Chinese
	By    string   // the field that names the user who did it; "" where the record names none
	Facts []string // fields in the open that say more
}

// Moments are what a household's aid chain is told by (notice, part 1: one aid chain per household, gathered into a list
// of the help received), in the order in which they follow each other where their times are equal.
var Moments = []Moment{
	{"lead", "received_at", "镇街收到预警线索", "", []string{"lead_type", "source", "due_on"}},
	{"lead", "acknowledged_at", "镇街签收线索", "", nil},
	{"visit", "visited_at", "入户走访", "surveyor_1", []string{"mode", "met"}},
	{"review", "at", "镇街审核走访", "reviewer", []string{"decision"}},
	{"disposition", "proposed_at", "镇街提出处置", "proposed_by", []string{"result", "categories"}},
	{"disposition", "verified_at", "民政局核定处置", "verified_by", []string{"result", "categories"}},
	{"lead", "fed_back_at", "处置结果已反馈", "", nil},
	{"application", "submitted_at", "提交救助申请", "entered_by", nil},
	{"application", "supplement_at", "一次性告知补正", "", []string{"supplement_questions"}},
	{"application", "accepted_at", "受理救助申请", "accepted_by", nil},
	{"application", "investigating_at", "启动入户调查", "", nil},
	{"application", "opinion_at", "镇街提出初审意见", "opinion_by", []string{"opinion_categories", "opinion_amount"}},
	{"application", "published_at", "公示", "", []string{"published_until"}},
	{"application", "objected_at", "登记异议", "objection_by", nil},
	{"application", "reinvestigating_at", "重新调查", "", nil},
	{"application", "reported_at", "上报民政局", "", nil},
	{"application", "county_visit_at", "县级入户", "county_visit_by", nil},
	{"application", "decided_at", "民政局作出决定", "decided_by", []string{"categories", "amount", "valid_until"}},
	{"application", "told_at", "书面告知申请人", "", nil},
	{"application", "activated_at", "救助生效", "", []string{"categories"}},
	{"application", "recomputed_at", "按新标准调整救助金", "recomputed_by", []string{"amount"}},
	{"application", "terminated_at", "终止办理", "", nil},
	{"application", "withdrawn_at", "申请人撤回申请", "", nil},
	{"application", "closed_at", "申请办结", "", nil},
	{"periodic_review", "opened_at", "发起定期复核", "opened_by", []string{"cause", "due_on"}},
	{"periodic_review", "proposed_at", "镇街提出复核意见", "proposed_by", []string{"outcome", "categories"}},
	{"periodic_review", "confirmed_at", "民政局核定复核意见", "confirmed_by", []string{"outcome", "categories"}},
	{"periodic_review", "notified_at", "书面告知复核结果", "", []string{"outcome"}},
	{"exit", "granted_at", "批准渐退", "granted_by", []string{"from", "until"}},
	{"exit", "resumed_at", "恢复救助", "", nil},
	{"exit", "ended_at", "退出救助", "", []string{"held", "watch_until"}},
	{"exit", "closed_at", "退出后监测结束", "", []string{"visits"}},
	{"referral", "sent_at", "转办部门", "sent_by", []string{"to_dept", "need", "due_on"}},
	{"referral", "accepted_at", "部门受理转办", "", []string{"to_dept"}},
	{"referral", "delivered_at", "部门落实帮扶", "", []string{"to_dept", "need", "amount"}},
	{"referral", "fed_back_at", "部门反馈结果", "", []string{"to_dept"}},
	{"monitoring", "decided_at", "农业农村部门纳入防返贫监测", "decided_by", []string{"category"}},
	{"monitoring", "removed_at", "风险消除,监测结束", "", []string{"category"}},
	{"aid", "approved_at", "批准帮扶", "approved_by", []string{"dept", "measure", "period", "amount"}},
	{"aid", "disbursed_at", "发放或落实帮扶", "", []string{"dept", "measure", "period", "amount"}},
	{"aid", "failed_at", "发放失败", "", []string{"measure", "period", "amount"}},
	{"aid", "confirmed_at", "帮扶到位", "", []string{"dept", "measure", "period", "amount"}},
	{"aid", "recovered_at", "追回", "", []string{"measure", "period", "amount"}},
	{"referral", "closed_at", "转办办结", "", []string{"to_dept"}},
}

// InChain reports whether records of a kind tell anything of the chain.
func InChain(kind string) bool {
	return slices.ContainsFunc(Moments, func(m Moment) bool { return m.Kind == kind })
}

// ChainRecord is a record of a household as the chain reads it: its values as texts, lists, and whole numbers as int64. Sealed
// ones are not needed.
type ChainRecord struct {
	Kind, ID string
	Fields   map[string]any
}

// ChainEvent is one line of an aid chain.
type ChainEvent struct {
	At       time.Time
	Kind, ID string // of the record that says so
	Label    string
	By       string // a user's id, "" where the record names none
	Facts    []ChainFact
}

// ChainFact is a value in words, with its label.
type ChainFact struct {
	Name, Label, Text string
}

// Chain tells everything that happened to a household from its first lead on, oldest first. A time that cannot be read
// tells nothing. The order of the records does not matter.
func Chain(records []ChainRecord) []ChainEvent {
	type line struct {
		ChainEvent
		rank int
	}
	var lines []line
	for _, r := range records {
		for rank, m := range Moments {
			if m.Kind != r.Kind {
				continue
			}
			text, _ := r.Fields[m.At].(string)
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				continue
			}
			by, _ := r.Fields[m.By].(string)
			lines = append(lines, line{ChainEvent{at, r.Kind, r.ID, m.Label, by, m.facts(r.Fields)}, rank})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.rank, b.rank), cmp.Compare(a.ID, b.ID))
	})
	events := make([]ChainEvent, len(lines))
	for i, l := range lines {
		events[i] = l.ChainEvent
	}
	return events
}

func (m Moment) facts(fields map[string]any) (list []ChainFact) {
	kind, ok := KindOf(m.Kind)
	if !ok {
		return nil
	}
	for _, name := range m.Facts {
		f, ok := kind.Field(name)
		if !ok {
			continue
		}
		if text := f.Words(fields[name]); text != "" {
			list = append(list, ChainFact{name, f.Label, text})
		}
	}
	return list
}

// Help is what a household or a person has received by a measure: how often, how much in 分, and when last.
type Help struct {
	Measure string // a code of the list "measure"
	Times   int
	Amount  int64
	Last    time.Time
}

// Received is the list of received help (幸福清单) out of the same records: what arrived or is on its way, in the order of
// the catalog of measures. What failed or was recovered is not in it.
func Received(records []ChainRecord) (list []Help) {
	sums := map[string]*Help{}
	for _, r := range records {
		state, _ := r.Fields["state"].(string)
		if r.Kind != "aid" || state != "disbursed" && state != "confirmed" {
			continue
		}
		measure, _ := r.Fields["measure"].(string)
		amount, _ := r.Fields["amount"].(int64)
		text, _ := r.Fields["disbursed_at"].(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			continue
		}
		h := sums[measure]
		if h == nil {
			h = &Help{Measure: measure}
			sums[measure] = h
		}
		h.Times, h.Amount = h.Times+1, h.Amount+amount
		if at.After(h.Last) {
			h.Last = at
		}
	}
	for _, m := range Measures {
		if h := sums[m.Code]; h != nil {
			list = append(list, *h)
		}
	}
	return list
}

// OfPerson are the records of a household's chain that concern one of its members: his own, and those of all of it.
func OfPerson(records []ChainRecord, person string) []ChainRecord {
	return slices.DeleteFunc(slices.Clone(records), func(r ChainRecord) bool {
		of, _ := r.Fields["person"].(string)
		return of != "" && of != person
	})
}
