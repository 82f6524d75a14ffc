package casework

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Difference is an answer that differs from what the record says.
type Difference struct {
	Kind, ID      string // the ID of somebody who has no record yet is his row's own, or "new:" and its number
	New           bool   // the record is to be made
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
				list = append(list, Difference{"household", text(household, "id"), false, field, q.Name, q.Label, before, answer})
			}
		}
		if q.Type == "group_repeat" {
			list = append(list, personDifferences(q, answer, persons)...)
		}
	}
	return list
}

// personDifferences compares the rows of a repeated group with the persons that they name. A row that names nobody is
// the person with the same identity number, or somebody new.
func personDifferences(group Question, answer any, persons map[string]map[string]any) []Difference {
	var list []Difference
	rows, _ := answer.([]any)
	for i, r := range rows {
		row, _ := r.(map[string]any)
		id := whoIs(row, i, persons)
		record, known := persons[id]
		for _, q := range group.Questions {
			field, ok := strings.CutPrefix(q.MapsTo, "person.")
			after, answered := row[q.Name]
			if !ok || !answered || q.Name == "id_no" && after == "none" || reflect.DeepEqual(record[field], after) {
				continue
			}
			list = append(list, Difference{"person", id, !known, field, group.Name + "." + q.Name, group.Label + ":" + q.Label, record[field], after})
		}
	}
	return list
}

// whoIs finds the person whom a row speaks of.
func whoIs(row map[string]any, i int, persons map[string]map[string]any) string {
	id := text(row, "person")
	if _, known := persons[id]; known {
		return id
	}
	if number, err := NormalizeIDNumber(text(row, "id_no")); err == nil {
		for _, p := range slices.Sorted(maps.Keys(persons)) {
			if other, err := NormalizeIDNumber(text(persons[p], "id_no")); err == nil && other == number {
				return p
			}
		}
	}
	if id == "" {
		id = fmt.Sprintf("new:%d", i+1)
	}
	return id
}
