package casework

import (
	"reflect"
	"strings"
)

// Difference is an answer that differs from what the record says.
type Difference struct {
	Kind, ID      string
	Field         string
	Question      string
	Label         string
	Before, After any
}

// Differences compares the answers of a visit with the household's record and its persons, in the order of the form.
// Answers are by the names of questions, records by the names of fields, everything in the open. A question without an
// answer makes no difference: leaving something out is not the same as saying that it is gone.
func Differences(f *Form, answers, household map[string]any, persons map[string]map[string]any) []Difference {
	var list []Difference
	for _, q := range f.Questions {
		answer, ok := answers[q.Name]
		if !ok {
			continue
		}
		if field, ok := strings.CutPrefix(q.MapsTo, "household."); ok && household != nil {
			if before := household[field]; !reflect.DeepEqual(before, answer) {
				list = append(list, Difference{"household", text(household, "id"), field, q.Name, q.Label, before, answer})
			}
		}
		if q.Type == "group_repeat" {
			list = append(list, personDifferences(q, answer, persons)...)
		}
	}
	return list
}

// personDifferences compares the rows of a repeated group with the persons that they name.
func personDifferences(group Question, answer any, persons map[string]map[string]any) []Difference {
	var list []Difference
	rows, _ := answer.([]any)
	for _, r := range rows {
		row, _ := r.(map[string]any)
		id := text(row, "person")
		record, known := persons[id]
		if !known {
			continue
		}
		for _, q := range group.Questions {
			field, ok := strings.CutPrefix(q.MapsTo, "person.")
			after, answered := row[q.Name]
			if !ok || !answered || q.Name == "id_no" && after == "none" || reflect.DeepEqual(record[field], after) {
				continue
			}
			list = append(list, Difference{"person", id, field, group.Name + "." + q.Name, group.Label + ":" + q.Label, record[field], after})
		}
	}
	return list
}
