package loop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// DatasetLine is one line of a department's table: the person, and the cells of the dataset's columns in their order.
type DatasetLine struct {
	Row      int
	IDNumber string
	Name     string // with Town needed where a lead is to be made of somebody who is not on record
	Town     string
	Village  string
	Cells    []string
}

// MaxDatasetRows bounds one load.
const MaxDatasetRows = 1_000_000

// datasetChunk is how many rows share a transaction.
const datasetChunk = 2000

// maxRefusals bounds the refused rows that a report names.
const maxRefusals = 1000

// LoadReport says what became of a dataset.
type LoadReport struct {
	Dataset   string
	Rows      int
	Refused   int
	Unchanged bool // the same content was the newest load already
	Refusals  []RowReport
}

// LoadDataset takes a department's list as the newest snapshot of a dataset; former ones are kept. A bad row is refused
// with its reason and stops nothing. The same content again changes nothing. Identity numbers are not stored: a keyed
// index stands in for them, and who a row is about is sealed.
func (l *Loop) LoadDataset(ctx context.Context, by casework.Actor, code string, lines []DatasetLine) (*LoadReport, error) {
	d, ok := casework.DatasetOf(code)
	if !ok {
		return nil, casework.NewError(casework.CodeInvalidValue, "没有这个数据集,请从列表中选择。")
	}
	if err := by.May(casework.VerbLoadDataset, casework.Subject{Kind: "dataset", Region: by.Region, Dept: d.Dept}); err != nil {
		return nil, err
	}
	if len(lines) > MaxDatasetRows {
		return nil, casework.NewError("too_large", fmt.Sprintf("一次最多导入%d行,请分批导入。", MaxDatasetRows))
	}
	rep := &LoadReport{Dataset: code}
	rows, sum := l.cleanLines(d, lines, rep)
	var load *Load
	err := l.run(ctx, func(w *work) error {
		load = &Load{Dataset: code, SHA256: sum, By: by.UserID, At: w.now, Rows: len(rows)}
		last, err := w.tx.LastLoad(code)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if rep.Unchanged = err == nil && last.SHA256 == sum; rep.Unchanged {
			return nil
		}
		w.auditBy(by, "load_dataset", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"dataset": code, "rows": len(rows), "refused": rep.Refused})
		return w.tx.PutLoad(load)
	})
	if err != nil || rep.Unchanged {
		return rep, err
	}
	return rep, l.storeRows(ctx, load, rows)
}

// storeRows writes a load's rows, several thousand at a time so that phones need not wait, and only then says that it is
// done. What was begun and not ended is never read.
func (l *Loop) storeRows(ctx context.Context, load *Load, rows []LoadRow) error {
	for start := 0; start < len(rows); start += datasetChunk {
		chunk := rows[start:min(start+datasetChunk, len(rows))]
		err := l.run(ctx, func(w *work) error {
			for _, r := range chunk {
				if err := w.tx.PutLoadRow(load.N, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	load.Done = true
	return l.run(ctx, func(w *work) error { return w.tx.PutLoad(load) })
}

// cleanLines checks every line and hashes what is taken: SHA-256 over the key, the cells and the subject of each.
func (l *Loop) cleanLines(d *casework.Dataset, lines []DatasetLine, rep *LoadReport) (rows []LoadRow, sum string) {
	h := sha256.New()
	sealer := l.datasetSealer()
	for _, line := range lines {
		id, err := casework.NormalizeIDNumber(line.IDNumber)
		var cells []string
		if err == nil {
			cells, err = d.Clean(line.Cells)
		}
		if err != nil {
			if rep.Refused++; len(rep.Refusals) < maxRefusals {
				rep.Refusals = append(rep.Refusals, RowReport{Row: line.Row, Status: "refused", Message: casework.MessageOf(err)})
			}
			continue
		}
		r := LoadRow{Line: line.Row, Key: l.secrets.blind("id_no", id), Cells: cells}
		if name := clipRunes(strings.TrimSpace(line.Name), 64); name != "" {
			who := syncproto.Fields(map[string]any{"name": name, "id_no": id, "town": clipRunes(line.Town, 64), "village": clipRunes(line.Village, 64)})
			r.Subject = sealer.Seal(subjectRef(d.Code), r.Key, who.Bytes())
		}
		fmt.Fprintf(h, "%s %q %s\n", r.Key, r.Cells, r.Subject)
		rows = append(rows, r)
	}
	rep.Rows = len(rows)
	return rows, hex.EncodeToString(h.Sum(nil))
}

// datasetSealer seals who a row is about; the field is the row's key.
func (l *Loop) datasetSealer() *syncproto.Sealer { return syncproto.NewSealer(l.secrets.DatasetKey()) }

func subjectRef(dataset string) syncproto.Ref { return syncproto.Ref{Kind: "dataset", ID: dataset} }

// DatasetStatus is a dataset with its newest load.
type DatasetStatus struct {
	casework.Dataset
	Last *Load // nil where none was ever loaded
}

// Datasets lists the datasets that the caller may load, with the newest load of each.
func (l *Loop) Datasets(ctx context.Context, by casework.Actor) (list []DatasetStatus, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []DatasetStatus{}
		for _, d := range casework.Datasets {
			if by.May(casework.VerbLoadDataset, casework.Subject{Kind: "dataset", Region: by.Region, Dept: d.Dept}) != nil {
				continue
			}
			last, err := tx.LastLoad(d.Code)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			list = append(list, DatasetStatus{d, last})
		}
		return nil
	})
	if err == nil && len(list) == 0 {
		err = casework.NewError(casework.CodeForbidden, "您的岗位没有这项权限,如有需要请联系管理员。")
	}
	return list, err
}
