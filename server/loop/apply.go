package loop

import (
	"context"
	"errors"
	"maps"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// ApplicationInput says what an application starts from: a disposition, a visit, or just a household. The first one that
// is given counts.
type ApplicationInput struct {
	Disposition string // that found the household to be included, or an application to be started
	Visit       string // submitted or approved
	Household   string
}

// Apply starts an application (救助申请) at the window: a draft with everything that is known of the household already, so
// that only the rest is asked. A household has one application under way. The worker who knows the household gets a
// notice, and the draft on his phone. The error has the code "form_unknown" where no form of applications was published.
func (l *Loop) Apply(ctx context.Context, by casework.Actor, in ApplicationInput) (id string, err error) {
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		from, err := g.visible(by, casework.VerbApply, in.source())
		if err != nil {
			return err
		}
		root := from.rec.Root
		if root.Kind != "household" {
			return casework.NewError(casework.CodeInvalidValue, "请先为该线索建立家庭档案,再登记救助申请。")
		}
		f, err := g.origin(from)
		if err != nil {
			return err
		}
		running, err := g.otherApplication(root, "")
		if err != nil {
			return err
		}
		if running {
			return casework.NewError(casework.CodeGuardFailed, "该户已有正在办理的救助申请,请在原申请上继续办理。")
		}
		state, err := casework.ApplicationMachine.Next("", "start", by.Role, casework.Facts{})
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "application", ID: l.newID()}
		id = ref.ID
		maps.Copy(f, map[string]any{"household": root.ID, "entered_by": by.UserID, "applied_at": w.clockTime(), "state": state})
		if err := g.prefill(ref, root, from.bucket, f); err != nil {
			return err
		}
		if _, err := g.serverPut(ref, root, from.bucket, syncproto.Fields(f)); err != nil {
			return err
		}
		w.auditBy(by, "apply", ref, root, nil)
		worker, _ := f["worker"].(string)
		if err := g.notify(worker, "application", "救助申请已登记", "请协助该户核对已预填的内容,只补充缺少的问题。", ref); err != nil {
			return err
		}
		return g.commit()
	})
	return id, err
}

func (in *ApplicationInput) source() syncproto.Ref {
	switch {
	case in.Disposition != "":
		return syncproto.Ref{Kind: "disposition", ID: in.Disposition}
	case in.Visit != "":
		return syncproto.Ref{Kind: "visit", ID: in.Visit}
	}
	return syncproto.Ref{Kind: "household", ID: in.Household}
}

// origin links an application to what it starts from.
func (g *group) origin(from *draft) (map[string]any, error) {
	b := from.rec.Body
	f := map[string]any{}
	switch from.rec.Kind {
	case "disposition":
		if !slices.Contains([]string{"included", "application_started"}, b.Str("result")) {
			return nil, casework.NewError(casework.CodeInvalidValue, "这项处置不是纳入救助或启动申请,不能据此登记救助申请。")
		}
		f["disposition"], f["lead"], f["visit"] = from.rec.ID, optional(b.Str("lead")), optional(b.Str("visit"))
		visit, err := g.live(syncproto.Ref{Kind: "visit", ID: b.Str("visit")})
		if err == nil {
			f["worker"] = optional(visit.rec.Body.Str("surveyor_1"))
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	case "visit":
		if !slices.Contains([]string{"submitted", "approved"}, b.Str("state")) {
			return nil, casework.NewError(casework.CodeInvalidValue, "走访还没有提交,或已退回、作废,不能据此登记救助申请。")
		}
		f["visit"], f["lead"], f["worker"] = from.rec.ID, optional(b.Str("lead")), optional(b.Str("surveyor_1"))
	default:
		if from.rec.Ref != from.rec.Root {
			return nil, ErrNotFound // an alias of another household
		}
	}
	return f, nil
}

// prefill answers the questions of the newest form from what is known of the household.
func (g *group) prefill(ref, root syncproto.Ref, bucket string, f map[string]any) error {
	version, err := g.newestForm(casework.ApplicationForm)
	if err != nil {
		return err
	}
	f["form"], f["form_version"] = casework.ApplicationForm, version
	form, err := formOf(g.w.stored, syncproto.Fields(map[string]any{"form": casework.ApplicationForm, "form_version": version}))
	if err != nil {
		return err
	}
	known, err := g.known(root, bucket)
	if err != nil {
		return err
	}
	answers, names := casework.Prefill(form, known)
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
		if f[form.Field(name)], err = g.answer(ref, root, bucket, form, name, answers[name]); err != nil {
			return err
		}
	}
	f["prefilled"] = list
	return nil
}

// newestForm is the greatest version of a form that was published.
func (g *group) newestForm(id string) (version string, err error) {
	for q := (Query{Kind: "form", Limit: 500}); ; {
		page, err := g.w.tx.Find(q)
		if err != nil {
			return "", err
		}
		for _, s := range page.Items {
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return "", err
			}
			if v := b.Str("version"); b.Str("form_id") == id && (len(v) > len(version) || len(v) == len(version) && v > version) {
				version = v
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if version == "" {
		return "", casework.NewError("form_unknown", "还没有发布救助申请表,请联系管理员。")
	}
	return version, nil
}

// known gathers what is on record of a household, opened.
func (g *group) known(root syncproto.Ref, bucket string) (k casework.Known, err error) {
	ring, err := g.ring(root, bucket)
	if err != nil {
		return k, err
	}
	if k.Household, k.Persons, err = caseRecords(g.w.tx, ring, root); err != nil {
		return k, err
	}
	for id := range k.Persons { // who was merged into another is known under both ids
		s, err := g.w.stored(syncproto.Ref{Kind: "person", ID: id})
		if err != nil {
			return k, err
		}
		if b, err := syncproto.ParseObject(s.Body); err != nil {
			return k, err
		} else if b.Has(mergedInto) {
			delete(k.Persons, id)
		}
	}
	visit, err := newestVisit(g.w.tx, root)
	if err != nil || visit == nil {
		return k, err
	}
	if k.Form, err = formOf(g.w.stored, visit.Body); casework.CodeOf(err) == "form_unknown" {
		return k, nil
	}
	if err == nil {
		k.Answers = answersOf(k.Form, opened(ring, visit.Ref, visit.Body))
	}
	return k, err
}

// answer is the value of a field that holds an answer, sealed where the form says so.
func (g *group) answer(ref, root syncproto.Ref, bucket string, form *casework.Form, name string, v any) (syncproto.Raw, error) {
	raw, err := syncproto.Value(v)
	if err != nil {
		return nil, casework.NewError(casework.CodeInvalidValue, "填写的值不正确,请检查后重填。")
	}
	if q, ok := form.Question(name); !ok || !q.Sealed {
		return raw, nil
	}
	_, sealer, err := g.keys(root, bucket)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(ref, form.Field(name), raw), nil
}

// otherApplication reports whether a household has an application under way besides one: from its submission to its
// decision, and drafts too where none is excepted.
func (g *group) otherApplication(root syncproto.Ref, except string) (running bool, err error) {
	err = g.w.tx.ByRoot(root, "application", func(s *Stored) error {
		if s.Ref.ID == except || casework.ApplicationEnded(s.Index.State) {
			return nil
		}
		running = running || except == "" || slices.Contains(casework.ApplicationsRunning, s.Index.State) || s.Index.State == "confirmed"
		return nil
	})
	return running, err
}
