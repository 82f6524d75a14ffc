package loop

import (
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// posting is what is published of an application.
type posting struct {
	stage      string        // of the list "publication_stage"
	categories syncproto.Raw // a list of codes
	amount     int64         // 分 a month, 0 for none
	until      string        // the last day; "" for as long as help lasts
}

// post puts an application on the public page: the applicant's masked name, how many they are, and what is to be granted.
func (g *group) post(d *draft, by casework.Actor, p posting) error {
	ring, err := g.ring(d.rec.Root, d.bucket)
	if err != nil {
		return err
	}
	own := opened(ring, d.rec.Ref, d.rec.Body)
	_, err = g.publish(d, by, map[string]any{"application": d.rec.ID, "stage": p.stage, "until": optional(p.until), "categories": p.categories,
		"name": casework.PublishedName(textOf(own["q_applicant_name"]), textOf(own["q_applicant_id_no"]), g.w.l.dayOr(""))}, p.amount)
	return err
}

// publish writes a publication of what lies under a household's root.
func (g *group) publish(d *draft, by casework.Actor, f map[string]any, amount int64) (id string, err error) {
	state, err := casework.PublicationMachine.Next("", "post", by.Role, casework.Facts{})
	if err != nil {
		return "", err
	}
	h, err := g.live(d.rec.Root)
	if err != nil {
		return "", err
	}
	f["household"], f["posted_at"], f["state"] = h.rec.ID, g.w.clockTime(), state
	if n := h.rec.Body.Int("members_count"); n > 0 {
		f["members"] = n
	}
	if amount > 0 {
		f["amount"] = amount
	}
	ref := syncproto.Ref{Kind: "publication", ID: g.w.l.newID()}
	_, err = g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(f))
	return ref.ID, err
}

// PublishAid puts help that a department has approved on the public page for the days of a publication: who receives it,
// masked, by what measure, and how much.
func (l *Loop) PublishAid(ctx context.Context, by casework.Actor, aid string) (id string, err error) {
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbGiveAid, syncproto.Ref{Kind: "aid", ID: aid})
		if err != nil {
			return err
		}
		b := d.rec.Body
		m, err := casework.CheckAid(by, b.Str("measure"), b.Int("amount"))
		if err != nil {
			return err
		}
		switch {
		case !m.Publishable():
			return casework.NewError(casework.CodeGuardFailed, "“"+m.Label+"”会透露健康状况,不能公示。")
		case !slices.Contains([]string{"approved", "disbursed", "confirmed"}, b.Str("state")):
			return casework.NewError(casework.CodeGuardFailed, "批准后的帮扶才能公示。")
		case d.rec.Root.Kind != "household":
			return casework.NewError(casework.CodeGuardFailed, "该对象还没有家庭档案,不能公示。")
		}
		posted, err := g.under(d.rec.Root, "publication", "posted")
		if err != nil {
			return err
		}
		for _, p := range posted {
			if p.rec.Body.Str("aid") == aid {
				return casework.NewError(casework.CodeGuardFailed, "这项帮扶正在公示。")
			}
		}
		if id, err = g.postAid(d, by); err != nil {
			return err
		}
		w.auditBy(by, "publish_aid", d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
	return id, err
}

func (g *group) postAid(d *draft, by casework.Actor) (id string, err error) {
	h, err := g.live(d.rec.Root)
	if err != nil {
		return "", err
	}
	ring, err := g.ring(h.rec.Root, h.bucket)
	if err != nil {
		return "", err
	}
	name, number := textOf(opened(ring, h.rec.Ref, h.rec.Body)["head_name"]), ""
	if person := d.rec.Body.Str("person"); person != "" {
		p, err := g.live(syncproto.Ref{Kind: "person", ID: person})
		if err != nil {
			return "", err
		}
		fields := opened(ring, p.rec.Ref, p.rec.Body)
		name, number = textOf(fields["name"]), textOf(fields["id_no"])
	}
	standards, err := readStandards(g.w.tx)
	if err != nil {
		return "", err
	}
	today := g.w.l.dayOr("")
	days, err := standards.Term(casework.StdApplyPublicize, placeOf(h.bucket, h.rec.Body), today)
	if err != nil {
		return "", err
	}
	return g.publish(d, by, map[string]any{"aid": d.rec.ID, "measure": d.rec.Body.Str("measure"), "stage": "aid", "until": casework.AddDays(today, days),
		"name": casework.PublishedName(name, number, today)}, d.rec.Body.Int("amount"))
}

