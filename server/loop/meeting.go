package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// The bounds of a meeting.
const (
	maxAgenda      = 50   // dispositions
	maxPresent     = 100  // participants
	maxResolutions = 100  // of one meeting
	maxMinutes     = 4000 // characters
	maxName        = 60   // characters of a participant
)

// MeetingCall calls a case conference or a joint meeting.
type MeetingCall struct {
	Type         string   // of the list "meeting_type"
	On           string   // "2006-01-02"
	Place        string   // at most 100 characters
	Agenda       string   // sealed, at most 4000 characters
	Departments  []string // that are asked to come
	Dispositions []string // that are decided on, at most 50; a conference has at least one
}

// CallMeeting calls a meeting. Only dispositions that wait for a conference can be put before one.
func (l *Loop) CallMeeting(ctx context.Context, by casework.Actor, in MeetingCall) (id string, err error) {
	agenda := clipRunes(strings.TrimSpace(in.Agenda), maxMinutes)
	switch {
	case !casework.ValidEnum("meeting_type", in.Type):
		return "", casework.NewError(casework.CodeInvalidValue, "请选择一事一议或联席会议。")
	case !validDate(in.On):
		return "", casework.NewError(casework.CodeInvalidValue, "会议日期应写成2026-01-31的样子。")
	case agenda == "":
		return "", casework.NewError(casework.CodeInvalidValue, "请填写会议议题。")
	case len(in.Dispositions) > maxAgenda || in.Type == "conference" && len(in.Dispositions) == 0:
		return "", casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("一事一议请选择1至%d项待议的处置。", maxAgenda))
	case slices.ContainsFunc(in.Departments, func(d string) bool { return !casework.ValidEnum("department", d) }):
		return "", casework.NewError(casework.CodeInvalidValue, "参会部门不正确,请从列表中选择。")
	}
	if err := by.May(casework.VerbMeet, casework.Subject{Kind: "meeting", Region: by.Region}); err != nil {
		return "", err
	}
	key := randomKey()
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		for _, x := range in.Dispositions {
			d, err := g.visible(by, casework.VerbVerify, syncproto.Ref{Kind: "disposition", ID: x})
			if err != nil {
				return err
			}
			lead, err := g.leadOf(d)
			if err != nil {
				return err
			}
			if lead == nil || lead.rec.Body.Str("state") != "conference" {
				return casework.NewError(casework.CodeGuardFailed, "只有已提请一事一议的处置可以列入会议。")
			}
		}
		state, err := casework.MeetingMachine.Next("", "call", by.Role, casework.Facts{})
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "meeting", ID: w.l.newID()}
		id = ref.ID
		err = g.putRoot(ref, syncproto.BucketDesk+by.Region, key, map[string]any{"type": in.Type, "held_on": in.On, "place": optional(clipRunes(in.Place, 100)), "agenda": agenda,
			"departments": anys(in.Departments), "dispositions": anys(in.Dispositions), "called_by": by.UserID, "called_at": w.clockTime(), "state": state})
		if err != nil {
			return err
		}
		if err := g.invite(ref, by, in, agenda); err != nil {
			return err
		}
		w.auditBy(by, "call_meeting", ref, ref, nil)
		return g.commit()
	})
	return id, err
}

// invite asks every department of a meeting to come; the bureau need not ask itself.
func (g *group) invite(meeting syncproto.Ref, by casework.Actor, in MeetingCall, agenda string) error {
	for _, dept := range slices.Compact(slices.Sorted(slices.Values(in.Departments))) {
		if dept == by.DeptOf() {
			continue
		}
		state, err := casework.InvitationMachine.Next("", "invite", by.Role, casework.Facts{})
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "invitation", ID: g.w.l.newID()}
		if _, err := g.serverPut(ref, meeting, syncproto.BucketDesk+by.Region, syncproto.Fields(map[string]any{"meeting": meeting.ID, "to_dept": dept, "type": in.Type, "due_on": in.On,
			"place": optional(clipRunes(in.Place, 100)), "agenda": agenda, "sent_at": g.w.clockTime(), "state": state})); err != nil {
			return err
		}
	}
	return nil
}

// endInvitations closes or cancels what a meeting's departments were asked, with the meeting.
func (g *group) endInvitations(meeting *draft, action string) error {
	list, err := g.under(meeting.rec.Root, "invitation", "open", "accepted")
	for _, d := range list {
		if err == nil {
			err = g.step(d, action, casework.RoleSystem, casework.Facts{}, nil)
		}
	}
	return err
}

