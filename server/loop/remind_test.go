package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// Whoever has to act is told at 10, 5 and 2 working days left and once it is too late, each time once.
func TestWorkersAreRemindedOnce(t *testing.T) {
	c := newCounty(t)
	ctx := t.Context()
	worker := c.world.Cast().SurveyorOne
	town := worker.Grid[:9] + "000"
	c.now = time.Date(2026, 3, 20, 9, 0, 0, 0, time.FixedZone("", 8*3600)) // 40 working days end on 2026-05-20
	rep, err := c.loop.ImportLeads(ctx, atBureau, "province", []loop.LeadRow{{Row: 1, SourceRef: "r1", Type: "suspected_missed", SubjectName: "某", Town: town, Village: worker.Grid[:12]}})
	if err != nil || rep.Imported != 1 {
		t.Fatalf("%+v %v", rep, err)
	}
	lead := rep.Rows[0].Lead
	if err := c.loop.Dispatch(ctx, atBureau, []string{lead}, ""); err != nil {
		t.Fatal(err)
	}
	leader := casework.Actor{UserID: "leader", Role: casework.RoleTownLeader, Region: town}
	if err := c.loop.Assign(ctx, leader, lead, worker.ID, worker.Grid); err != nil {
		t.Fatal(err)
	}
	var told []string
	for day := c.now; day.Before(c.now.AddDate(0, 3, 0)); day = day.AddDate(0, 0, 1) {
		start := c.now
		c.now = day
		for range 2 {
			n, err := c.loop.Remind(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				told = append(told, day.Format(time.DateOnly))
			}
		}
		c.now = start
	}
	if want := []string{"2026-05-07", "2026-05-13", "2026-05-18", "2026-05-21"}; !slices.Equal(told, want) {
		t.Errorf("told on %v, want %v", told, want)
	}
	if got := c.notices(worker.ID); got != 4 {
		t.Errorf("%d notices", got)
	}
	c.now = time.Date(2026, 5, 21, 9, 0, 0, 0, time.UTC)
	list, err := c.loop.Deadlines(ctx, leader, loop.DueFilter{})
	if err != nil || len(list) != 1 || !list[0].Overdue || list[0].Left != -1 || list[0].Ref.ID != lead {
		t.Errorf("%+v %v", list, err)
	}
	other := casework.Actor{UserID: "x", Role: casework.RoleTownLeader, Region: "430681999000"}
	if list, err := c.loop.Deadlines(ctx, other, loop.DueFilter{}); err != nil || len(list) != 0 {
		t.Errorf("another town: %+v %v", list, err)
	}
	c.balanced()
}

// notices counts the notices in a user's own bucket.
func (c *county) notices(user string) (n int) {
	c.t.Helper()
	err := c.store.Read(c.t.Context(), func(tx loop.ReadTx) error {
		return tx.ByRoot(syncproto.Ref{Kind: "user", ID: user}, "", func(s *loop.Stored) error {
			if s.Ref.Kind == "notice" {
				n++
			}
			return nil
		})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}
