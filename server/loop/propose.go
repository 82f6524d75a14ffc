package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Proposal is what a town wants done with a lead.
type Proposal struct {
	Lead       string
	Result     string   // an enum value of disposition
	Categories []string // with included or already_covered
	Reason     string
}

// Propose puts a town's disposition of a lead before the county. Unless the lead is a duplicate it needs an approved
// visit. The proposal is what must be made in time.
func (l *Loop) Propose(ctx context.Context, by casework.Actor, in Proposal) (id string, err error) {
	if err := in.check(); err != nil {
		return "", err
	}
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		lead, err := g.visible(by, casework.VerbPropose, syncproto.Ref{Kind: "lead", ID: in.Lead})
		if err != nil {
			return err
		}
		facts := casework.Facts{Result: in.Result}
		if facts.HasApprovedVisit, err = g.hasApprovedVisit(lead); err != nil {
			return err
		}
		id = syncproto.DerivedID("disposition", in.Lead)
		if lead.rec.Body.Str("state") == "county_returned" {
			if err := g.step(lead, "reopen", by.Role, casework.Facts{}, nil); err != nil {
				return err
			}
		}
		if err := g.step(lead, "propose", by.Role, facts, map[string]any{"disposition": id}); err != nil {
			return err
		}
		if err := g.step(lead, "submit_county", casework.RoleSystem, facts, nil); err != nil {
			return err
		}
		if err := g.putDisposition(lead, by, id, in); err != nil {
			return err
		}
		w.auditBy(by, "propose", lead.rec.Ref, lead.rec.Root, map[string]any{"result": in.Result})
		return g.commit()
	})
	return id, err
}

func (in *Proposal) check() error {
	if !casework.ValidEnum("disposition", in.Result) {
		return casework.NewError("invalid_value", "处置结果不正确,请从列表中选择。")
	}
	for _, c := range in.Categories {
		if !casework.ValidEnum("category", c) {
			return casework.NewError("invalid_value", "救助类别不正确,请从列表中选择。")
		}
	}
	if in.Result == "included" {
		if err := casework.CheckDecision(in.Categories); err != nil {
			return err
		}
	}
	if in.Reason = clipRunes(in.Reason, 1000); in.Reason == "" {
		return casework.NewError("invalid_value", "请写明处置理由。")
	}
	return nil
}

// putDisposition writes the proposal; a second one after the county returned the first replaces its words, and the
// former ones stay in the history.
func (g *group) putDisposition(lead *draft, by casework.Actor, id string, in Proposal) error {
	categories := make([]any, len(in.Categories))
	for i, c := range in.Categories {
		categories[i] = c
	}
	body := lead.rec.Body
	f := map[string]any{"lead": in.Lead, "household": optional(body.Str("household")), "visit": optional(body.Str("visit")),
		"result": in.Result, "categories": categories, "reason": in.Reason, "proposed_by": by.UserID, "proposed_at": g.w.clockTime()}
	ref := syncproto.Ref{Kind: "disposition", ID: id}
	d, err := g.open(ref)
	if err != nil {
		return err
	}
	if d.exists {
		f["returned_reason"] = nil
		return g.step(d, "repropose", by.Role, casework.Facts{}, f)
	}
	f["state"] = "proposed"
	_, err = g.serverPut(ref, lead.rec.Root, lead.bucket, syncproto.Fields(f))
	return err
}

func (g *group) hasApprovedVisit(lead *draft) (bool, error) {
	id := lead.rec.Body.Str("visit")
	if id == "" {
		return false, nil
	}
	v, err := g.live(syncproto.Ref{Kind: "visit", ID: id})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && v.rec.Body.Str("state") == "approved", err
}
