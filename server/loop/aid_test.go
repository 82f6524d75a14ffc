package loop_test

import (
	"errors"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// paid is an office whose household receives 520 yuan of dibao a month, granted in a month, and the month after it.
func paid(t *testing.T) (o *office, application, month string) {
	o = newOffice(t)
	id := o.published()
	o.days(8)
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("同意"), func(in *loop.ApplicationStep) { in.Amount = 52_000 })
	o.step(o.desk, id, "activate")
	granted := o.now.Format("2006-01")
	rep, err := o.loop.PlanPayments(t.Context(), o.desk, granted)
	if err != nil || rep.Done != 0 {
		t.Fatalf("paid in the month of the decision: %+v, %v", rep, err)
	}
	return o, id, casework.AddMonths(granted+"-01", 1)[:7]
}

func (o *office) pay(month, action string) loop.PaymentReport {
	o.t.Helper()
	rep, err := o.loop.StepPayments(o.t.Context(), o.desk, month, action)
	o.must(err)
	return rep
}

func (o *office) aid(id, state string) {
	o.t.Helper()
	if rec, _ := o.record(syncproto.Ref{Kind: "aid", ID: id}); rec.Str("state") != state {
		o.t.Fatalf("the aid is %q, want %q", rec.Str("state"), state)
	}
}

// A month is planned once, paid once, and what the bank could not pay goes out again.
func TestAMonthIsPaidOnce(t *testing.T) {
	o, _, month := paid(t)
	ctx := t.Context()
	for i, want := range []loop.PaymentReport{{Done: 1}, {Unchanged: 1}} {
		if rep, err := o.loop.PlanPayments(ctx, o.desk, month); err != nil || rep != want {
			t.Fatalf("%d: %+v, %v", i, rep, err)
		}
	}
	id := o.only("aid", "planned").Ref.ID
	if rep := o.pay(month, "disburse"); rep.Done != 0 {
		t.Fatalf("paid without approval: %+v", rep)
	}
	if rep := o.pay(month, "approve"); rep.Done != 1 {
		t.Fatalf("%+v", rep)
	}
	list, err := o.loop.Payments(ctx, o.desk, month, []string{"approved"})
	o.must(err)
	if len(list) != 1 || list[0].Aid != id || list[0].Amount != 52_000 || list[0].Measure != "dibao_cash" || list[0].Account == "" || list[0].IDNumber == "" || list[0].Name == "" {
		t.Fatalf("%+v", list)
	}
	early, err := o.loop.TakeReturns(ctx, o.desk, []loop.BankRow{{Row: 2, Aid: id, Paid: true}})
	if o.must(err); early.Refused != 1 {
		t.Errorf("confirmed before it was paid: %+v", early)
	}
	o.pay(month, "disburse")
	rows := []loop.BankRow{{Row: 2, Aid: id, Reason: "账户已注销"}, {Row: 3, Aid: "nobody", Paid: true}}
	rep, err := o.loop.TakeReturns(ctx, o.desk, rows)
	if o.must(err); rep.Imported != 1 || rep.Refused != 1 {
		t.Fatalf("%+v", rep)
	}
	if rep, err = o.loop.TakeReturns(ctx, o.desk, rows); err != nil || rep.Unchanged != 1 || rep.Refused != 1 {
		t.Fatalf("taken twice: %+v, %v", rep, err)
	}
	o.aid(id, "failed")
	o.pay(month, "approve")
	o.pay(month, "disburse")
	rows[0] = loop.BankRow{Row: 2, Aid: id, Paid: true}
	_, err = o.loop.TakeReturns(ctx, o.desk, rows)
	o.must(err)
	o.aid(id, "confirmed")
	wants(t, o.loop.StepAid(ctx, o.desk, id, "recover", ""), casework.CodeGuardFailed)
	funds, err := o.loop.Funds(ctx, o.desk, month)
	if o.must(err); len(funds) != 1 || funds[0].Sums["confirmed"] != 52_000 || funds[0].Count != 1 {
		t.Errorf("%+v", funds)
	}
	o.must(o.loop.StepAid(ctx, o.desk, id, "recover", "家庭隐瞒收入"))
	o.aid(id, "recovered")
	o.balanced()
}

