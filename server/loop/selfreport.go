package loop

import (
	"cmp"
	"context"
	"slices"

	"aidloop/server/casework"
)

// Region is a place that people choose on the public pages.
type Region struct {
	Code, Name string
	Villages   []Region // of a town
}

// Villages lists the towns with their villages, in order of codes.
func (l *Loop) Villages(ctx context.Context) ([]Region, error) {
	p, err := l.places(ctx)
	if err != nil {
		return nil, err
	}
	list := []Region{}
	for name, code := range p.towns {
		r := Region{Code: code, Name: name}
		for village, code := range p.inTown[code] {
			r.Villages = append(r.Villages, Region{Code: code, Name: village})
		}
		slices.SortFunc(r.Villages, byCode)
		list = append(list, r)
	}
	slices.SortFunc(list, byCode)
	return list, nil
}

func byCode(a, b Region) int { return cmp.Compare(a.Code, b.Code) }

// RegionPage is a town or a village by its code, or ErrNotFound.
func (l *Loop) RegionPage(ctx context.Context, code string) (Region, error) {
	towns, err := l.Villages(ctx)
	if err != nil {
		return Region{}, err
	}
	for _, t := range towns {
		if t.Code == code {
			return t, nil
		}
		for _, v := range t.Villages {
			if v.Code == code {
				v.Name = t.Name + v.Name
				return v, nil
			}
		}
	}
	return Region{}, ErrNotFound
}

// SelfReport is what somebody types into the public form who is in hardship, or knows of somebody.
type SelfReport struct {
	Name, Phone, Village, Address, Text string
}

// SelfReport makes a lead of a report that somebody handed in himself; the county dispatches it like any other. The receipt
// is what the sender can name later.
func (l *Loop) SelfReport(ctx context.Context, in SelfReport) (receipt string, err error) {
	name, err := casework.PublicText("姓名", in.Name, 1, casework.MaxPublicName)
	if err != nil {
		return "", err
	}
	phone, err := casework.PublicPhone(in.Phone)
	if err == nil && phone == "" {
		err = casework.NewError(casework.CodeInvalidValue, "请填写联系电话,方便工作人员与您联系。")
	}
	if err != nil {
		return "", err
	}
	address, err := casework.PublicText("住址", in.Address, 0, 100)
	if err != nil {
		return "", err
	}
	text, err := casework.PublicText("困难情况", in.Text, 5, casework.MaxPublicText)
	if err != nil {
		return "", err
	}
	places, err := l.places(ctx)
	if err != nil {
		return "", err
	}
	village, ok := places.byCode[in.Village]
	if !ok || village.Str("level") != "village" {
		return "", casework.NewError(casework.CodeInvalidValue, "请选择所在的村(社区)。")
	}
	receipt = spoken(8)
	town := village.Str("parent")
	err = l.run(ctx, func(w *work) error {
		rep, err := w.importLead(w.newGroup(), public(town), "self_report", LeadRow{SourceRef: receipt, Type: "suspected_missed", SubjectName: name, Phone: phone,
			Town: town, Village: in.Village, Address: address, Reason: text, IssuedOn: l.dayOr("")}, places)
		if err == nil && rep.Status == "refused" {
			err = casework.NewError(casework.CodeInvalidValue, rep.Message)
		}
		return err
	})
	return receipt, err
}
