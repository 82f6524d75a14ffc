package loop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MaxPush bounds the rows of one push.
const MaxPush = 1000

// pushedFrom is what the numbers of pushed rows begin behind, so that none is that of a line of a file.
const pushedFrom = MaxDatasetRows + 1

// maxChanged is how many persons are matched one by one; more of them are everybody.
const maxChanged = 20_000

// matchAfter is after how many days everybody is matched again: time alone makes some rules hold.
const matchAfter = 7

// PushRows adds rows to the newest load of a dataset as they come up, such as a death that was entered today, and matches
// the persons at once. A row that is there already changes nothing. The next whole list takes the place of all of them.
func (l *Loop) PushRows(ctx context.Context, by casework.Actor, code string, lines []DatasetLine) (*LoadReport, *MatchReport, error) {
	d, ok := casework.DatasetOf(code)
	if !ok {
		return nil, nil, casework.NewError(casework.CodeInvalidValue, "没有这个数据集,请从列表中选择。")
	}
	if err := by.May(casework.VerbLoadDataset, casework.Subject{Kind: "dataset", Region: by.Region, Dept: d.Dept}); err != nil {
		return nil, nil, err
	}
	if len(lines) == 0 || len(lines) > MaxPush {
		return nil, nil, casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("一次推送1至%d行。", MaxPush))
	}
	rep := &LoadReport{Dataset: code}
	rows, _ := l.cleanLines(d, lines, rep)
	keys := map[string]bool{}
	err := l.run(ctx, func(w *work) error {
		rep.Rows = 0
		clear(keys)
		load, err := w.tx.LastLoad(code)
		if errors.Is(err, ErrNotFound) {
			load = &Load{Dataset: code, By: by.UserID, At: w.now}
			err = w.tx.PutLoad(load)
		}
		if err != nil {
			return err
		}
		for _, r := range rows {
			there, err := hasRow(w.tx, load.N, r)
			if err != nil {
				return err
			}
			if there {
				continue
			}
			load.Rows++
			rep.Rows++
			r.Line = pushedFrom + load.Rows
			if err := w.tx.PutLoadRow(load.N, r); err != nil {
				return err
			}
			keys[r.Key] = true
		}
		if rep.Unchanged = rep.Rows == 0; rep.Unchanged {
			return nil
		}
		load.Done, load.SHA256 = true, "" // it is no file's content any more
		w.auditBy(by, "push_rows", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"dataset": code, "rows": rep.Rows})
		return w.tx.PutLoad(load)
	})
	if err != nil || len(keys) == 0 {
		return rep, &MatchReport{On: l.dayOr("")}, err
	}
	found, err := l.match(ctx, systemOf(by.Region), "", slices.Sorted(maps.Keys(keys)))
	return rep, found, err
}

// systemOf is the server acting for a county by itself.
func systemOf(region string) casework.Actor {
	return casework.Actor{UserID: casework.System.UserID, Role: casework.RoleSystem, Region: casework.CountyOf(region)}
}

func hasRow(tx ReadTx, load int64, r LoadRow) (there bool, err error) {
	err = tx.LoadRowsOf(load, []string{r.Key}, func(x LoadRow) error { there = there || slices.Equal(x.Cells, r.Cells); return nil })
	return there, err
}

// matched says what everybody was matched up to: the newest load of each dataset, and the seq of each grid's bucket.
type matched struct {
	On      string            `json:"on"`
	Loads   map[string]int64  `json:"loads"`
	Buckets map[string]uint64 `json:"buckets"`
}

func matchedSetting(region string) string { return "matched:" + casework.CountyOf(region) }

func matchedNow(tx ReadTx, region string) (m matched, err error) {
	m.Loads, m.Buckets = map[string]int64{}, map[string]uint64{}
	for _, d := range casework.Datasets {
		last, err := tx.LastLoad(d.Code)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return m, err
		}
		if err == nil {
			m.Loads[d.Code] = last.N
		}
	}
	return m, tx.Buckets(func(b Bucket) error {
		if grid := gridOf(b.Name); grid != "" && casework.Covers(casework.CountyOf(region), grid) {
			m.Buckets[strings.Clone(b.Name)] = b.Seq
		}
		return nil
	})
}

func (l *Loop) keepMatched(ctx context.Context, region string, m matched) error {
	m.On = l.dayOr("")
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return l.run(ctx, func(w *work) error { return w.tx.PutSetting(matchedSetting(region), string(b)) })
}

