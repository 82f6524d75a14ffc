package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// paymentChunk is how many payments share a transaction, so that a month's list does not hold up the phones.
const paymentChunk = 50

// PaymentReport says what became of a month's payments.
type PaymentReport struct {
	Done      int // taken on
	Unchanged int // on record already
	Cancelled int // of households whose help has ended
	NoAccount int // that wait for a bank account
}

// PlanPayments enters the month's basic living of every household that receives it, once: the same month again adds what
// is new. Help is paid from the month after the decision on.
func (l *Loop) PlanPayments(ctx context.Context, by casework.Actor, month string) (PaymentReport, error) {
	if next := casework.AddMonths(l.dayOr("")[:7]+"-01", 1)[:7]; !casework.ValidMonth(month) || month > next {
		return PaymentReport{}, casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子,且不晚于下个月。")
	}
	return l.eachPayment(ctx, by, Query{Kind: "application", States: []string{"active"}}, func(g *group, d *draft, rep *PaymentReport) error {
		amount := d.rec.Body.Int("amount")
		since := dayOf(d.rec.Body.Str("activated_at"))
		if d.rec.Root.Kind != "household" || amount <= 0 || !casework.PaidFor(since, month) {
			return nil
		}
		code, ok, err := g.paidBy(d)
		if err != nil || !ok {
			return err
		}
		m, err := casework.CheckAid(by, code, amount)
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "aid", ID: syncproto.DerivedID("aid", d.rec.ID+"|"+month)}
		if s, err := g.w.stored(ref); err != nil || s != nil {
			rep.Unchanged++
			return err
		}
		rep.Done++
		return g.planAid(ref, d, by, m, amount, month, map[string]any{"household": d.rec.Root.ID, "application": d.rec.ID, "person": optional(d.rec.Body.Str("person"))})
	})
}

// StepPayments approves a month's planned payments, and those that failed before, or hands the approved ones to the bank.
// Those of households whose help has ended in the meantime are cancelled, those without an account wait.
func (l *Loop) StepPayments(ctx context.Context, by casework.Actor, month, action string) (PaymentReport, error) {
	states := map[string][]string{"approve": {"planned", "failed"}, "disburse": {"approved"}}[action]
	if states == nil || !casework.ValidMonth(month) {
		return PaymentReport{}, casework.NewError(casework.CodeInvalidValue, "请选择批准或发放,月份应写成2026-07的样子。")
	}
	return l.eachPayment(ctx, by, Query{Kind: "aid", Parent: month, Owner: "MZJ", States: states}, func(g *group, d *draft, rep *PaymentReport) error {
		application := d.rec.Body.Str("application")
		if application == "" {
			return nil // not of a list: it is stepped by hand
		}
		a, err := g.live(syncproto.Ref{Kind: "application", ID: application})
		if err != nil {
			return err
		}
		_, ok, err := g.paidBy(a)
		if err != nil {
			return err
		}
		if !ok || a.rec.Body.Str("state") != "active" {
			rep.Cancelled++
			return g.stepAid(d, by, "cancel", "该户救助已停止或已调整")
		}
		ring, err := g.ring(d.rec.Root, d.bucket)
		if err != nil {
			return err
		}
		payee, err := payeeOf(g.w.tx, ring, a.rec)
		if err != nil {
			return err
		}
		if payee.Account == "" {
			rep.NoAccount++
			return nil
		}
		rep.Done++
		return g.stepAid(d, by, action, "")
	})
}

