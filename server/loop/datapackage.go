package loop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// PackagesMade says what became of a month's packages.
type PackagesMade struct {
	Made      int
	Unchanged int      // on record already
	Waiting   []string // sources that cannot be packed yet, with the reason
}

// packing is one package to be made.
type packing struct {
	need, month, dept string
	source            *casework.Source
	columns           []string
}

func (p *packing) ref() syncproto.Ref {
	return syncproto.Ref{Kind: "data_package", ID: syncproto.DerivedID("data_package", p.need+"|"+p.month)}
}

// MakePackages makes a month's packages: one for every approved need that is served by month, and those that the notice
// asks for by itself. What is on record already stays as it is, unless it was returned.
func (l *Loop) MakePackages(ctx context.Context, by casework.Actor, month string) (*PackagesMade, error) {
	if !casework.ValidMonth(month) || month > l.dayOr("")[:7] {
		return nil, casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子,且不晚于本月。")
	}
	if err := by.May(casework.VerbShareData, casework.Subject{Kind: "data_package", Region: by.Region}); err != nil {
		return nil, err
	}
	if _, err := casework.DataPackageMachine.Next("", "make", by.Role, casework.Facts{}); err != nil {
		return nil, err
	}
	return l.makePackages(ctx, by, month)
}

// MakeDuePackages makes the packages of this month in every county whose request day is over: nobody has to think of it. It
// returns how many were made.
func (l *Loop) MakeDuePackages(ctx context.Context) (n int, err error) {
	today := l.dayOr("")
	counties, err := l.counties(ctx)
	if err != nil {
		return 0, err
	}
	var standards casework.Standards
	if err := l.store.Read(ctx, func(tx ReadTx) (err error) { standards, err = readStandards(tx); return err }); err != nil {
		return 0, err
	}
	for _, county := range counties {
		day, err := standards.Term(casework.StdShareDay, casework.Place{Region: county}, today)
		if err != nil {
			return n, err
		}
		if today <= casework.ShareDay(today[:7], day) {
			continue
		}
		made, err := l.makePackages(ctx, systemOf(county), today[:7])
		if made != nil {
			n += made.Made
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (l *Loop) makePackages(ctx context.Context, by casework.Actor, month string) (*PackagesMade, error) {
	out := &PackagesMade{}
	var list []packing
	err := l.store.Read(ctx, func(tx ReadTx) (err error) { list, err = packings(tx, by.Region, month); return err })
	for i := range list {
		if err != nil {
			return out, err
		}
		var made bool
		made, err = l.makePackage(ctx, by, &list[i])
		switch {
		case casework.CodeOf(err) == casework.CodeGuardFailed:
			out.Waiting = append(out.Waiting, list[i].source.Label+":"+casework.MessageOf(err))
			err = nil
		case err == nil && made:
			out.Made++
		case err == nil:
			out.Unchanged++
		}
	}
	return out, err
}

// packings are the packages that a month asks for.
func packings(tx ReadTx, region, month string) (list []packing, err error) {
	for i := range casework.Sources {
		if s := &casework.Sources[i]; s.Monthly != "" {
			list = append(list, packing{need: s.Code + "|" + casework.CountyOf(region), month: month, dept: s.Monthly, source: s, columns: s.Names()})
		}
	}
	err = eachFound(tx, Query{Kind: "data_need", States: []string{"approved"}, Region: casework.RegionPrefix(region), Limit: 500}, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err != nil || b.Str("mode") != "monthly" || b.Str("first_month") > month || ended(b, month) {
			return err
		}
		source, ok := casework.SourceOf(b.Str("source"))
		if ok {
			list = append(list, packing{need: s.Ref.ID, month: month, dept: strings.Clone(b.Str("dept")), source: source, columns: listOf(b, "columns")})
		}
		return nil
	})
	return list, err
}

// makePackage reads a package's rows, keeps them, and writes its manifest.
func (l *Loop) makePackage(ctx context.Context, by casework.Actor, p *packing) (made bool, err error) {
	var rows []LoadRow
	unnamed, sum := 0, sha256.New()
	load := &Load{Dataset: packageSet(p.ref().ID), By: by.UserID}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		rows, unnamed = nil, 0
		sum.Reset()
		if s, err := tx.Record(p.ref()); err == nil && s.Index.State != "returned" {
			return errMade
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		told, err := toldBefore(tx, p)
		if err != nil {
			return err
		}
		s, err := l.newSharing(tx, by.Region, p.source.Code, p.columns)
		if err != nil {
			return err
		}
		sealer := l.datasetSealer()
		err = s.each(told, nil, func(r SharedRow) error {
			line, err := json.Marshal(r.Cells)
			if err != nil {
				return err
			}
			sum.Write(append(line, '\n'))
			cells := syncproto.Fields(map[string]any{"cells": anys(r.Cells)})
			rows = append(rows, LoadRow{Line: len(rows) + 1, Key: r.Key, Subject: sealer.Seal(subjectRef(load.Dataset), r.Key, cells.Bytes())})
			return ctx.Err()
		})
		unnamed = s.unnamed
		return err
	})
	if errors.Is(err, errMade) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	load.SHA256, load.Rows = hex.EncodeToString(sum.Sum(nil)), len(rows)
	if err := l.run(ctx, func(w *work) error { load.At = w.now; return w.tx.PutLoad(load) }); err != nil {
		return false, err
	}
	if err := l.storeRows(ctx, load, rows); err != nil {
		return false, err
	}
	err = l.writeManifest(ctx, by, p, load, unnamed)
	if casework.CodeOf(err) == casework.CodeInvalidTransition {
		return false, nil // somebody else has made it meanwhile, and its manifest names other rows
	}
	return err == nil, err
}

var errMade = errors.New("the package is on record")

// packageSet names a package's rows among the loads of datasets.
func packageSet(id string) string { return "package:" + id }

// toldBefore are the keys that former packages of what is new have told of.
func toldBefore(tx ReadTx, p *packing) (told map[string]bool, err error) {
	if !p.source.New() {
		return nil, nil
	}
	told = map[string]bool{}
	err = eachFound(tx, Query{Kind: "data_package", Limit: 500}, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err != nil || b.Str("need") != p.need || b.Str("month") >= p.month || s.Index.State == "returned" {
			return err
		}
		return tx.LoadRows(b.Int("load"), func(r LoadRow) error { told[strings.Clone(r.Key)] = true; return nil })
	})
	return told, err
}

