package casework

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Known is what is known of a household already: its record and its persons by id, both by the names of fields, and its
// newest visit, by the names of the questions of Form. Everything is in the open; Form is nil where there is no visit.
type Known struct {
	Household map[string]any
	Persons   map[string]map[string]any
	Form      *Form
	Answers   map[string]any
}

// Prefill answers the questions of an application's form from what is known, so that nobody types it twice: a question
// that belongs to the household's record from there, members from the persons, any other one from the same question of the
// visit. What does not fit the question is left out. Names lists the questions answered, in the order of the form.
func Prefill(f *Form, r Known) (answers map[string]any, names []string) {
	answers = map[string]any{}
	for i := range f.Questions {
		q := &f.Questions[i]
		v := r.answer(q)
		if v == nil || v == "" || q.Check(v) != nil {
			continue
		}
		answers[q.Name] = v
		names = append(names, q.Name)
	}
	return answers, names
}

func (r *Known) answer(q *Question) any {
	if field, ok := strings.CutPrefix(q.MapsTo, "household."); ok {
		return r.Household[field]
	}
	if q.Type == "group_repeat" {
		return r.rows(q)
	}
	if q.MapsTo != "" || q.Type == "signature" || q.Type == "photo" || r.Form == nil {
		return nil // an account is asked after the confirmation, and nobody signs for another form
	}
	if same, ok := r.Form.Question(q.Name); ok && same.Type == q.Type && same.MapsTo == "" {
		return r.Answers[q.Name]
	}
	return nil
}

// rows answers a group whose questions belong to persons, one row a person who is alive. Other groups have none.
func (r *Known) rows(group *Question) any {
	rows := []any{}
	for _, id := range slices.Sorted(maps.Keys(r.Persons)) {
		p := r.Persons[id]
		if text(p, "state") == "dead" {
			continue
		}
		row := map[string]any{}
		for i := range group.Questions {
			q := &group.Questions[i]
			field, ok := strings.CutPrefix(q.MapsTo, "person.")
			if v := p[field]; ok && v != nil && q.Check(v) == nil {
				row[q.Name] = v
			}
		}
		if len(row) > 0 {
			row["person"] = id
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return rows
}

// maxRows bounds the rows of a repeated group.
const maxRows = 50

// Check says what is wrong with the form of an answer that was typed in at a desk. The value is decoded canonical JSON.
func (q *Question) Check(v any) error {
	ok := true
	switch s, isText := v.(string); q.Type {
	case "bool":
		_, ok = v.(bool)
	case "int", "money":
		_, ok = whole(v)
	case "select_one":
		ok = isText && slices.Contains(q.Choices, s)
	case "select_multiple":
		list, is := v.([]any)
		ok = is && !slices.ContainsFunc(list, func(x any) bool { c, _ := x.(string); return !slices.Contains(q.Choices, c) })
	case "group_repeat":
		return q.checkRows(v)
	case "note":
		ok = false
	case "text":
		ok = isText && len([]rune(s)) <= MaxText
	case "photo", "signature", "geopoint":
		_, list := v.([]any)
		_, object := v.(map[string]any)
		ok = isText || list || object
	default:
		ok = isText
	}
	if !ok {
		return NewError(CodeInvalidValue, fmt.Sprintf("“%s”填写不符合要求,请修改后重新提交。", q.Label))
	}
	return nil
}

func (q *Question) checkRows(v any) error {
	rows, ok := v.([]any)
	if !ok || len(rows) > maxRows {
		return NewError(CodeInvalidValue, fmt.Sprintf("“%s”填写不符合要求,请修改后重新提交。", q.Label))
	}
	for _, r := range rows {
		row, ok := r.(map[string]any)
		if !ok {
			return NewError(CodeInvalidValue, fmt.Sprintf("“%s”填写不符合要求,请修改后重新提交。", q.Label))
		}
		for i := range q.Questions {
			if x, answered := row[q.Questions[i].Name]; answered {
				if err := q.Questions[i].Check(x); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