// MatchChanges matches what has changed since everybody was matched last: persons whose rows a new load has changed, and
// those whose household is another one. Nothing happens in a county where nobody has run the rules yet. It returns how
// many persons were looked at.
func (l *Loop) MatchChanges(ctx context.Context) (n int, err error) {
	counties, err := l.counties(ctx)
	if err != nil {
		return 0, err
	}
	for _, county := range counties {
		m, err := l.matchChanges(ctx, county)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// counties are the codes of the counties on record, in order.
func (l *Loop) counties(ctx context.Context) (codes []string, err error) {
	places, err := l.places(ctx)
	if err != nil {
		return nil, err
	}
	for code, b := range places.byCode {
		if b.Str("level") == "county" {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes, nil
}

func (l *Loop) matchChanges(ctx context.Context, county string) (int, error) {
	var now matched
	keys, everybody := map[string]bool{}, false
	err := l.store.Read(ctx, func(tx ReadTx) error {
		clear(keys)
		everybody = false
		text, err := tx.Setting(matchedSetting(county))
		if err != nil || text == "" {
			return err
		}
		var then matched
		if err := json.Unmarshal([]byte(text), &then); err != nil {
			return err
		}
		if now, err = matchedNow(tx, county); err != nil {
			return err
		}
		for code, n := range now.Loads {
			if n == then.Loads[code] {
				continue
			}
			if then.Loads[code] == 0 { // rules that could not be judged before can be now
				everybody = true
				return nil
			}
			if err := changedRows(tx, then.Loads[code], n, keys); err != nil {
				return err
			}
		}
		if err := changedPersons(tx, &then, &now, keys); err != nil {
			return err
		}
		everybody = len(keys) > maxChanged || casework.AddDays(then.On, matchAfter) <= l.dayOr("")
		return ctx.Err()
	})
	if err != nil || now.Loads == nil {
		return 0, err
	}
	if everybody {
		rep, err := l.match(ctx, systemOf(county), "", nil)
		if err != nil {
			return 0, err
		}
		return rep.Found, nil
	}
	if len(keys) == 0 {
		return 0, nil
	}
	if _, err := l.match(ctx, systemOf(county), "", slices.Sorted(maps.Keys(keys))); err != nil {
		return 0, err
	}
	return len(keys), l.keepMatched(ctx, county, now)
}

// changedRows adds the keys whose rows are others in one load than in another.
func changedRows(tx ReadTx, then, now int64, keys map[string]bool) error {
	seed := maphash.MakeSeed()
	sums := map[string]uint64{} // by key: the rows of one load less those of the other
	for load, sign := range map[int64]uint64{then: ^uint64(0), now: 1} {
		if err := tx.LoadRows(load, func(r LoadRow) error {
			var h maphash.Hash
			h.SetSeed(seed)
			for _, c := range r.Cells {
				_, _ = h.WriteString(c) // never fails
				_ = h.WriteByte(0)
			}
			sums[strings.Clone(r.Key)] += sign * (h.Sum64() | 1)
			return nil
		}); err != nil {
			return err
		}
	}
	for k, sum := range sums {
		if sum != 0 {
			keys[k] = true
		}
	}
	return nil
}

// changedPersons adds the keys of everybody in a household that was written since: its record, or a member's.
func changedPersons(tx ReadTx, then, now *matched, keys map[string]bool) error {
	homes := map[syncproto.Ref]bool{}
	for bucket, seq := range now.Buckets {
		if seq == then.Buckets[bucket] {
			continue
		}
		if err := tx.Feed(bucket, then.Buckets[bucket], func(e Entry) (bool, error) {
			if e.Exit || e.Ref.Kind != "household" && e.Ref.Kind != "person" {
				return true, nil
			}
			env, err := syncproto.ParseEnvelope(append(syncproto.Raw(nil), e.Env...))
			homes[env.Root] = true
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	if len(homes) == 0 {
		return nil
	}
	byID := map[string]string{}
	if err := tx.EachBlind("person", "id_no", func(index, id string) error { byID[id] = index; return nil }); err != nil {
		return err
	}
	for root := range homes {
		if err := tx.ByRoot(root, "person", func(s *Stored) error {
			if k := byID[s.Ref.ID]; k != "" {
				keys[k] = true
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