// AnswerInvitation says for a department who comes to a meeting (accept), or why nobody does (decline). Text is sealed, at
// most 500 characters.
func (l *Loop) AnswerInvitation(ctx context.Context, by casework.Actor, invitation, action, text string) error {
	if action != "accept" && action != "decline" {
		return casework.NewError(casework.CodeInvalidValue, "请选择参会或不能参会。")
	}
	text = clipRunes(strings.TrimSpace(text), 500)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbAnswerResolution, syncproto.Ref{Kind: "invitation", ID: invitation})
		if err != nil {
			return err
		}
		if by.DeptOf() != d.rec.Body.Str("to_dept") {
			return casework.NewError(casework.CodeForbidden, "由被通知的部门回复。")
		}
		if err := g.step(d, action, by.Role, casework.Facts{Reasoned: text != ""}, map[string]any{"answer": optional(text), "answered_by": by.UserID, "answered_at": w.clockTime()}); err != nil {
			return err
		}
		w.auditBy(by, "invitation_"+action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// Resolved is something that a meeting asks of a department.
type Resolved struct {
	Dept  string
	Text  string // sealed, at most 1000 characters
	DueOn string // "2006-01-02"
}

// Conclusion is what a meeting says of a disposition; it becomes the note of its verification.
type Conclusion struct {
	Disposition string
	Text        string // sealed, at most 1000 characters
}

// MeetingStep takes a meeting one step on: hold, cancel or close.
type MeetingStep struct {
	Meeting     string
	Action      string
	Reason      string   // sealed; needed with cancel
	Present     []string // sealed; with hold, who was there, at most 100 of 60 characters
	Minutes     string   // sealed; with hold, at most 4000 characters
	Conclusions []Conclusion
	Resolutions []Resolved // at most 100
}

// StepMeeting takes a meeting one step on. What it concludes on a disposition stands in the case, which the county then
// verifies; what it asks of departments is followed until it is done.
func (l *Loop) StepMeeting(ctx context.Context, by casework.Actor, in MeetingStep) error {
	if !slices.Contains([]string{"hold", "cancel", "close"}, in.Action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择记录会议、取消或办结。")
	}
	if len(in.Present) > maxPresent || len(in.Resolutions) > maxResolutions {
		return casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("参会人员和会议事项各最多%d项。", maxResolutions))
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbMeet, syncproto.Ref{Kind: "meeting", ID: in.Meeting})
		if err != nil {
			return err
		}
		reason, minutes := clipRunes(strings.TrimSpace(in.Reason), 1000), clipRunes(strings.TrimSpace(in.Minutes), maxMinutes)
		open, err := g.under(d.rec.Root, "resolution", "open", "answered")
		if err != nil {
			return err
		}
		facts := casework.Facts{Reasoned: reason != "", Minuted: minutes != "" && len(in.Present) > 0, OpenResolutions: len(open)}
		f := map[string]any{map[string]string{"hold": "held_at", "cancel": "cancelled_at", "close": "closed_at"}[in.Action]: w.clockTime()}
		if reason != "" {
			f["reason"] = reason
		}
		if in.Action == "hold" {
			present := make([]any, len(in.Present))
			for i, name := range in.Present {
				present[i] = clipRunes(name, maxName)
			}
			f["minutes"], f["present"] = minutes, present
		}
		if err := g.step(d, in.Action, by.Role, facts, f); err != nil {
			return err
		}
		if in.Action != "close" {
			if err := g.endInvitations(d, map[string]string{"hold": "close", "cancel": "cancel"}[in.Action]); err != nil {
				return err
			}
		}
		if in.Action == "hold" {
			if err := g.conclude(d, by, in); err != nil {
				return err
			}
		}
		w.auditBy(by, "meeting_"+in.Action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// conclude writes what a meeting says of its dispositions into their cases, and asks of departments what it resolved.
func (g *group) conclude(d *draft, by casework.Actor, in MeetingStep) error {
	var listed []string
	for _, x := range d.rec.Body.Get("dispositions").Items() {
		listed = append(listed, x.Str())
	}
	for _, c := range in.Conclusions {
		text := clipRunes(strings.TrimSpace(c.Text), 1000)
		if !slices.Contains(listed, c.Disposition) || text == "" {
			return casework.NewError(casework.CodeInvalidValue, "会议结论只能针对列入会议的处置,且不能为空。")
		}
		x, err := g.visible(by, casework.VerbVerify, syncproto.Ref{Kind: "disposition", ID: c.Disposition})
		if err != nil {
			return err
		}
		if _, err := g.serverSet(x.rec.Ref, map[string]any{"meeting": d.rec.ID, "conference_conclusion": text}); err != nil {
			return err
		}
	}
	for _, r := range in.Resolutions {
		text := clipRunes(strings.TrimSpace(r.Text), 1000)
		if !casework.ValidEnum("department", r.Dept) || text == "" || !validDate(r.DueOn) {
			return casework.NewError(casework.CodeInvalidValue, "会议事项请写明承办部门、内容和期限(写成2026-01-31的样子)。")
		}
		state, err := casework.ResolutionMachine.Next("", "resolve", by.Role, casework.Facts{})
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "resolution", ID: g.w.l.newID()}
		if _, err := g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(map[string]any{"meeting": d.rec.ID, "to_dept": r.Dept, "text": text, "due_on": r.DueOn,
			"made_at": g.w.clockTime(), "state": state})); err != nil {
			return err
		}
	}
	return nil
}

// StepResolution takes what a meeting asked of a department one step on: answer (by the department, or by the bureau for
// itself and whoever has no desk here), accept, send_back or drop. Text is sealed, at most 1000 characters.
func (l *Loop) StepResolution(ctx context.Context, by casework.Actor, resolution, action, text string) error {
	verb := casework.VerbMeet
	if action == "answer" {
		verb = casework.VerbAnswerResolution
	}
	if !slices.Contains([]string{"answer", "accept", "send_back", "drop"}, action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择答复、认可、退回或取消。")
	}
	text = clipRunes(strings.TrimSpace(text), 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, verb, syncproto.Ref{Kind: "resolution", ID: resolution})
		if err != nil {
			return err
		}
		f := map[string]any{}
		field := map[string]string{"answer": "answer", "send_back": "returned_reason", "drop": "returned_reason"}[action]
		if field != "" && text != "" {
			f[field] = text
		}
		if stamp := map[string]string{"answer": "answered_at", "accept": "done_at", "drop": "done_at"}[action]; stamp != "" {
			f[stamp] = w.clockTime()
		}
		if err := g.step(d, action, by.Role, casework.Facts{Reasoned: text != ""}, f); err != nil {
			return err
		}
		w.auditBy(by, "resolution_"+action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}
