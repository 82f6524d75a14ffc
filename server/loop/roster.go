package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MaxRoster bounds the rows of a roster.
const MaxRoster = 50_000

// RosterInput asks for a list of leads, households or persons with names and numbers in the open.
type RosterInput struct {
	Over       string   // leads, households or persons
	Fields     []string // of casework.Rosters; "" for a column that stays empty
	Region     string   // within the caller's own
	From, To   string   // of leads: the days of their feedback, "2006-01-02"; "" for no bound
	Source     string   // of leads, "" for all
	Categories []string // of households and persons: in one of them; none for all
}

// roster builds one.
type roster struct {
	l     *Loop
	tx    ReadTx
	in    RosterInput
	names map[string]string // of regions and users
	rows  [][]string
}

// Roster makes such a list in words. Making it is audited, with its fields.
func (l *Loop) Roster(ctx context.Context, by casework.Actor, in RosterInput) ([][]string, error) {
	if in.Region == "" {
		in.Region = by.Region
	}
	kind := map[string]string{"leads": "lead", "households": "household", "persons": "person"}[in.Over]
	switch {
	case kind == "":
		return nil, casework.NewError(casework.CodeInvalidValue, "请选择线索、家庭或人员。")
	case in.From != "" && !validDate(in.From) || in.To != "" && !validDate(in.To):
		return nil, casework.NewError(casework.CodeInvalidValue, "日期应写成2026-01-31的样子。")
	}
	for _, f := range in.Fields {
		if _, ok := casework.RosterFieldOf(in.Over, f); f != "" && !ok {
			return nil, casework.NewError(casework.CodeInvalidValue, "没有“"+clipRunes(f, 30)+"”这一项。")
		}
	}
	if err := by.May(casework.VerbReadSealed, casework.Subject{Kind: kind, Region: in.Region}); err != nil {
		return nil, err
	}
	if err := l.run(ctx, func(w *work) error {
		w.auditBy(by, "reveal", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"page": "roster", "over": in.Over, "region": in.Region, "fields": anys(in.Fields)})
		return nil
	}); err != nil {
		return nil, err
	}
	r := &roster{l: l, in: in}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		r.tx, r.names, r.rows = tx, map[string]string{}, [][]string{}
		root := "household"
		if in.Over == "leads" {
			root = "lead"
		}
		return eachInPool(tx, in.Region, root, func(s *Stored, rec *syncproto.Record) error {
			if err := ctx.Err(); err != nil || s.Deleted {
				return err
			}
			if err := r.add(s, rec); err != nil {
				return err
			}
			if len(r.rows) > MaxRoster {
				return casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("超过%d行,请按区划或日期分次导出。", MaxRoster))
			}
			return nil
		})
	})
	return r.rows, err
}

func (r *roster) add(s *Stored, rec *syncproto.Record) error {
	if r.in.Over == "leads" {
		return r.lead(s, rec)
	}
	return r.home(s, rec)
}

// put writes a row in the order of the fields that were asked for.
func (r *roster) put(cells map[string]string) {
	row := make([]string, len(r.in.Fields))
	for i, f := range r.in.Fields {
		name, _ := casework.RosterFieldOf(r.in.Over, f)
		row[i] = cells[name]
	}
	r.rows = append(r.rows, row)
}

// words are the values of a record in words, by field.
func words(kind string, fields map[string]any) map[string]string {
	k, _ := casework.KindOf(kind)
	out := make(map[string]string, len(fields))
	for name, v := range fields {
		if f, ok := k.Field(name); ok {
			out[name] = f.Words(v)
		}
	}
	return out
}

func (r *roster) named(code string) (string, error) {
	if _, known := r.names[code]; !known && code != "" {
		name, err := placeName(r.tx, code)
		if err != nil {
			return "", err
		}
		r.names[code] = name
	}
	return r.names[code], nil
}

// places fills in town and village.
func (r *roster) places(cells map[string]string, town, village string) (err error) {
	if cells["town"], err = r.named(town); err == nil {
		cells["village"], err = r.named(village)
	}
	return err
}

