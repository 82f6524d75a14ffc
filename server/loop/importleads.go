package loop

import (
	"context"
	"crypto/rand"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// LeadRow is one lead as a sender's table has it. Row is its line there, for the report.
type LeadRow struct {
	Row         int
	SourceRef   string // the sender's own number; the same number again is the same lead
	Type        string
	SubjectName string
	IDNumber    string
	Phone       string
	Town        string // a 12-digit code, or a name
	Village     string
	Address     string
	Reason      string
	IssuedOn    string   // "2006-01-02"
	Depts       []string // who should act, where matching knows; TOWN is the town
}

// RowReport says what became of one row.
type RowReport struct {
	Row     int    `json:"row"`
	Status  string `json:"status" enum:"imported,unchanged,refused"`
	Lead    string `json:"lead,omitempty"`
	Linked  bool   `json:"linked,omitempty"` // the person is in the pool already
	Field   string `json:"field,omitempty"`
	Message string `json:"message,omitempty"`
	// Password is the first one of an account that was made; it is shown here and kept nowhere.
	Password string `json:"password,omitempty"`
}

// Report says what became of a whole table.
type Report struct {
	Imported  int         `json:"imported"`
	Unchanged int         `json:"unchanged"`
	Refused   int         `json:"refused"`
	Rows      []RowReport `json:"rows"`
}

// MaxImportRows bounds one table.
const MaxImportRows = 20000

// importChunk is how many rows share a transaction, so that a long table does not hold up the phones.
const importChunk = 200

// ImportLeads takes leads from a sender's table. A bad row is refused with its reason and stops nothing; a row that is
// on record already (same source and number) is left as it is, so that a table can be sent again. A department's officer
// pushes what his department found, under its own numbers.
func (l *Loop) ImportLeads(ctx context.Context, by casework.Actor, source string, rows []LeadRow) (*Report, error) {
	return l.importLeads(ctx, by, source, rows, false)
}

func (l *Loop) importLeads(ctx context.Context, by casework.Actor, source string, rows []LeadRow, preview bool) (*Report, error) {
	if by.Role == casework.RoleDeptOfficer {
		if err := by.May(casework.VerbPushLeads, casework.Subject{Kind: "dataset", Region: by.Region, Dept: by.Dept}); err != nil {
			return nil, err
		}
		source = "department"
		rows = slices.Clone(rows)
		for i := range rows {
			if rows[i].SourceRef != "" {
				rows[i].SourceRef = by.Dept + "|" + rows[i].SourceRef
			}
		}
	} else if err := by.May(casework.VerbImportLeads, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return nil, err
	}
	if !casework.ValidEnum("lead_source", source) {
		return nil, casework.NewError("invalid_value", "线索来源不正确,请选择省级下发、数据比对、群众申报、部门推送或走访发现。")
	}
	places, err := l.places(ctx)
	if err != nil {
		return nil, err
	}
	return l.importRows(ctx, len(rows), preview, func(w *work, i int) (RowReport, error) {
		return w.importLead(w.newGroup(), by, source, rows[i], places)
	})
}

func (r *Report) add(rows []RowReport) {
	r.Rows = append(r.Rows, rows...)
	for _, row := range rows {
		switch row.Status {
		case "imported":
			r.Imported++
		case "unchanged":
			r.Unchanged++
		default:
			r.Refused++
		}
	}
}

func (w *work) importLead(g *group, by casework.Actor, source string, row LeadRow, places *places) (RowReport, error) {
	rep := RowReport{Row: row.Row, Status: "refused"}
	lead, field, message := places.check(row)
	if message != "" {
		rep.Field, rep.Message = field, message
		return rep, nil
	}
	ref := syncproto.Ref{Kind: "lead", ID: syncproto.DerivedID("lead", source+"|"+row.SourceRef)}
	rep.Lead = ref.ID
	d, err := g.open(ref)
	if err != nil {
		return rep, err
	}
	if d.exists {
		rep.Status = "unchanged"
		return rep, nil
	}
	lead["source"], lead["source_ref"], lead["state"] = source, row.SourceRef, "new"
	if len(row.Depts) > 0 {
		lead["depts"] = anys(row.Depts)
	}
	household, err := w.householdOf(lead["subject_id_no"])
	if err != nil {
		return rep, err
	}
	if household != "" {
		lead["household"], rep.Linked = household, true
	}
	if err := g.putRoot(ref, syncproto.BucketDesk+by.Region, randomKey(), lead); err != nil {
		return rep, err
	}
	w.auditBy(by, "import_lead", ref, ref, nil)
	rep.Status = "imported"
	return rep, g.commit()
}

// randomKey is a new case's key.
func randomKey() (key syncproto.Key) {
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return key
}

// putRoot writes the root of a new case, with the record of its key.
func (g *group) putRoot(ref syncproto.Ref, bucket string, key syncproto.Key, values map[string]any) error {
	carrier, keyFields, err := g.w.newCaseKey(ref, bucket, key)
	if err != nil {
		return err
	}
	if _, err := g.serverPut(carrier, ref, bucket, keyFields); err != nil {
		return err
	}
	return g.putValues(ref, ref, bucket, values)
}

// householdOf finds the household of a person of the pool by the blind index of the identity number.
func (w *work) householdOf(idNumber any) (string, error) {
	s, _ := idNumber.(string)
	if s == "" {
		return "", nil
	}
	refs, err := w.tx.ByBlind(w.l.secrets.blind("id_no", s))
	if err != nil {
		return "", err
	}
	for _, ref := range refs {
		if ref.Kind != "person" {
			continue
		}
		p, err := w.stored(ref)
		if err != nil {
			return "", err
		}
		if p != nil && !p.Deleted && p.Root.Kind == "household" {
			return p.Root.ID, nil
		}
	}
	return "", nil
}
