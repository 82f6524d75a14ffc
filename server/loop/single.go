package loop

import (
	"maps"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// singlePerson is whether an application is for the applicant alone, such as a seriously ill or severely disabled member of
// a marginal household (单人保).
func singlePerson(b syncproto.Object) bool {
	return b.Str(casework.AnswerPrefix+"single_person") == "yes" || b.Str("person") != ""
}

// applicant is the member of a household who applied for himself.
func (g *group) applicant(application *draft) (*draft, error) {
	b := application.rec.Body
	if id := b.Str("person"); id != "" {
		return g.live(syncproto.Ref{Kind: "person", ID: id})
	}
	ring, err := g.ring(application.rec.Root, application.bucket)
	if err != nil {
		return nil, err
	}
	number := textOf(opened(ring, application.rec.Ref, b)[casework.AnswerPrefix+"applicant_id_no"])
	_, persons, err := caseRecords(g.w.tx, ring, application.rec.Root)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(persons)) {
		if own := textOf(persons[id]["id_no"]); own != "" && own == number {
			return g.live(syncproto.Ref{Kind: "person", ID: id})
		}
	}
	return nil, casework.NewError(casework.CodeGuardFailed, "单人户申请的申请人不在家庭成员中,请先补充成员或核对身份证号。")
}

// helpOne begins or ends help of one person; the household's own categories stay as they are.
func (s *applying) helpOne() error {
	p, err := s.g.applicant(s.d)
	if err != nil {
		return err
	}
	held := casework.Withdrawn(categories(&p.rec))
	if s.in.Action == "activate" {
		held = casework.Granted(categories(&p.rec), categories(&s.d.rec))
		s.fields["person"] = p.rec.ID
		if err := s.g.endPublications(s.d.rec.Root, s.d.rec.ID, "withdraw", casework.RoleSystem); err != nil {
			return err
		}
		if err := s.g.post(s.d, s.by, posting{"decision", s.d.rec.Body.Get("categories"), s.d.rec.Body.Int("amount"), ""}); err != nil {
			return err
		}
	} else if err := s.g.endPublications(s.d.rec.Root, s.d.rec.ID, "withdraw", casework.RoleSystem); err != nil {
		return err
	}
	return s.g.recategorise(p, held)
}

// heldIn are the categories of a household and of single members of it, each once.
func heldIn(tx ReadTx, h *syncproto.Record) ([]string, error) {
	held := categories(h)
	err := tx.ByRoot(h.Ref, "person", func(s *Stored) error {
		rec, err := parseStored(s)
		if err != nil || rec.Body.Has(mergedInto) {
			return err
		}
		for _, c := range categories(rec) {
			if !slices.Contains(held, c) {
				held = append(held, c)
			}
		}
		return nil
	})
	return held, err
}

// withdrawMembers ends what single members of a household received.
func (g *group) withdrawMembers(h *draft) error {
	var refs []syncproto.Ref
	if err := g.w.tx.ByRoot(h.rec.Ref, "person", func(s *Stored) error { refs = append(refs, s.Ref); return nil }); err != nil {
		return err
	}
	for _, ref := range refs {
		p, err := g.live(ref)
		if err != nil {
			return err
		}
		if held := categories(&p.rec); len(casework.OfCivilAffairs(held)) > 0 {
			if err := g.recategorise(p, casework.Withdrawn(held)); err != nil {
				return err
			}
		}
	}
	return nil
}

// paidBy is the measure by which an application is paid every month: by the categories of the person that it is for, or of
// the household; ok is false where they pay nothing, such as after an adjustment.
func (g *group) paidBy(application *draft) (code string, ok bool, err error) {
	of := application.rec.Root
	if person := application.rec.Body.Str("person"); person != "" {
		of = syncproto.Ref{Kind: "person", ID: person}
	}
	d, err := g.live(of)
	if err != nil {
		return "", false, err
	}
	code, ok = casework.CashMeasure(categories(&d.rec))
	return code, ok, nil
}
