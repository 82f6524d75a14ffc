package casework

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Situate fills in a situation from the answers of a form and from the persons on record, everything in the open. The
// form says by counts_as what an answer stands for:
//
//	income.<kind>            yearly income of the household, 分
//	expense.<kind>           expense of the last 12 months, 分: living, medical, education, rehabilitation or other
//	assets, homes, vehicles  financial assets in 分, counts
//	self_care                1 for one of the six items that somebody is not able to do
//	difficulties             codes of the list "difficulty"
//
// Answers about persons go before their records. Gaps are what nobody has said, in words for the reviewer.
func Situate(s Situation, f *Form, answers map[string]any, persons map[string]map[string]any) (Situation, []string) {
	x := &situating{s: s}
	people := map[string]map[string]any{}
	for id, p := range persons {
		people[id] = maps.Clone(p)
	}
	if f != nil {
		for _, q := range f.Questions {
			if q.Type == "group_repeat" {
				overlayPersons(q, answers[q.Name], people)
			}
			if v, ok := answers[q.Name]; ok && q.CountsAs != "" {
				x.count(q, v)
			}
		}
	}
	x.members(people)
	return x.s, x.gaps
}

type situating struct {
	s      Situation
	gaps   []string
	failed int
}

func (x *situating) gap(format string, args ...any) {
	x.gaps = append(x.gaps, fmt.Sprintf(format, args...))
}

// count takes one answer in.
func (x *situating) count(q Question, v any) {
	if q.CountsAs == "difficulties" {
		list, _ := v.([]any)
		for _, d := range list {
			if code, ok := d.(string); ok && ValidEnum("difficulty", code) {
				x.s.Difficulties = append(x.s.Difficulties, code)
				x.s.Sudden = x.s.Sudden || code == "disaster" || code == "accident"
			}
		}
		return
	}
	n, ok := whole(v)
	if choice, is := v.(string); is {
		n, ok = q.Amounts[choice]
	}
	if !ok {
		x.gap("“%s”没有可计算的数额", q.Label)
		return
	}
	what, kind, _ := strings.Cut(q.CountsAs, ".")
	switch what {
	case "income":
		x.s.Incomes = append(x.s.Incomes, Income{Kind: kind, Amount: n})
	case "expense":
		if to := x.s.Expenses.of(kind); to != nil {
			*to += n
		}
	case "assets":
		x.s.Assets += n
	case "homes":
		x.s.Homes += int(n)
	case "vehicles":
		x.s.Vehicles += int(n)
	case "self_care":
		x.failed = min(x.failed+int(n), selfCare)
	}
}

// of finds an expense by its kind, nil for another word.
func (e *Expenses) of(kind string) *int64 {
	return map[string]*int64{"living": &e.Living, "medical": &e.Medical, "education": &e.Education, "rehabilitation": &e.Rehabilitation, "other": &e.Other}[kind]
}

// overlayPersons writes the rows of a repeated group over the persons that they name.
func overlayPersons(group Question, answer any, people map[string]map[string]any) {
	rows, _ := answer.([]any)
	for i, r := range rows {
		row, _ := r.(map[string]any)
		id := whoIs(row, i, people)
		if people[id] == nil {
			people[id] = map[string]any{}
		}
		for _, q := range group.Questions {
			if field, ok := strings.CutPrefix(q.MapsTo, "person."); ok {
				if v, answered := row[q.Name]; answered {
					people[id][field] = v
				}
			}
		}
	}
}

// members makes the members of those who live in the household. Who supports somebody is not asked: an adult of the
// household who is not severely disabled counts as able to, and whoever has none is told to the reviewer.
func (x *situating) members(people map[string]map[string]any) {
	adults := 0
	for _, id := range slices.Sorted(maps.Keys(people)) {
		p := people[id]
		if lives, told := p["lives_together"].(bool); told && !lives || text(p, "state") == "dead" {
			continue
		}
		grade, _ := whole(p["disability_grade"])
		m := Member{ID: id, Birth: birthOf(p), DisabilityKind: text(p, "disability_kind"), DisabilityGrade: int(min(max(grade, 0), 4)),
			SeriouslyIll: text(p, "health") == "serious"}
		if m.Birth == "" || m.Birth > x.s.On {
			m.Birth = ""
			x.gap("有一名成员没有出生日期")
		}
		if age, known := m.age(x.s.On); (!known || age >= 18 && age < 60) && !m.severe() {
			adults++
		}
		x.s.Members = append(x.s.Members, m)
	}
	frail := -1
	for i := range x.s.Members {
		m := &x.s.Members[i]
		age, known := m.age(x.s.On)
		dependent := known && (age < 18 || age >= 60) || m.severe()
		m.Supporter = dependent && adults > 0
		if dependent && adults == 0 {
			x.gap("成员%s有没有赡养、抚养、扶养人,需核实", m.ID)
		}
		if dependent && (frail < 0 || m.severe() && !x.s.Members[frail].severe()) {
			frail = i
		}
	}
	if x.failed > 0 && frail >= 0 {
		x.s.Members[frail].SelfCareFailed = x.failed
	}
}

// birthOf is a person's date of birth, from his identity number where the record has none.
func birthOf(p map[string]any) string {
	if b := text(p, "birth"); plausibleDay(b) {
		return b
	}
	n, err := NormalizeIDNumber(text(p, "id_no"))
	if err != nil {
		return ""
	}
	return BirthDate(n)
}