// endPublications takes what is posted of an application, or of all of a household's where it is "", off the page.
func (g *group) endPublications(root syncproto.Ref, application, action string, by casework.Role) error {
	list, err := g.under(root, "publication", "posted")
	if err != nil {
		return err
	}
	for _, d := range list {
		if application != "" && d.rec.Body.Str("application") != application {
			continue
		}
		if err := g.endPublication(d, action, by); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) endPublication(d *draft, action string, by casework.Role) error {
	if err := g.step(d, action, by, casework.Facts{}, map[string]any{"ended_at": g.w.clockTime()}); err != nil || action == "withdraw" {
		return err
	}
	return g.step(d, "archive", casework.RoleSystem, casework.Facts{}, nil)
}

func (w *work) advancePublication(s *Stored, a *Advanced) error {
	g := w.newGroup()
	d, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	if d.rec.Body.Str("state") != "posted" || w.l.onPage(d.rec.Body) {
		return nil
	}
	if err := g.endPublication(d, "expire", casework.RoleSystem); err != nil {
		return err
	}
	a.Expired++
	return g.commit()
}

// Publication is what everybody may read.
type Publication struct {
	ID         string
	Stage      string
	Name       string // masked
	Place      string // the town's and the village's name
	Members    int64
	Categories []string
	Measure    string // of a department's help, whose amount is what it comes to
	Amount     int64  // 分 a month, 0 for none
	PostedOn   string
	Until      string // "" for as long as help lasts
}

// Publications lists what is on the public page of a region, which is a 12-digit code, the newest first. What is over is not
// on it, whether or not anybody has taken it off. Nobody needs an account.
func (l *Loop) Publications(ctx context.Context, region, after string, limit int) (list []Publication, next string, err error) {
	prefix := casework.RegionPrefix(region)
	if prefix == "" || casework.IsGrid(region) {
		return nil, "", casework.NewError(casework.CodeInvalidValue, "请选择镇(街道)或村(社区)。")
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		page, err := tx.Find(Query{Kind: "publication", States: []string{"posted"}, Region: prefix, After: after, Limit: min(max(limit, 1), 200)})
		if err != nil {
			return err
		}
		list, next = []Publication{}, page.Next
		for _, s := range page.Items {
			p, err := l.published(tx, s)
			if err != nil {
				return err
			}
			if p != nil {
				list = append(list, *p)
			}
		}
		return nil
	})
	return list, next, err
}

// Publication is one of them, or ErrNotFound.
func (l *Loop) Publication(ctx context.Context, id string) (p *Publication, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		s, err := tx.Record(syncproto.Ref{Kind: "publication", ID: id})
		if err != nil {
			return err
		}
		if p, err = l.published(tx, s); err == nil && p == nil {
			err = ErrNotFound
		}
		return err
	})
	return p, err
}

// onPage reports whether a publication is posted and its time is not over.
func (l *Loop) onPage(b syncproto.Object) bool {
	until := b.Str("until")
	return b.Str("state") == "posted" && (until == "" || until >= l.dayOr(""))
}

// published is a record as the public reads it; nil where it is not on the page.
func (l *Loop) published(tx ReadTx, s *Stored) (*Publication, error) {
	b, err := syncproto.ParseObject(s.Body)
	if err != nil {
		return nil, err
	}
	if s.Deleted || !l.onPage(b) {
		return nil, nil
	}
	p := &Publication{ID: s.Ref.ID, Stage: b.Str("stage"), Name: b.Str("name"), Measure: b.Str("measure"), Members: b.Int("members"), Amount: b.Int("amount"), PostedOn: dayOf(b.Str("posted_at")), Until: b.Str("until")}
	for _, c := range b.Get("categories").Items() {
		p.Categories = append(p.Categories, c.Str())
	}
	p.Place, err = regionName(tx, villageOf(s.Bucket))
	return p, err
}

// PublicObjection is what somebody types into the public page.
type PublicObjection struct {
	Publication       string
	Name, Phone, Text string // the first two may be left out
}

// maxOpenObjections bounds the objections to one publication that wait for an answer.
const maxOpenObjections = 50

