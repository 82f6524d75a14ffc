package loop

import (
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// form reads the form that a visit names from the ref bucket: forms are records, none is built in.
func (g *group) form(d *draft) (*casework.Form, error) {
	return formOf(g.w.stored, d.rec.Body)
}

func formOf(stored func(syncproto.Ref) (*Stored, error), visit syncproto.Object) (*casework.Form, error) {
	id := visit.Str("form") + "." + visit.Str("form_version")
	s, err := stored(syncproto.Ref{Kind: "form", ID: id})
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, casework.NewError("form_unknown", "服务器上没有这个版本的表单,请更新应用或联系管理员。")
	}
	v, err := s.Body.Decode()
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	return casework.FormFrom(m)
}

// FormID is the id of the record of a form's version.
func FormID(form, version string) string { return form + "." + version }

// visitFacts gathers what the guards of a visit look at. Sealed answers count as given without being opened.
func (g *group) visitFacts(d *draft) (casework.Facts, error) {
	b := d.rec.Body
	given := func(name string) bool { v := b.Get(name); return v != nil && string(v) != `""` }
	f := casework.Facts{
		Surveyor1: b.Str("surveyor_1"), Surveyor2: b.Str("surveyor_2"), Mode: b.Str("mode"), ModeReason: b.Str("mode_reason"), Met: b.Str("met"),
		SignedOne: given("q_sign_surveyor_1"), SignedTwo: given("q_sign_surveyor_2"), AdultSigned: given("q_sign_adult"),
		RefusalReason: given("q_sign_refusal_reason"), Witness: given("q_sign_witness"),
	}
	var err error
	f.Missing, err = g.missing(d)
	return f, err
}

// missing are the labels of the required questions of a record's form that are asked and have no answer. A newer form
// than the server has misses nothing: the guards that need no form still hold.
func (g *group) missing(d *draft) (labels []string, err error) {
	form, err := g.form(d)
	if casework.CodeOf(err) == "form_unknown" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, name := range form.Missing(func(name string) (any, bool) {
		v := d.rec.Body.Get(form.Field(name))
		if v == nil {
			return nil, false
		}
		if syncproto.IsSealed(v) {
			return string(v), true
		}
		x, err := v.Decode()
		return x, err == nil
	}) {
		q, _ := form.Question(name)
		labels = append(labels, q.Label)
	}
	return labels, nil
}

// opened is a record's fields in the open, as Go values. A value whose key is missing is left out.
func opened(ring *syncproto.Keyring, ref syncproto.Ref, body syncproto.Object) map[string]any {
	m := make(map[string]any, len(body))
	for _, f := range body {
		v, err := ring.Open(ref, f.Name, f.Value)
		if err != nil {
			continue
		}
		if x, err := v.Decode(); err == nil {
			m[f.Name] = x
		}
	}
	return m
}

// carryOver writes the differences of an approved visit into the household's record, so that nobody types them again.
func (g *group) carryOver(d *draft) error {
	if d.rec.Root.Kind != "household" {
		return nil
	}
	form, err := g.form(d)
	if casework.CodeOf(err) == "form_unknown" {
		return nil
	}
	if err != nil {
		return err
	}
	ring, err := g.ring(d.rec.Root, d.bucket)
	if err != nil {
		return err
	}
	household, persons, err := caseRecords(g.w.tx, ring, d.rec.Root)
	if err != nil {
		return err
	}
	diffs := casework.Differences(form, answersOf(form, opened(ring, d.rec.Ref, d.rec.Body)), household, persons)
	for _, x := range diffs {
		if err := g.carry(d, x); err != nil {
			return err
		}
	}
	return nil
}

// carry writes one difference. Whoever lives in the household without a record gets one, under the id that the phone
// gave the row, or one derived from the visit and the row where it gave none.
func (g *group) carry(visit *draft, x casework.Difference) error {
	ref := syncproto.Ref{Kind: x.Kind, ID: x.ID}
	if x.New && !syncproto.ValidID(x.ID) || strings.HasPrefix(x.ID, "new:") {
		ref.ID = syncproto.DerivedID(x.Kind, visit.rec.ID+"|"+x.ID)
	}
	k, ok := casework.KindOf(x.Kind)
	if !ok {
		return nil
	}
	f, ok := k.Field(x.Field)
	if !ok || f.Policy == casework.Server || f.Policy == casework.Once {
		return nil
	}
	raw, err := syncproto.Value(x.After)
	if err != nil {
		return err
	}
	r, err := g.open(ref)
	if err != nil {
		return err
	}
	if r.exists {
		if r, err = g.standing(r); err != nil {
			return err
		}
		ref = r.rec.Ref
	}
	if raw, err = g.closed(ref, visit.rec.Root, visit.bucket, x.Field, raw); err != nil {
		return err
	}
	if casework.CheckValue(x.Kind, x.Field, raw) != nil {
		return nil // the form allows what the record does not hold; the answer stays in the visit
	}
	switch {
	case !r.exists && x.New:
		fields := syncproto.Fields(map[string]any{"household": visit.rec.Root.ID, x.Field: raw})
		_, err = g.serverPut(ref, visit.rec.Root, visit.bucket, fields)
	case r.exists && !r.rec.Deleted && r.rec.Root == visit.rec.Root: // another household's person is not this visit's to write
		_, err = g.serverSet(ref, map[string]any{x.Field: raw})
	}
	return err
}

// answersOf turns a visit's fields back into answers by the names of the form's questions.
func answersOf(form *casework.Form, fields map[string]any) map[string]any {
	m := make(map[string]any, len(form.Questions))
	for _, q := range form.Questions {
		if v, ok := fields[form.Field(q.Name)]; ok {
			m[q.Name] = v
		}
	}
	return m
}

// caseRecords reads a household and its persons in the open. The household's fields include its id under "id". A person
// who was merged into another is found under both ids.
func caseRecords(tx ReadTx, ring *syncproto.Keyring, root syncproto.Ref) (household map[string]any, persons map[string]map[string]any, err error) {
	persons = map[string]map[string]any{}
	aliases := map[string]string{}
	err = tx.ByRoot(root, "", func(s *Stored) error {
		if !slices.Contains([]string{"household", "person"}, s.Ref.Kind) {
			return nil
		}
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		if into := body.Str(mergedInto); into != "" {
			if s.Ref.Kind == "person" {
				aliases[s.Ref.ID] = into
			}
			return nil
		}
		m := opened(ring, s.Ref, body)
		if s.Ref == root {
			m["id"] = root.ID
			household = m
		} else if s.Ref.Kind == "person" {
			persons[s.Ref.ID] = m
		}
		return nil
	})
	for id := range aliases {
		into := id
		for n := 0; aliases[into] != "" && n < maxAliases; n++ {
			into = aliases[into]
		}
		if persons[into] != nil {
			persons[id] = persons[into]
		}
	}
	return household, persons, err
}
