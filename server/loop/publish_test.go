package loop_test

import (
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func (o *office) board() []loop.Publication {
	o.t.Helper()
	list, _, err := o.loop.Publications(o.t.Context(), o.cast.Village.Code, "", 100)
	o.must(err)
	return list
}

func (o *office) object(publication, text string) string {
	o.t.Helper()
	receipt, err := o.loop.Object(o.t.Context(), loop.PublicObjection{Publication: publication, Name: "匿名邻居", Phone: "13800138000", Text: text})
	o.must(err)
	if len(receipt) != 8 {
		o.t.Errorf("the receipt %q", receipt)
	}
	return receipt
}

// waiting are the ids of the objections that nobody has answered.
func (o *office) waiting() (ids []string) {
	o.t.Helper()
	list, err := o.loop.Queue(o.t.Context(), o.reviewer, loop.Filter{Kind: "objection", States: []string{"received"}})
	o.must(err)
	for _, i := range list.Items {
		ids = append(ids, i.Ref.ID)
	}
	return ids
}

// What the town thinks is on the page for its time, with a masked name and no more than may be known; it leaves by itself,
// what the county granted stays as long as it is paid.
func TestPublicationsComeAndGo(t *testing.T) {
	o := newOffice(t)
	id := o.published()
	list := o.board()
	if len(list) != 1 || list[0].Stage != "opinion" || list[0].Name != casework.MaskName("湛某") || list[0].Until != o.application(id).Str("published_until") ||
		len(list[0].Categories) != 1 || list[0].Categories[0] != "DIBAO" || !strings.Contains(list[0].Place, o.cast.Village.Name) || list[0].Members == 0 {
		t.Fatalf("%+v", list)
	}
	if one, err := o.loop.Publication(t.Context(), list[0].ID); err != nil || one.Name != list[0].Name {
		t.Errorf("%+v, %v", one, err)
	}
	o.days(7)
	if len(o.board()) != 1 {
		t.Error("it left the page before its last day was over")
	}
	o.days(1)
	if len(o.board()) != 0 {
		t.Error("it is on the page after its time") // though nobody took it off
	}
	_, err := o.loop.Object(t.Context(), loop.PublicObjection{Publication: list[0].ID, Text: "我要提出异议"})
	wants(t, err, casework.CodeGuardFailed)
	if done := o.advance(); done.Expired != 1 {
		t.Errorf("%+v", done)
	}
	if done := o.advance(); done.Expired != 0 {
		t.Errorf("it left twice: %+v", done)
	}
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("同意"), func(in *loop.ApplicationStep) { in.Amount = 52_000 })
	o.step(o.desk, id, "activate")
	if list = o.board(); len(list) != 1 || list[0].Stage != "decision" || list[0].Amount != 52_000 || list[0].Until != "" {
		t.Fatalf("granted: %+v", list)
	}
	o.days(400)
	if len(o.board()) != 1 {
		t.Error("help that is paid left the page")
	}
	o.step(o.desk, id, "close", because("收入提高"))
	if len(o.board()) != 0 {
		t.Error("help that has ended is on the page")
	}
	o.balanced()
}

