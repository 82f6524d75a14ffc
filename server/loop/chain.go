package loop

import (
	"context"
	"errors"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Chain is the aid chain of a household or a person: everything that happened to it from its first lead on, in the order of
// time, and what help was received.
type Chain struct {
	Household Entity
	Person    *Entity // of a person's chain
	Received  []casework.Help
	Place     string // the town's and the village's name
	AsOf      time.Time
	Events    []casework.ChainEvent
	Names     map[string]string // of the people in it, by user id; somebody without an account stands by what was typed
}

// Chain tells the aid chain of a household; the id of one that was merged into another tells that one's. Nothing sealed is
// in its events. The household's own sealed fields are opened for whoever may, which is audited. A visit stands at its time
// corrected for the phone's clock.
func (l *Loop) Chain(ctx context.Context, by casework.Actor, household string) (*Chain, error) {
	return l.chainOf(ctx, by, func(*work, *group) (string, *draft, error) { return household, nil, nil })
}

// PersonChain tells the aid chain of one person: what concerned him, and what concerned his whole household.
func (l *Loop) PersonChain(ctx context.Context, by casework.Actor, person string) (*Chain, error) {
	return l.chainOf(ctx, by, func(w *work, g *group) (string, *draft, error) {
		p, err := g.visible(by, casework.VerbReadCase, syncproto.Ref{Kind: "person", ID: person})
		if err == nil && p.rec.Body.Has(mergedInto) {
			p, err = g.standing(p)
		}
		if err != nil {
			return "", nil, err
		}
		if p.rec.Root.Kind != "household" {
			return "", nil, ErrNotFound
		}
		return p.rec.Root.ID, p, nil
	})
}

func (l *Loop) chainOf(ctx context.Context, by casework.Actor, whose func(*work, *group) (household string, person *draft, err error)) (*Chain, error) {
	var out *Chain
	err := l.run(ctx, func(w *work) error {
		g := w.newGroup()
		household, person, err := whose(w, g)
		if err != nil {
			return err
		}
		d, err := g.visible(by, casework.VerbReadCase, syncproto.Ref{Kind: "household", ID: household})
		if err == nil && d.rec.Body.Has(mergedInto) {
			if d, err = g.standing(d); err == nil {
				d, err = g.visible(by, casework.VerbReadCase, d.rec.Ref)
			}
		}
		if err != nil {
			return err
		}
		out, err = w.chain(g, by, d, person)
		return err
	})
	return out, err
}

func (w *work) chain(g *group, by casework.Actor, d, person *draft) (*Chain, error) {
	ring := &syncproto.Keyring{}
	if by.May(casework.VerbReadSealed, subjectOf("household", d.bucket, d.rec.Body)) == nil {
		var err error
		if ring, err = g.ring(d.rec.Root, d.bucket); err != nil {
			return nil, err
		}
		w.auditBy(by, "reveal", d.rec.Ref, d.rec.Root, map[string]any{"page": "chain"})
	}
	out := &Chain{Household: w.entity(ring, d.rec), AsOf: time.UnixMilli(w.now), Names: map[string]string{}}
	records, err := w.chainRecords(d.rec.Root)
	if err != nil {
		return nil, err
	}
	if person != nil {
		e := w.entity(ring, person.rec)
		out.Person, records = &e, casework.OfPerson(records, person.rec.ID)
	}
	out.Events, out.Received = casework.Chain(records), casework.Received(records)
	for _, e := range out.Events {
		if err := w.name(out.Names, e.By); err != nil {
			return nil, err
		}
	}
	out.Place, err = regionName(w.tx, villageOf(d.bucket))
	return out, err
}

// chainRecords are the records under a root as the chain reads them.
func (w *work) chainRecords(root syncproto.Ref) (list []casework.ChainRecord, err error) {
	p := newProvenance(w.tx)
	err = w.tx.ByRoot(root, "", func(s *Stored) error {
		if s.Deleted || !casework.InChain(s.Ref.Kind) {
			return nil
		}
		rec, err := parseStored(s)
		if err != nil {
			return err
		}
		r := casework.ChainRecord{Kind: s.Ref.Kind, ID: s.Ref.ID, Fields: opened(&syncproto.Keyring{}, rec.Ref, rec.Body)}
		if s.Ref.Kind == "visit" {
			t, err := p.visit(rec)
			if err != nil {
				return err
			}
			for name, ms := range t.Form {
				r.Fields[name] = time.UnixMilli(ms).In(beijing).Format(time.RFC3339)
			}
		}
		list = append(list, r)
		return nil
	})
	return list, err
}

// name looks a user's name up, once.
func (w *work) name(names map[string]string, user string) error {
	if _, known := names[user]; known || user == "" {
		return nil
	}
	if user == casework.System.UserID {
		names[user] = "系统"
		return nil
	}
	u, err := w.tx.User(user)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		names[user] = u.Name
	}
	return err
}

// regionName is the name of a region behind that of the town that it lies in; its code where the names are not on record.
func regionName(tx ReadTx, code string) (string, error) {
	name, err := placeName(tx, code)
	if err != nil || name == code {
		return name, err
	}
	if town := casework.UnitOf(code); town != code {
		above, err := regionName(tx, town)
		return above + " " + name, err
	}
	return name, nil
}