// Object takes an objection to a publication. It waits at the town's desk; the application cannot go on before somebody has
// answered. The receipt is what the sender can name later.
func (l *Loop) Object(ctx context.Context, in PublicObjection) (receipt string, err error) {
	text, err := casework.PublicText("异议内容", in.Text, 5, casework.MaxPublicText)
	if err != nil {
		return "", err
	}
	name, err := casework.PublicText("姓名", in.Name, 0, casework.MaxPublicName)
	if err != nil {
		return "", err
	}
	phone, err := casework.PublicPhone(in.Phone)
	if err != nil {
		return "", err
	}
	receipt = spoken(8)
	key := randomKey()
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		p, err := g.live(syncproto.Ref{Kind: "publication", ID: in.Publication})
		if err != nil {
			return err
		}
		if !l.onPage(p.rec.Body) {
			return casework.NewError(casework.CodeGuardFailed, "公示已经结束,如仍有异议,请向镇(街道)或民政局反映。")
		}
		application := p.rec.Body.Str("application")
		open, err := w.openObjections(p)
		if err != nil {
			return err
		}
		if open >= maxOpenObjections {
			return casework.NewError(casework.CodeGuardFailed, "这项公示已收到多条异议,正在处理,请稍后再提交或直接向镇(街道)反映。")
		}
		state, err := casework.ObjectionMachine.Next("", "receive", casework.RoleSystem, casework.Facts{})
		if err != nil {
			return err
		}
		village := villageOf(p.bucket)
		town := casework.TownOf(village)
		ref := syncproto.Ref{Kind: "objection", ID: w.l.newID()}
		err = g.putRoot(ref, syncproto.BucketDesk+town, key, map[string]any{"publication": p.rec.ID, "application": optional(application), "aid": optional(p.rec.Body.Str("aid")), "receipt": receipt,
			"town": town, "village": village, "name": optional(name), "phone": optional(phone), "text": text, "received_at": w.clockTime(), "state": state})
		if err != nil {
			return err
		}
		w.auditBy(public(town), "object", ref, ref, nil)
		return g.commit()
	})
	return receipt, err
}

// openObjections counts the objections to what is published that wait for an answer: those of its application, or of the
// publication where it is of a department's help.
func (w *work) openObjections(p *draft) (n int, err error) {
	q := Query{Kind: "objection", States: []string{"received"}, Parent: p.rec.Body.Str("application"), Limit: maxOpenObjections}
	if q.Parent == "" {
		q.Region, q.Limit = casework.RegionPrefix(casework.TownOf(villageOf(p.bucket))), 500
	}
	err = eachFound(w.tx, q, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err == nil && (q.Parent != "" || b.Str("publication") == p.rec.ID) {
			n++
		}
		return err
	})
	return n, err
}

// public is whoever writes on the public pages of a town.
func public(town string) casework.Actor {
	return casework.Actor{UserID: "public", Role: casework.RoleSystem, Region: casework.CountyOf(town)}
}

// objected reports whether an objection to an application waits for an answer.
func (g *group) objected(d *draft) (bool, error) {
	open, err := g.w.tx.Find(Query{Kind: "objection", States: []string{"received"}, Parent: d.rec.ID, Limit: 1})
	return len(open.Items) > 0, err
}

// AnswerObjection registers an objection, or dismisses it; either needs a reason in the staff's own words, which do not tell
// who objected. A registered one sends the application back to an investigation anew, or has help that is running
// reviewed.
func (l *Loop) AnswerObjection(ctx context.Context, by casework.Actor, objection, action, reason string) error {
	if !slices.Contains([]string{"register", "dismiss"}, action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择登记或不予采纳。")
	}
	reason = clipRunes(strings.TrimSpace(reason), 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbRegisterObjection, syncproto.Ref{Kind: "objection", ID: objection})
		if err != nil {
			return err
		}
		f := map[string]any{"decided_by": by.UserID, "decided_at": w.clockTime(), "reason": optional(reason)}
		if err := g.step(d, action, by.Role, casework.Facts{Reasoned: reason != ""}, f); err != nil {
			return err
		}
		if action == "register" {
			if err := g.registered(d, by, reason); err != nil {
				return err
			}
		}
		w.auditBy(by, "objection_"+action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// registered does what a registered objection entails.
func (g *group) registered(d *draft, by casework.Actor, reason string) error {
	if d.rec.Body.Str("aid") != "" {
		return g.objectedAid(d, by, reason)
	}
	a, err := g.live(syncproto.Ref{Kind: "application", ID: d.rec.Body.Str("application")})
	if err != nil {
		return err
	}
	switch a.rec.Body.Str("state") {
	case "publicizing":
		act := applicationActs["object"]
		s := &applying{g: g, d: a, by: by, in: ApplicationStep{Application: a.rec.ID, Action: "object", Reason: reason}, fields: map[string]any{}}
		if s.standards, err = readStandards(g.w.tx); err != nil {
			return err
		}
		return s.take(act)
	case "active":
		return g.reviewNow(a.rec.Root, "change")
	}
	return nil // its application has come to an end without help
}

// objectedAid takes a department's help off the page and writes the objection into its record, where the department sees it.
func (g *group) objectedAid(d *draft, by casework.Actor, reason string) error {
	if _, err := g.serverSet(syncproto.Ref{Kind: "aid", ID: d.rec.Body.Str("aid")}, map[string]any{"objected_at": g.w.clockTime(), "objection": reason}); err != nil {
		return err
	}
	p, err := g.live(syncproto.Ref{Kind: "publication", ID: d.rec.Body.Str("publication")})
	if err != nil || p.rec.Body.Str("state") != "posted" {
		return err
	}
	return g.endPublication(p, "object", by.Role)
}
