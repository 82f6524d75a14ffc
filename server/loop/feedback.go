package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// FeedBack sends a verified disposition back to where the lead came from and to the worker who made the visit, and
// closes the lead.
func (l *Loop) FeedBack(ctx context.Context, by casework.Actor, disposition string) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbFeedBack, syncproto.Ref{Kind: "disposition", ID: disposition})
		if err != nil {
			return err
		}
		lead, err := g.leadOf(d)
		if err != nil {
			return err
		}
		if err := g.step(lead, "feed_back", by.Role, casework.Facts{}, map[string]any{"fed_back_at": w.clockTime()}); err != nil {
			return err
		}
		if _, err := g.serverSet(d.rec.Ref, map[string]any{"fed_back_at": w.clockTime()}); err != nil {
			return err
		}
		if err := g.step(lead, "close", casework.RoleSystem, casework.Facts{FedBack: true}, nil); err != nil {
			return err
		}
		title := "处置结果已核定:" + casework.Label("disposition", d.rec.Body.Str("result"))
		reason, err := g.text(d, "reason")
		if err != nil {
			return err
		}
		if err := g.notify(lead.rec.Body.Str("assignee"), "disposition", title, reason, d.rec.Ref); err != nil {
			return err
		}
		w.auditBy(by, "feed_back", d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// notify leaves a notice in a user's own bucket.
func (g *group) notify(user, kind, title, text string, about syncproto.Ref) error {
	if user == "" {
		return nil
	}
	return g.notice(syncproto.Ref{Kind: "notice", ID: g.w.l.newID()}, user, kind, title, text, about)
}

// notice writes a notice under an id.
func (g *group) notice(ref syncproto.Ref, user, kind, title, text string, about syncproto.Ref) error {
	_, err := g.serverPut(ref, userRoot(user), syncproto.BucketUser+user, syncproto.Fields(map[string]any{
		"kind": kind, "title": title, "text": optional(text), "ref_kind": about.Kind, "ref_id": about.ID, "created_at": g.w.clockTime()}))
	return err
}