// An objection holds the application until somebody has answered it; registered, it leads to an investigation anew and off
// the page. Who objected is read at the town's desk only.
func TestObjectionsFromThePage(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	id := o.published()
	p := o.board()[0].ID
	for _, bad := range []loop.PublicObjection{{Publication: p, Text: "短"}, {Publication: p, Text: strings.Repeat("长", 1001)}, {Publication: p, Text: "有车有房不符合", Phone: "x"}} {
		_, err := o.loop.Object(ctx, bad)
		wants(t, err, casework.CodeInvalidValue)
	}
	o.object(p, "他家去年买了新车")
	o.object(p, "他家在城里有两套房")
	o.days(8)
	wants(t, o.try(o.reviewer, id, "report"), casework.CodeGuardFailed)
	ids := o.waiting()
	if len(ids) != 2 {
		t.Fatalf("%v wait", ids)
	}
	wants(t, o.loop.AnswerObjection(ctx, o.reviewer, ids[0], "dismiss", " "), casework.CodeGuardFailed)
	wants(t, o.loop.AnswerObjection(ctx, o.reviewer, ids[0], "forget", "x"), casework.CodeInvalidValue)
	wants(t, o.loop.AnswerObjection(ctx, o.window, ids[0], "dismiss", "x"), casework.CodeForbiddenActor)
	o.must(o.loop.AnswerObjection(ctx, o.reviewer, ids[0], "dismiss", "车辆为他人所有"))
	wants(t, o.try(o.reviewer, id, "report"), casework.CodeGuardFailed)
	seen, err := o.loop.Case(ctx, o.reviewer, syncproto.Ref{Kind: "objection", ID: ids[1]})
	if err != nil || !strings.Contains(seen.Record.Fields["text"].(string), "他家") || seen.Record.Fields["name"] != "匿名邻居" {
		t.Errorf("%+v, %v", seen, err)
	}
	o.must(o.loop.AnswerObjection(ctx, o.window, ids[1], "register", "群众反映房产情况"))
	o.state(id, "objected")
	if len(o.board()) != 0 || len(o.waiting()) != 0 {
		t.Error("it is still on the page")
	}
	rec, env := o.record(syncproto.Ref{Kind: "objection", ID: ids[1]})
	if env.Root != env.Ref || !syncproto.IsSealed(rec.Get("text")) || !syncproto.IsSealed(rec.Get("name")) || !syncproto.IsSealed(rec.Get("phone")) {
		t.Errorf("%s", rec.Bytes())
	}
	o.balanced()
}

// An objection to help that is paid has that help reviewed.
func TestObjectionToGrantedHelp(t *testing.T) {
	o := helped(t)
	o.object(o.board()[0].ID, "他家已经搬走了")
	o.must(o.loop.AnswerObjection(t.Context(), o.reviewer, o.waiting()[0], "register", "群众反映已搬走"))
	if r := o.only("periodic_review", "due"); r.Fields["cause"] != "change" {
		t.Errorf("%+v", r.Fields)
	}
}

// Somebody reports hardship himself: a lead for the county, with what he typed sealed.
func TestSelfReports(t *testing.T) {
	c := newCounty(t)
	ctx := t.Context()
	cast := c.world.Cast()
	good := loop.SelfReport{Name: "湛某某", Phone: "13800138000", Village: cast.Village.Code, Text: "老人独居,没有收入"}
	for _, spoil := range []func(*loop.SelfReport){func(r *loop.SelfReport) { r.Name = "" }, func(r *loop.SelfReport) { r.Phone = "" }, func(r *loop.SelfReport) { r.Phone = "1" },
		func(r *loop.SelfReport) { r.Village = cast.Town.Code }, func(r *loop.SelfReport) { r.Village = "no" }, func(r *loop.SelfReport) { r.Text = "短" }} {
		bad := good
		spoil(&bad)
		_, err := c.loop.SelfReport(ctx, bad)
		wants(t, err, casework.CodeInvalidValue)
	}
	receipt, err := c.loop.SelfReport(ctx, good)
	if err != nil {
		t.Fatal(err)
	}
	bureau := actor(cast.BureauOfficer)
	list, err := c.loop.Queue(ctx, bureau, loop.Filter{Kind: "lead", States: []string{"new"}})
	if err != nil || len(list.Items) != 1 || list.Items[0].Fields["source"] != "self_report" || list.Items[0].Fields["source_ref"] != receipt || list.Items[0].Fields["village"] != cast.Village.Code {
		t.Fatalf("%+v, %v", list, err)
	}
	if rec, _ := c.record(list.Items[0].Ref); !syncproto.IsSealed(rec.Get("reason")) || !syncproto.IsSealed(rec.Get("subject_phone")) {
		t.Errorf("%s", rec.Bytes())
	}
	if err := c.loop.Dispatch(ctx, bureau, []string{list.Items[0].Ref.ID}, ""); err != nil {
		t.Error(err)
	}
	if towns, err := c.loop.Villages(ctx); err != nil || len(towns) < 2 || len(towns[0].Villages) == 0 {
		t.Errorf("%+v, %v", towns, err)
	}
	if r, err := c.loop.RegionPage(ctx, cast.Village.Code); err != nil || !strings.Contains(r.Name, cast.Village.Name) {
		t.Errorf("%+v, %v", r, err)
	}
	c.balanced()
}