func (r *roster) lead(s *Stored, rec *syncproto.Record) error {
	b := rec.Body
	day := dayOf(b.Str("fed_back_at"))
	if r.in.Source != "" && b.Str("source") != r.in.Source || r.in.From != "" && day < r.in.From || r.in.To != "" && (day == "" || day > r.in.To) {
		return nil
	}
	ring, err := r.l.openRing(r.tx, rec.Root, s.Bucket)
	if err != nil {
		return err
	}
	own := words("lead", opened(ring, rec.Ref, b))
	cells := map[string]string{"ref": own["source_ref"], "name": own["subject_name"], "id_no": own["subject_id_no"], "phone": own["subject_phone"], "address": own["address"],
		"type": own["lead_type"], "source": own["source"], "reason": own["reason"], "issued_on": own["issued_on"], "received_on": dayOf(b.Str("received_at")),
		"due_on": own["due_on"], "fed_back_on": day, "state": own["state"]}
	if err := r.places(cells, b.Str("town"), b.Str("village")); err != nil {
		return err
	}
	if v, err := r.other(ring, "visit", b.Str("visit")); err != nil {
		return err
	} else if v != nil {
		cells["visited_on"], cells["met"] = dayOf(textOf(v["visited_at"])), casework.Label("met", textOf(v["met"]))
		if u, err := r.tx.User(textOf(v["surveyor_1"])); err == nil {
			cells["surveyor"] = u.Name
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	d, err := r.other(ring, "disposition", b.Str("disposition"))
	if err != nil {
		return err
	}
	if d != nil {
		said := words("disposition", d)
		cells["result"], cells["categories"], cells["note"] = said["result"], said["categories"], said["reason"]
		cells["proposed_on"], cells["verified_on"] = dayOf(textOf(d["proposed_at"])), dayOf(textOf(d["verified_at"]))
		if due := b.Str("due_on"); due != "" && cells["proposed_on"] != "" {
			cells["on_time"] = casework.Field{}.Words(cells["proposed_on"] <= due)
		}
	}
	r.put(cells)
	return nil
}

// other opens a record by its id; nil where there is none.
func (r *roster) other(ring *syncproto.Keyring, kind, id string) (map[string]any, error) {
	if id == "" {
		return nil, nil
	}
	s, err := r.tx.Record(syncproto.Ref{Kind: kind, ID: id})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := parseStored(s)
	if err != nil {
		return nil, err
	}
	return opened(ring, rec.Ref, rec.Body), nil
}

func (r *roster) home(s *Stored, rec *syncproto.Record) error {
	held := categories(rec)
	wanted := func(list []string) bool {
		return len(r.in.Categories) == 0 || slices.ContainsFunc(r.in.Categories, func(c string) bool { return slices.Contains(list, c) })
	}
	if r.in.Over == "households" && !wanted(held) {
		return nil
	}
	ring, err := r.l.openRing(r.tx, rec.Root, s.Bucket)
	if err != nil {
		return err
	}
	cells := words("household", opened(ring, rec.Ref, rec.Body))
	village := villageOf(s.Bucket)
	if err := r.places(cells, casework.TownOf(village), village); err != nil {
		return err
	}
	if r.in.Over == "households" {
		if err := r.helped(s.Ref, cells); err != nil {
			return err
		}
		r.put(cells)
		return nil
	}
	return r.tx.ByRoot(s.Ref, "person", func(p *Stored) error {
		person, err := parseStored(p)
		if err != nil || person.Body.Has(mergedInto) {
			return err
		}
		both := append(slices.Clone(held), categories(person)...)
		if !wanted(both) {
			return nil
		}
		own := words("person", opened(ring, person.Ref, person.Body))
		for _, f := range []string{"code", "head_name", "address", "town", "village"} {
			own[f] = cells[f]
		}
		slices.Sort(both)
		own["categories"] = strings.Join(labels("category", slices.Compact(both)), "、")
		r.put(own)
		return nil
	})
}

// helped fills in what a household receives, and when it was visited last.
func (r *roster) helped(root syncproto.Ref, cells map[string]string) error {
	return r.tx.ByRoot(root, "", func(s *Stored) error {
		switch {
		case s.Ref.Kind == "application" && s.Index.State == "active":
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			cells["amount"], cells["since"], cells["until"] = casework.Yuan(b.Int("amount")), dayOf(b.Str("activated_at")), strings.Clone(b.Str("valid_until"))
		case s.Ref.Kind == "visit" && s.Index.State == "approved":
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			cells["visited_on"] = max(cells["visited_on"], dayOf(b.Str("visited_at")))
		}
		return nil
	})
}