// eachPayment hands over what a query finds in the caller's region, each in a group of its own, several to a transaction.
func (l *Loop) eachPayment(ctx context.Context, by casework.Actor, q Query, fn func(*group, *draft, *PaymentReport) error) (rep PaymentReport, err error) {
	if err := by.May(casework.VerbPay, casework.Subject{Kind: "aid", Region: by.Region}); err != nil {
		return rep, err
	}
	q.Region, q.Limit = casework.RegionPrefix(by.Region), paymentChunk
	var refs []syncproto.Ref
	err = l.store.Read(ctx, func(tx ReadTx) error {
		refs = nil
		return eachFound(tx, q, func(s *Stored) error { refs = append(refs, s.Ref); return nil })
	})
	for start := 0; start < len(refs) && err == nil; start += paymentChunk {
		var part PaymentReport
		err = l.run(ctx, func(w *work) error {
			part = PaymentReport{}
			for _, ref := range refs[start:min(start+paymentChunk, len(refs))] {
				g := w.newGroup()
				d, err := g.live(ref)
				if err != nil {
					return err
				}
				if s := d.rec.Body.Str("state"); !slices.Contains(q.States, s) {
					continue // it has moved on
				}
				if err := fn(g, d, &part); err != nil {
					return err
				}
				if err := g.commit(); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			rep.add(part)
		}
	}
	return rep, err
}

func (r *PaymentReport) add(part PaymentReport) {
	r.Done += part.Done
	r.Unchanged += part.Unchanged
	r.Cancelled += part.Cancelled
	r.NoAccount += part.NoAccount
}

// Payee is whose account a household's help goes to.
type Payee struct{ Name, IDNumber, Account string }

// payeeOf is the applicant's account, or the first one in the household where the applicant has none.
func payeeOf(tx ReadTx, ring *syncproto.Keyring, application syncproto.Record) (Payee, error) {
	open := func(rec *syncproto.Record, field string) string {
		v, err := ring.Open(rec.Ref, field, rec.Body.Get(field))
		if err != nil {
			return "" // under a key that is not on the ring: like one that is missing, it waits for people
		}
		return v.Str()
	}
	applicant := open(&application, "q_applicant_id_no")
	var found Payee
	err := tx.ByRoot(application.Root, "person", func(s *Stored) error {
		rec, err := parseStored(s)
		if err != nil || rec.Deleted {
			return err
		}
		p := Payee{open(rec, "name"), open(rec, "id_no"), open(rec, "account")}
		if p.Account != "" && (found.Account == "" || p.IDNumber == applicant) {
			found = p
		}
		return nil
	})
	return found, err
}

// Payment is one line of a month's list for the bank.
type Payment struct {
	Aid     string
	Region  string
	State   string
	Measure string
	Amount  int64 // 分
	Payee
}

// MaxPayments bounds a month's list.
const MaxPayments = 50_000

// Payments is a month's list for the bank, with names and accounts in the open; opening it is audited.
func (l *Loop) Payments(ctx context.Context, by casework.Actor, month string, states []string) ([]Payment, error) {
	if !casework.ValidMonth(month) {
		return nil, casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子。")
	}
	for _, verb := range []casework.Verb{casework.VerbPay, casework.VerbReadSealed} {
		if err := by.May(verb, casework.Subject{Kind: "aid", Region: by.Region}); err != nil {
			return nil, err
		}
	}
	if err := l.run(ctx, func(w *work) error {
		w.auditBy(by, "reveal", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"page": "payments", "month": month})
		return nil
	}); err != nil {
		return nil, err
	}
	list := []Payment{}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		list = list[:0]
		q := Query{Kind: "aid", Parent: month, Owner: "MZJ", States: states, Region: casework.RegionPrefix(by.Region), Limit: 500}
		return eachFound(tx, q, func(s *Stored) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := l.payment(tx, s)
			if err != nil || p == nil {
				return err
			}
			if list = append(list, *p); len(list) > MaxPayments {
				return casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("超过%d笔,请按状态分次导出。", MaxPayments))
			}
			return nil
		})
	})
	return list, err
}

// payment is nil for help that is not paid by a list.
func (l *Loop) payment(tx ReadTx, s *Stored) (*Payment, error) {
	rec, err := parseStored(s)
	if err != nil || rec.Body.Str("application") == "" {
		return nil, err
	}
	a, err := tx.Record(syncproto.Ref{Kind: "application", ID: rec.Body.Str("application")})
	if err != nil {
		return nil, err
	}
	application, err := parseStored(a)
	if err != nil {
		return nil, err
	}
	ring, err := l.openRing(tx, rec.Root, s.Bucket)
	if err != nil {
		return nil, err
	}
	payee, err := payeeOf(tx, ring, *application)
	return &Payment{s.Ref.ID, regionOf(s.Bucket), rec.Body.Str("state"), rec.Body.Str("measure"), rec.Body.Int("amount"), payee}, err
}

// BankRow is one row of the bank's return file: the payment's number as the list gave it, and what became of it.
type BankRow struct {
	Row    int
	Aid    string
	Paid   bool
	Reason string // where it was not paid
}

// TakeReturns takes the bank's return file: what was paid is confirmed, what was not has failed, with the bank's reason. A
// bad row is refused with what to do and stops nothing; a row that is on record already changes nothing.
func (l *Loop) TakeReturns(ctx context.Context, by casework.Actor, rows []BankRow) (*Report, error) {
	if err := by.May(casework.VerbPay, casework.Subject{Kind: "aid", Region: by.Region}); err != nil {
		return nil, err
	}
	return l.importRows(ctx, len(rows), false, func(w *work, i int) (RowReport, error) { return w.takeReturn(by, rows[i]) })
}

func (w *work) takeReturn(by casework.Actor, row BankRow) (RowReport, error) {
	rep := RowReport{Row: row.Row, Status: "refused"}
	g := w.newGroup()
	d, err := g.visible(by, casework.VerbPay, syncproto.Ref{Kind: "aid", ID: row.Aid})
	if errors.Is(err, ErrNotFound) || casework.CodeOf(err) == casework.CodeNotFound {
		rep.Message = "没有这笔发放,请核对编号。"
		return rep, nil
	}
	if err != nil {
		return rep, err
	}
	if d.rec.Body.Str("application") == "" {
		rep.Message = "这笔不是按月发放的救助金,请在救助记录中办理。"
		return rep, nil
	}
	action, to := "confirm", "confirmed"
	if !row.Paid {
		action, to, row.Reason = "fail", "failed", cmp.Or(strings.TrimSpace(row.Reason), "银行未写明原因")
	}
	if d.rec.Body.Str("state") == to {
		rep.Status = "unchanged"
		return rep, nil
	}
	err = g.stepAid(d, by, action, row.Reason)
	if casework.CodeOf(err) != "" {
		rep.Message = casework.MessageOf(err)
		return rep, nil
	}
	if err != nil {
		return rep, err
	}
	rep.Status = "imported"
	return rep, g.commit()
}
