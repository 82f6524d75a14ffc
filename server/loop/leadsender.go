package loop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// LeadSender is how a sender writes his tables of leads: his headings, by the fields of a lead that they stand for, and his
// words for lead types, by their codes.
type LeadSender struct {
	Columns map[string]string `json:"columns"`
	Types   map[string]string `json:"types,omitempty"`
}

// leadFields are what a heading can stand for.
var leadFields = []string{"ref", "name", "id", "phone", "town", "village", "address", "type", "reason", "date"}

// The bounds of what is remembered.
const (
	maxSenders  = 100 // of a county
	maxHeadings = 100 // of a sender, and as many words
)

func (s *LeadSender) check() error {
	if len(s.Columns) > maxHeadings || len(s.Types) > maxHeadings {
		return casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("一个来源最多记%d个列名和%d个类型。", maxHeadings, maxHeadings))
	}
	for heading, field := range s.Columns {
		if heading == "" || len(heading) > 200 || !slices.Contains(leadFields, field) {
			return casework.NewError(casework.CodeInvalidValue, "列“"+clipRunes(heading, 50)+"”应对应ref、name、id、phone、town、village、address、type、reason或date。")
		}
	}
	for word, code := range s.Types {
		if word == "" || len(word) > 200 || !casework.ValidEnum("lead_type", code) {
			return casework.NewError(casework.CodeInvalidValue, "类型“"+clipRunes(word, 50)+"”应对应线索类型的代码。")
		}
	}
	return nil
}

// PutLeadSender remembers how a sender writes, so that nobody maps his columns twice.
func (l *Loop) PutLeadSender(ctx context.Context, by casework.Actor, name string, s LeadSender) error {
	if err := by.May(casework.VerbImportLeads, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return err
	}
	if name == "" || len([]rune(name)) > 64 {
		return casework.NewError(casework.CodeInvalidValue, "请填写来源名称,最多64个字。")
	}
	if err := s.check(); err != nil {
		return err
	}
	return l.run(ctx, func(w *work) error {
		all, err := senders(w.tx, by.Region)
		if err != nil {
			return err
		}
		if all[name] = s; len(all) > maxSenders {
			return casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("最多记%d个来源。", maxSenders))
		}
		b, err := json.Marshal(all)
		if err != nil {
			return err
		}
		w.auditBy(by, "put_sender", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"sender": name})
		return w.tx.PutSetting(sendersSetting(by.Region), string(b))
	})
}

// LeadSenders lists what is remembered of all senders of the caller's county, by their names.
func (l *Loop) LeadSenders(ctx context.Context, by casework.Actor) (all map[string]LeadSender, err error) {
	if err := by.May(casework.VerbImportLeads, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return nil, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error { all, err = senders(tx, by.Region); return err })
	return all, err
}

// Sheet is a table of leads as it came.
type Sheet struct {
	Source  string // of the list "lead_source"
	Sender  string // whose headings and words are understood; "" for nobody's own
	Preview bool   // nothing is written
	// Read finds the rows, given the sender's own headings by the fields of a lead that they stand for.
	Read func(columns map[string]string) ([]LeadRow, error)
}

// ImportSheet takes leads from a sender's table, see ImportLeads.
func (l *Loop) ImportSheet(ctx context.Context, by casework.Actor, in Sheet) (*Report, error) {
	var sender LeadSender
	if in.Sender != "" {
		all, err := l.LeadSenders(ctx, by)
		if err != nil {
			return nil, err
		}
		var ok bool
		if sender, ok = all[in.Sender]; !ok {
			return nil, casework.NewError(casework.CodeInvalidValue, "没有记过这个来源,请先设置它的列名。")
		}
	}
	rows, err := in.Read(sender.Columns)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if t, ok := sender.Types[rows[i].Type]; ok {
			rows[i].Type = t
		}
	}
	return l.importLeads(ctx, by, in.Source, rows, in.Preview)
}

func sendersSetting(region string) string { return "lead_senders:" + casework.CountyOf(region) }

func senders(tx ReadTx, region string) (map[string]LeadSender, error) {
	all := map[string]LeadSender{}
	text, err := tx.Setting(sendersSetting(region))
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &all)
	}
	if err != nil {
		return nil, errors.Join(errors.New("read lead senders"), err)
	}
	return all, nil
}
