package loop

import (
	"errors"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// machines says which state machine drives the state field of a kind.
var machines = map[string]*casework.Machine{
	"lead": casework.LeadMachine, "visit": casework.VisitMachine, "disposition": casework.DispositionMachine,
	"referral": casework.ReferralMachine, "task": casework.TaskMachine, "conflict": casework.ConflictMachine, "amendment": casework.AmendmentMachine,
	"application": casework.ApplicationMachine, "periodic_review": casework.PeriodicReviewMachine, "exit": casework.ExitMachine,
	"publication": casework.PublicationMachine, "objection": casework.ObjectionMachine, "aid": casework.AidMachine,
	"meeting": casework.MeetingMachine, "resolution": casework.ResolutionMachine, "invitation": casework.InvitationMachine, "order": casework.OrderMachine, "data_need": casework.DataNeedMachine, "data_package": casework.DataPackageMachine, "evaluation": casework.EvaluationMachine, "monitoring": casework.MonitoringMachine, "relocation": casework.RelocationMachine,
}

// step takes a record one transition on and writes the fields that go with it. Sets of the server on its own account
// count as the server's changes; see trial.act for a device's acts.
func (g *group) step(d *draft, action string, actor casework.Role, facts casework.Facts, fields map[string]any) error {
	to, err := machines[d.rec.Kind].Next(d.rec.Body.Str("state"), action, actor, facts)
	if err != nil {
		return err
	}
	all := map[string]any{"state": to}
	for k, v := range fields {
		all[k] = v
	}
	_, err = g.serverSet(d.rec.Ref, all)
	return err
}

// act is a device's workflow intent: the machine of the record's kind answers it, after all sets of the group. If the
// state moved on since the capture, the group is held for people; a guard that the frozen bytes can never satisfy
// rejects it.
func (t *trial) act(c *syncproto.Change, v syncproto.Version) error {
	m := machines[c.Ref.Kind]
	if m == nil {
		return reject(syncproto.CodeBadChange, "")
	}
	if m.Knows(c.Act) && !casework.OnPhones(c.Ref.Kind, c.Act) { // a step that nobody knows may be a later app's: it is held
		return reject(syncproto.CodeNotAllowed, "")
	}
	d, err := t.g.open(c.Ref)
	if err != nil {
		return err
	}
	if !d.exists || d.rec.Deleted {
		return hold(syncproto.CodeMissingBase, holdBase)
	}
	if err := t.here(d); err != nil {
		return err
	}
	facts := casework.Facts{}
	switch c.Ref.Kind {
	case "visit":
		facts, err = t.g.visitFacts(d)
	case "application":
		facts, err = t.g.applicationFacts(d)
	}
	if err != nil {
		return err
	}
	to, err := m.Next(d.rec.Body.Str("state"), c.Act, casework.Role(t.j.user.Role), facts)
	switch casework.CodeOf(err) {
	case "":
	case casework.CodeInvalidTransition:
		return hold(syncproto.CodeStaleState, holdDesk)
	case casework.CodeForbiddenActor:
		return reject(syncproto.CodeNotAllowed, casework.MessageOf(err))
	case casework.CodeGuardFailed:
		return reject(syncproto.CodeGuardFailed, casework.MessageOf(err))
	default:
		return err
	}
	set := &syncproto.Change{Op: syncproto.OpSet, Ref: c.Ref, Fields: syncproto.Object{{Name: "state", Value: syncproto.MustValue(to)}},
		Base: map[string]syncproto.Stamp{"state": d.rec.Of("state").Stamp}}
	if _, _, err = t.g.merge(set, d.rec.Root, d.bucket, v, true); err != nil || c.Ref.Kind != "conflict" {
		return err
	}
	_, err = t.g.serverSet(c.Ref, settledFields(t.j.w, t.j.user.ID, c.Args.Str("choice")))
	return err
}

// follow does what the transitions of a device's group entail: a submitted visit takes its lead along to the town's
// review, and the task that asked for it is done; a submitted application waits at the town's window.
func (g *group) follow(user string) error {
	for _, d := range slices.Clone(g.order) {
		state := d.rec.Body.Str("state")
		if !d.dirty || state != "submitted" || d.before == state {
			continue
		}
		if d.rec.Kind == "application" {
			if err := g.applied(d, user); err != nil {
				return err
			}
		}
		if d.rec.Kind != "visit" {
			continue
		}
		kind := "visit"
		if d.before == "returned" {
			kind = "correction"
			if _, err := g.serverSet(d.rec.Ref, map[string]any{"returned_questions": nil}); err != nil {
				return err
			}
			if err := g.closeTasks(d, kind); err != nil {
				return err
			}
		}
		if err := g.advanceLeads(d, kind); err != nil {
			return err
		}
		if err := g.served(d); err != nil {
			return err
		}
	}
	return nil
}

// advanceLeads takes the leads that a submitted visit answers to town_review: the one that it names, and every other one of
// the household that waits for the same worker, so that several leads are one visit. A lead that is elsewhere by now stays
// where it is: the visit counts all the same, and the desk sees both. What a worker found on patrol becomes a lead.
func (g *group) advanceLeads(visit *draft, kind string) error {
	leads, err := g.leadsOf(visit, true)
	if err != nil {
		return err
	}
	for _, lead := range leads {
		if err := g.advanceLead(lead, visit, kind); err != nil {
			return err
		}
	}
	if kind == "visit" && len(leads) == 0 && visit.rec.Body.Str("lead") == "" {
		return g.patrol(visit)
	}
	return nil
}

func (g *group) advanceLead(lead, visit *draft, kind string) error {
	steps := []string{"submit_visit", "take_review"}
	if lead.rec.Body.Str("state") == "returned" {
		steps = []string{"revisit", "submit_visit", "take_review"}
	}
	for _, action := range steps {
		err := g.step(lead, action, casework.RoleSystem, casework.Facts{}, map[string]any{"visit": visit.rec.ID})
		if casework.CodeOf(err) == casework.CodeInvalidTransition {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if kind == "visit" {
		return g.closeTasks(lead, kind)
	}
	return nil
}

// leadsOf are the leads that a visit answers: the one that it names, those that have it as their visit, and, where it is
// being submitted, those of the household that wait for the same worker.
func (g *group) leadsOf(visit *draft, submitted bool) (leads []*draft, err error) {
	named, err := g.leadOf(visit)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if named != nil {
		leads = append(leads, named)
	}
	if visit.rec.Root.Kind != "household" {
		return leads, nil
	}
	others, err := g.under(visit.rec.Root, "lead", casework.LeadsRunning...)
	for _, d := range others {
		b := d.rec.Body
		waits := submitted && slices.Contains([]string{"assigned", "visiting"}, b.Str("state")) && b.Str("assignee") == visit.rec.Body.Str("surveyor_1")
		if d != named && (waits || b.Str("visit") == visit.rec.ID) {
			leads = append(leads, d)
		}
	}
	return leads, err
}

// visible loads a case record for a verb of the desk. What lies outside the caller's region reads like what does not
// exist.
func (g *group) visible(by casework.Actor, verb casework.Verb, ref syncproto.Ref) (*draft, error) {
	d, err := g.live(ref)
	if err != nil {
		return nil, err
	}
	if err := by.May(verb, subjectOf(ref.Kind, d.bucket, d.rec.Body)); err != nil {
		return nil, err
	}
	return d, nil
}

// subjectOf is a record as the access rules see it.
func subjectOf(kind, bucket string, body syncproto.Object) casework.Subject {
	s := casework.Subject{Kind: kind, Region: regionOf(bucket), State: body.Str("state")}
	switch kind {
	case "referral", "resolution", "invitation", "order":
		s.Dept = body.Str("to_dept")
	case "aid", "monitoring":
		s.Dept = body.Str("dept")
	case "visit":
		s.Surveyors = surveyors(body)
	case "relocation":
		s.Also = body.Str("from_town")
	case "evaluation":
		s.Owner = body.Str("evaluator")
	}
	return s
}

// surveyors are the user ids of those who made a visit; the second one may be somebody without an account.
func surveyors(body syncproto.Object) []string {
	var list []string
	for _, f := range []string{"surveyor_1", "surveyor_2"} {
		if s := body.Str(f); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// auditBy notes what a member of staff did.
func (w *work) auditBy(by casework.Actor, verb string, ref, root syncproto.Ref, details map[string]any) {
	w.note(Audit{Actor: by.UserID, Role: string(by.Role), Verb: verb, Ref: ref, Root: root, Details: syncproto.Fields(details).Bytes()})
}

// keys is a root's keyring, and the sealer of its new values.
func (g *group) keys(root syncproto.Ref, bucket string) (*syncproto.Keyring, *syncproto.Sealer, error) {
	ring, err := g.ring(root, bucket)
	if err != nil {
		return nil, nil, err
	}
	sealer, err := g.current(root, ring)
	return ring, sealer, err
}

// current is the sealer of the key that a root's new values are sealed under.
func (g *group) current(root syncproto.Ref, ring *syncproto.Keyring) (*syncproto.Sealer, error) {
	d, err := g.live(keyRef(root))
	if err != nil {
		return nil, err
	}
	s := ring.Get(d.rec.Body.Str("current"))
	if s == nil {
		return nil, errors.New("the root's current key is not on its ring")
	}
	return s, nil
}