func (l *Loop) writeManifest(ctx context.Context, by casework.Actor, p *packing, load *Load, unnamed int) error {
	key := randomKey()
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.open(p.ref())
		if err != nil {
			return err
		}
		f := map[string]any{"rows": load.Rows, "unnamed": unnamed, "sha256": load.SHA256, "load": load.N, "made_at": w.clockTime()}
		if d.exists {
			err = g.step(d, "make", by.Role, casework.Facts{}, f)
		} else {
			if f["state"], err = casework.DataPackageMachine.Next("", "make", by.Role, casework.Facts{}); err != nil {
				return err
			}
			f["need"], f["month"], f["dept"], f["from_dept"], f["source"], f["columns"] = p.need, p.month, p.dept, p.source.Dept, p.source.Code, anys(p.columns)
			err = g.putRoot(p.ref(), syncproto.BucketDesk+by.Region, key, f)
		}
		if err != nil {
			return err
		}
		w.auditBy(by, "make_package", p.ref(), p.ref(), map[string]any{"source": p.source.Code, "month": p.month, "rows": load.Rows})
		return g.commit()
	})
}

// Package is a package with its rows, as its department takes it.
type Package struct {
	ID, Month, Dept, FromDept, SHA256, MadeAt string
	Source                                    *casework.Source
	Columns                                   []casework.Column
	Rows                                      [][]string
}

// FetchPackage opens a package for the department that it is for. The last time before its receipt stands in its
// record, every time in the audit.
func (l *Loop) FetchPackage(ctx context.Context, by casework.Actor, id string) (out *Package, err error) {
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbShareData, syncproto.Ref{Kind: "data_package", ID: id})
		if err != nil {
			return err
		}
		b := d.rec.Body
		if b.Str("state") == "taken" { // what was signed for can be read again
			_, err = casework.DataPackageMachine.Next("fetched", "fetch", by.Role, sharingFacts(by, b))
		} else {
			err = g.step(d, "fetch", by.Role, sharingFacts(by, b), map[string]any{"fetched_at": w.clockTime()})
		}
		if err != nil {
			return err
		}
		out = &Package{ID: id, Month: b.Str("month"), Dept: b.Str("dept"), FromDept: b.Str("from_dept"), SHA256: b.Str("sha256"), MadeAt: b.Str("made_at"), Rows: [][]string{}}
		var ok bool
		if out.Source, ok = casework.SourceOf(b.Str("source")); !ok {
			return fmt.Errorf("the package %s is of the unknown source %q", id, b.Str("source"))
		}
		if out.Columns, err = out.Source.Pick(listOf(b, "columns")); err != nil {
			return err
		}
		if err := w.packageRows(id, b.Int("load"), out); err != nil {
			return err
		}
		w.auditBy(by, "fetch_package", d.rec.Ref, d.rec.Ref, map[string]any{"rows": len(out.Rows)})
		return g.commit()
	})
	return out, err
}

func (w *work) packageRows(id string, load int64, out *Package) error {
	return w.tx.LoadRows(load, func(r LoadRow) error {
		row, err := w.l.openSubject(packageSet(id), r.Key, slices.Clone(r.Subject))
		if err == nil {
			out.Rows = append(out.Rows, listOf(row, "cells"))
		}
		return err
	})
}

// TakePackage signs for a package, with the number of rows that arrived, or returns it with a reason (open, at most 500
// characters), so that it is made anew.
func (l *Loop) TakePackage(ctx context.Context, by casework.Actor, id string, rows int, rejected string) error {
	rejected = clipRunes(strings.TrimSpace(rejected), 500)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbShareData, syncproto.Ref{Kind: "data_package", ID: id})
		if err != nil {
			return err
		}
		facts := sharingFacts(by, d.rec.Body)
		facts.Reasoned, facts.Counted = rejected != "", int64(rows) == d.rec.Body.Int("rows")
		action, f := "receive", map[string]any{"received_by": by.UserID, "received_at": w.clockTime()}
		if rejected != "" {
			action, f = "reject", map[string]any{"reason": rejected}
		}
		if err := g.step(d, action, by.Role, facts, f); err != nil {
			return err
		}
		w.auditBy(by, action+"_package", d.rec.Ref, d.rec.Ref, nil)
		return g.commit()
	})
}
