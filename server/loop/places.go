package loop

import (
	"context"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// places knows the regions of the ref bucket by code and by name.
type places struct {
	byCode map[string]syncproto.Object
	towns  map[string]string            // name → code
	inTown map[string]map[string]string // town code → village name → code
}

func (l *Loop) places(ctx context.Context) (*places, error) {
	p := &places{map[string]syncproto.Object{}, map[string]string{}, map[string]map[string]string{}}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		return tx.Feed(syncproto.BucketRef, 0, func(e Entry) (bool, error) {
			if e.Ref.Kind != "region" || e.Deleted || e.Exit {
				return true, nil
			}
			body, err := syncproto.ParseObject(append(syncproto.Raw(nil), e.Body...))
			if err != nil {
				return false, err
			}
			p.add(body)
			return true, nil
		})
	})
	return p, err
}

func (p *places) add(body syncproto.Object) {
	code, name := body.Str("code"), body.Str("name")
	p.byCode[code] = body
	switch body.Str("level") {
	case "town":
		p.towns[name] = code
	case "village":
		town := body.Str("parent")
		if p.inTown[town] == nil {
			p.inTown[town] = map[string]string{}
		}
		p.inTown[town][name] = code
	}
}

// town and village resolve a code or a name; short names without 镇, 村 or 社区 are understood where they are unique.
func (p *places) town(s string) string {
	s = strings.TrimSpace(s)
	if r, ok := p.byCode[s]; ok && r.Str("level") == "town" {
		return s
	}
	return lookup(p.towns, s)
}

func (p *places) village(town, s string) string {
	s = strings.TrimSpace(s)
	if r, ok := p.byCode[s]; ok && r.Str("level") == "village" && r.Str("parent") == town {
		return s
	}
	return lookup(p.inTown[town], s)
}

func lookup(names map[string]string, s string) string {
	if code, ok := names[s]; ok || s == "" {
		return code
	}
	found := ""
	for name, code := range names {
		if strings.HasPrefix(name, s) {
			if found != "" {
				return ""
			}
			found = code
		}
	}
	return found
}

// check turns a row into the fields of a lead, or says which column is wrong and what to do.
func (p *places) check(row LeadRow) (lead map[string]any, field, message string) {
	clean := func(s string, n int) string { return clipRunes(strings.TrimSpace(s), n) }
	name := clean(row.SubjectName, 64)
	town := p.town(row.Town)
	village := p.village(town, row.Village)
	id, idErr := casework.NormalizeIDNumber(row.IDNumber)
	switch {
	case strings.TrimSpace(row.SourceRef) == "" || len(row.SourceRef) > 128:
		return nil, "source_ref", "缺少线索编号,请补上后重新导入。"
	case name == "":
		return nil, "subject_name", "缺少姓名,请补上后重新导入。"
	case strings.TrimSpace(row.IDNumber) != "" && idErr != nil:
		return nil, "subject_id_no", casework.MessageOf(idErr)
	case !casework.ValidEnum("lead_type", row.Type):
		return nil, "lead_type", "预警类型不认识,请使用模板中的类型。"
	case town == "":
		return nil, "town", "找不到这个镇(街道),请核对名称。"
	case village == "" && strings.TrimSpace(row.Village) != "":
		return nil, "village", "这个镇没有这个村(社区),请核对名称。"
	case row.IssuedOn != "" && !validDate(row.IssuedOn):
		return nil, "issued_on", "日期应写成2026-01-31的样子。"
	}
	lead = map[string]any{"lead_type": row.Type, "subject_name": name, "town": town}
	for field, value := range map[string]string{"subject_id_no": id, "subject_phone": clean(row.Phone, 32), "village": village,
		"address": clean(row.Address, 200), "reason": clean(row.Reason, 1000), "issued_on": row.IssuedOn} {
		if value != "" {
			lead[field] = value
		}
	}
	return lead, "", ""
}

func validDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
