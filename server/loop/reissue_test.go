package loop_test

import (
	"testing"

	"aidloop/syncproto"
)

// A phone was copied, and its double enrolled anew and reissued what both had captured. The original group arrives
// afterwards, for instance because its push was under way for long: it is known, and nothing is applied a second time.
func TestAnOriginalBehindItsReissuedCopy(t *testing.T) {
	c := newCounty(t)
	first, double := c.phone(c.world.Cast().SurveyorOne), c.phone(c.world.Cast().SurveyorOne)
	home := c.world.Cast().Missed.Household
	root := refOf(home)
	original := first.signed(first.group(root, first.visit(home, "", "v1")...))
	copied := double.group(root, first.visit(home, "", "v1")...)
	copied.Origin = &syncproto.Origin{Device: first.id, Dseq: original.Dseq, Hash: syncproto.GroupHash(original.Bytes)}
	if o := double.push(copied); o.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", o)
	}
	_, before := c.record(syncproto.Ref{Kind: "visit", ID: "v1"})
	out, err := c.loop.Receive(t.Context(), first.request(original))
	if err != nil {
		t.Fatal(err)
	}
	if o := out.Outcomes.Groups[0]; o.Status != syncproto.GroupJudged || !o.Replay || len(o.Changes) > 0 {
		t.Errorf("%+v", o)
	}
	if _, after := c.record(syncproto.Ref{Kind: "visit", ID: "v1"}); string(after.Bytes()) != string(before.Bytes()) {
		t.Errorf("%s became %s", before.Bytes(), after.Bytes())
	}
	c.balanced()
}
