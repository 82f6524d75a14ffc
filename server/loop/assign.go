package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Assign gives a lead to a grid worker. A lead whose person is in the pool moves under the household, so that several
// leads of one household become one visit; another one moves to the worker's grid as it is. The worker's phone learns
// of it at its next sync, with a task.
func (l *Loop) Assign(ctx context.Context, by casework.Actor, lead, userID, grid string) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "lead", ID: lead}
		d, err := g.visible(by, casework.VerbAssign, ref)
		if err != nil {
			return err
		}
		u, err := w.tx.User(userID)
		if errors.Is(err, ErrNotFound) || err == nil && (casework.Role(u.Role) != casework.RoleGridWorker || !casework.Covers(by.Region, u.Region)) {
			return casework.NewError("invalid_value", "请选择本镇的网格员。")
		}
		if err != nil {
			return err
		}
		root, bucket, err := g.target(d, u, grid)
		if err != nil {
			return err
		}
		if err := g.step(d, "assign", by.Role, casework.Facts{}, map[string]any{"assignee": u.ID, "grid": gridOf(bucket)}); err != nil {
			return err
		}
		if err := w.grant(g, u, bucket); err != nil {
			return err
		}
		if err := g.moveRoot(d.rec.Root, root, bucket); err != nil {
			return err
		}
		if err := g.openTask(d, u.ID, "visit", "入户核实", nil); err != nil {
			return err
		}
		w.auditBy(by, "assign", ref, root, map[string]any{"assignee": u.ID})
		return g.commit()
	})
}

// target says under which root and in which bucket an assigned lead belongs.
func (g *group) target(d *draft, u *User, grid string) (syncproto.Ref, string, error) {
	if root, bucket, err := g.homeOf(d); err != nil || bucket != "" {
		return root, bucket, err
	}
	if grid == "" {
		grid = u.Region
	}
	bucket := syncproto.BucketGrid + grid
	if !casework.IsGrid(grid) || !syncproto.ValidBucket(bucket) {
		return d.rec.Root, "", casework.NewError("invalid_value", "请选择网格。")
	}
	return d.rec.Root, bucket, nil
}

// homeOf is the root and the bucket of the household that a lead is about; "" where it is not on record.
func (g *group) homeOf(lead *draft) (root syncproto.Ref, bucket string, err error) {
	h := lead.rec.Body.Str("household")
	if h == "" {
		return root, "", nil
	}
	if root, err = g.rootOf(syncproto.Ref{Kind: "household", ID: h}); err != nil {
		return root, "", err
	}
	s, err := g.w.stored(root)
	if err != nil || s == nil || s.Deleted || gridOf(s.Bucket) == "" {
		return root, "", err
	}
	return root, s.Bucket, nil
}

// openTask puts a task beside a case record: what the worker has to do, by when, and on which questions.
func (g *group) openTask(of *draft, assignee, kind, title string, questions []any) error {
	return g.task(syncproto.Ref{Kind: "task", ID: g.w.l.newID()}, of, assignee, kind, title, g.dueOf(of), questions)
}

// task writes a task under an id, due on a day.
func (g *group) task(ref syncproto.Ref, of *draft, assignee, kind, title, due string, questions []any) error {
	f := map[string]any{"type": kind, "assignee": optional(assignee), "title": title, "state": "open", "created_at": g.w.clockTime(),
		of.rec.Kind: of.rec.ID}
	if of.rec.Kind == "visit" {
		f["lead"] = optional(of.rec.Body.Str("lead"))
	}
	if due != "" {
		f["due_on"] = due
	}
	if len(questions) > 0 {
		f["questions"] = questions
	}
	_, err := g.serverPut(ref, of.rec.Root, of.bucket, syncproto.Fields(f))
	return err
}

// dueOf is the deadline that a record stands under: its own, or its lead's.
func (g *group) dueOf(d *draft) string {
	if due := d.rec.Body.Str("due_on"); due != "" || d.rec.Kind == "lead" {
		return due
	}
	lead, err := g.live(syncproto.Ref{Kind: "lead", ID: d.rec.Body.Str("lead")})
	if err != nil {
		return ""
	}
	return lead.rec.Body.Str("due_on")
}

// closeTasks marks the open tasks of a type that belong to a record as done.
func (g *group) closeTasks(of *draft, kind string) error {
	return g.eachTask(of, func(t *draft) error {
		if t.rec.Body.Str("type") != kind {
			return nil
		}
		_, err := g.serverSet(t.rec.Ref, map[string]any{"state": "done"})
		return err
	})
}
