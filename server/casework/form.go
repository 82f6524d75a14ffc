package casework

import (
	"slices"
	"strings"
)

// Form is a questionnaire as a record of kind form carries it. Forms are data; none is built into the program.
type Form struct {
	ID        string
	Version   string
	Title     string
	Questions []Question
}

// Question is one question. Questions are those of a repeated group, such as the members of a household.
type Question struct {
	Name     string
	Type     string
	Label    string
	Required bool
	Sealed   bool
	Relevant *Relevant
	MapsTo   string // "kind.field" of the record that the answer belongs to
	CountsAs string // what classification takes the answer for, see Situate
	// Amounts are what the choices of a select_one count for; a choice without one says nothing that could be counted.
	Amounts   map[string]int64
	Choices   []string // values of a select_one or select_multiple
	Questions []Question
}

// Relevant says that a question is asked only where an earlier one has one of these answers.
type Relevant struct {
	Question string
	In       []string
}

// maxQuestions bounds a form.
const maxQuestions = 2000

// FormFrom reads a form from the decoded body of its record.
func FormFrom(m map[string]any) (*Form, error) {
	f := &Form{ID: text(m, "form_id"), Version: text(m, "version"), Title: text(m, "title")}
	var err error
	if f.Questions, err = questions(m["questions"], 0); err != nil {
		return nil, err
	}
	if f.ID == "" || len(f.Questions) == 0 {
		return nil, NewError("form_invalid", "表单内容不完整,请联系管理员重新发布。")
	}
	return f, nil
}

func text(m map[string]any, key string) string { s, _ := m[key].(string); return s }
func flag(m map[string]any, key string) bool   { b, _ := m[key].(bool); return b }

func questions(v any, depth int) ([]Question, error) {
	list, _ := v.([]any)
	if len(list) > maxQuestions || depth > 3 {
		return nil, NewError("form_invalid", "表单问题过多或嵌套过深。")
	}
	out := make([]Question, 0, len(list))
	for _, item := range list {
		m, _ := item.(map[string]any)
		q := Question{Name: text(m, "name"), Type: text(m, "type"), Label: text(m, "label"), Required: flag(m, "required"),
			Sealed: flag(m, "sealed"), MapsTo: text(m, "maps_to"), CountsAs: text(m, "counts_as"), Amounts: amounts(m["choices"]),
			Choices: choiceValues(m["choices"])}
		if q.Name == "" {
			return nil, NewError("form_invalid", "表单里有没有名称的问题。")
		}
		if r, ok := m["relevant"].(map[string]any); ok {
			q.Relevant = &Relevant{Question: text(r, "question")}
			in, _ := r["in"].([]any)
			for _, x := range in {
				if s, ok := x.(string); ok {
					q.Relevant.In = append(q.Relevant.In, s)
				}
			}
		}
		var err error
		if q.Questions, err = questions(m["questions"], depth+1); err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

// amounts reads what choices count for.
func amounts(choices any) map[string]int64 {
	list, _ := choices.([]any)
	var m map[string]int64
	for _, item := range list {
		c, _ := item.(map[string]any)
		if n, ok := whole(c["amount"]); ok {
			if m == nil {
				m = map[string]int64{}
			}
			m[text(c, "value")] = n
		}
	}
	return m
}

// choiceValues lists what can be chosen.
func choiceValues(choices any) (values []string) {
	list, _ := choices.([]any)
	for _, item := range list {
		c, _ := item.(map[string]any)
		values = append(values, text(c, "value"))
	}
	return values
}

// whole is a decoded integer.
func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	}
	return 0, false
}

// Question finds a question by name.
func (f *Form) Question(name string) (Question, bool) {
	for _, q := range f.Questions {
		if q.Name == name {
			return q, true
		}
	}
	return Question{}, false
}

// Has reports whether the form asks the question.
func (f *Form) Has(name string) bool { _, ok := f.Question(name); return ok }

// Field is the field of the visit or application that holds a question's answer: its own where the question maps to
// one, else the name with AnswerPrefix.
func (f *Form) Field(name string) string {
	if q, ok := f.Question(name); ok {
		if field, ok := strings.CutPrefix(q.MapsTo, "visit."); ok {
			return field
		}
		if field, ok := strings.CutPrefix(q.MapsTo, "application."); ok {
			return field
		}
	}
	return AnswerPrefix + name
}

// Missing lists the required questions that are asked and not answered. A note asks nothing.
func (f *Form) Missing(answer func(name string) (any, bool)) []string {
	var missing []string
	for _, q := range f.Questions {
		if !q.Required || q.Type == "note" || !q.asked(answer) {
			continue
		}
		if v, ok := answer(q.Name); !ok || v == "" {
			missing = append(missing, q.Name)
		}
	}
	return missing
}

func (q *Question) asked(answer func(string) (any, bool)) bool {
	if q.Relevant == nil {
		return true
	}
	v, ok := answer(q.Relevant.Question)
	s, isText := v.(string)
	return ok && isText && slices.Contains(q.Relevant.In, s)
}