// Nothing is paid any more to a household whose help has ended, nor without an account; nobody but the bureau pays.
func TestPaymentsStopAndWait(t *testing.T) {
	o, application, month := paid(t)
	ctx := t.Context()
	for _, m := range []string{"", "2026-13", "2026-7", "2099-01"} {
		_, err := o.loop.PlanPayments(ctx, o.desk, m)
		wants(t, err, casework.CodeInvalidValue)
	}
	for _, by := range []casework.Actor{o.reviewer, o.window, o.village} {
		_, err := o.loop.PlanPayments(ctx, by, month)
		wants(t, err, casework.CodeForbidden)
		_, err = o.loop.Payments(ctx, by, month, nil)
		wants(t, err, casework.CodeForbidden)
		_, err = o.loop.TakeReturns(ctx, by, nil)
		wants(t, err, casework.CodeForbidden)
		_, err = o.loop.Funds(ctx, by, month)
		wants(t, err, casework.CodeForbidden)
	}
	_, err := o.loop.PlanPayments(ctx, o.desk, month)
	o.must(err)
	id := o.only("aid", "planned").Ref.ID
	o.pay(month, "approve")
	o.step(o.desk, application, "close", because("收入提高"))
	if rep := o.pay(month, "disburse"); rep.Cancelled != 1 || rep.Done != 0 {
		t.Fatalf("%+v", rep)
	}
	o.aid(id, "cancelled")
	if rep, err := o.loop.PlanPayments(ctx, o.desk, month); err != nil || rep.Done != 0 {
		t.Fatalf("planned again: %+v, %v", rep, err)
	}
}

// A department gives its own help on a referral that it has accepted, sees its own and nobody else's.
func TestDepartmentsGiveTheirOwnHelp(t *testing.T) {
	o, _, month := paid(t)
	ctx := t.Context()
	medical := o.officer("YBJ")
	_, err := o.loop.PlanAid(ctx, medical, loop.AidInput{Household: o.home.ID, Measure: "medical_aid", Amount: 1})
	wants(t, err, casework.CodeNotFound) // it knows no household that was not referred to it
	_, err = o.loop.PlanAid(ctx, medical, loop.AidInput{Household: o.home.ID, Measure: "grant", Amount: 1})
	wants(t, err, casework.CodeForbidden)
	_, err = o.loop.PlanAid(ctx, o.desk, loop.AidInput{Household: o.home.ID, Measure: "medical_aid", Amount: 1})
	wants(t, err, casework.CodeForbidden)
	_, err = o.loop.PlanAid(ctx, o.desk, loop.AidInput{Household: o.home.ID, Measure: "temporary_aid", Amount: 1, Person: o.world.Members(o.cast.Rising.Household)[0].ID})
	if !errors.Is(err, loop.ErrNotFound) {
		t.Errorf("to a person of another household: %v", err)
	}
	id, err := o.loop.PlanAid(ctx, o.desk, loop.AidInput{Household: o.home.ID, Person: o.world.Members(o.home)[0].ID, Measure: "temporary_aid", Amount: 100_000, Month: month, Note: "突发重病"})
	o.must(err)
	wants(t, o.loop.StepAid(ctx, medical, id, "approve", ""), casework.CodeNotFound)
	wants(t, o.loop.StepAid(ctx, o.reviewer, id, "approve", ""), casework.CodeForbidden)
	o.must(o.loop.StepAid(ctx, o.desk, id, "approve", ""))
	wants(t, o.loop.StepAid(ctx, o.desk, id, "confirm", ""), casework.CodeInvalidTransition)
	o.must(o.loop.StepAid(ctx, o.desk, id, "disburse", ""))
	if funds, err := o.loop.Funds(ctx, medical, month); err != nil || len(funds) != 0 {
		t.Errorf("a department sees another's: %+v, %v", funds, err)
	}
	if funds, err := o.loop.Funds(ctx, o.officer("CZJ"), month); err != nil || len(funds) != 1 || funds[0].Sums["disbursed"] != 100_000 {
		t.Errorf("the finance bureau sees %+v, %v", funds, err)
	}
	if list, err := o.loop.Queue(ctx, medical, loop.Filter{Kind: "aid"}); err != nil || len(list.Items) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	chain, err := o.loop.Chain(ctx, o.desk, o.home.ID)
	o.must(err)
	told := 0
	for _, e := range chain.Events {
		if e.Kind == "aid" && e.ID == id {
			told++
		}
	}
	if told != 2 {
		t.Errorf("the chain tells %d times of it", told)
	}
	rep, err := o.loop.TakeReturns(ctx, o.desk, []loop.BankRow{{Row: 2, Aid: id, Paid: true}})
	if o.must(err); rep.Refused != 1 {
		t.Errorf("a payment of no list: %+v", rep)
	}
	o.balanced()
}

// officer is the department's.
func (o *office) officer(dept string) casework.Actor {
	o.t.Helper()
	for _, u := range o.world.Users {
		if u.Role == "dept_officer" && u.Dept == dept {
			return actor(u)
		}
	}
	o.t.Fatalf("no officer of %s", dept)
	return casework.Actor{}
}
