package loop

import (
	"errors"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// SharedRow is one row of shared data: the keyed index of the person's identity number, and the cells by column.
type SharedRow struct {
	Key          string
	Cells        []string
	person, root syncproto.Ref // on record; zero where the person is not
}

// sharing reads what a source has to tell of the low-income population, and of nobody else.
type sharing struct {
	l       *Loop
	tx      ReadTx
	source  *casework.Source
	columns []casework.Column
	pool    []casework.PoolPerson // those in a category
	homes   map[string]*Stored
	rings   map[string]*syncproto.Keyring // by household
	names   map[string]string             // of regions
	unnamed int                           // rows of people whom nobody has named
}

func (l *Loop) newSharing(tx ReadTx, region, source string, columns []string) (*sharing, error) {
	s := &sharing{l: l, tx: tx, rings: map[string]*syncproto.Keyring{}, names: map[string]string{}}
	var ok bool
	if s.source, ok = casework.SourceOf(source); !ok {
		return nil, casework.NewError(casework.CodeInvalidValue, "没有这项数据,请从列表中选择。")
	}
	var err error
	if s.columns, err = s.source.Pick(columns); err != nil {
		return nil, err
	}
	if s.pool, s.homes, err = poolOf(tx, region); err != nil {
		return nil, err
	}
	s.pool = slices.DeleteFunc(s.pool, func(p casework.PoolPerson) bool { return len(p.Categories) == 0 })
	return s, nil
}

// each hands over the rows of the source. told are the keys that former packages have told of, which a source of what is
// new leaves out; only, where it is not nil, are the keys that are asked for.
func (s *sharing) each(told map[string]bool, only map[string]int, fn func(SharedRow) error) error {
	wanted := func(key string) bool {
		_, ok := only[key]
		return key != "" && (only == nil || ok) && !told[key]
	}
	switch s.source.Code {
	case "pool", "dibao_new":
		for i := range s.pool {
			p := &s.pool[i]
			if s.source.Code == "dibao_new" && p.WholeSince == "" || !wanted(p.Key) {
				continue
			}
			if err := s.hand(p, nil, casework.PoolCells(p), p.Key, "", fn); err != nil {
				return err
			}
		}
		return nil
	case "monitored_new":
		return s.dataset("monitored", wanted, true, fn)
	}
	return s.dataset(s.source.Code, wanted, false, fn)
}

// dataset hands over rows of the newest load: of people in the pool, or of everybody in it.
func (s *sharing) dataset(code string, wanted func(string) bool, everybody bool, fn func(SharedRow) error) error {
	set, ok := casework.DatasetOf(code)
	if !ok {
		return casework.NewError(casework.CodeInvalidValue, "没有这个数据集,请从列表中选择。")
	}
	load, err := s.tx.LastLoad(code)
	if errors.Is(err, ErrNotFound) {
		return casework.NewError(casework.CodeGuardFailed, "“"+set.Label+"”还没有数据,请提供部门先导入。")
	}
	if err != nil {
		return err
	}
	people := map[string]*casework.PoolPerson{}
	for i := range s.pool {
		people[s.pool[i].Key] = &s.pool[i]
	}
	// Rows are kept first: reading others while the rows are read would need a second cursor.
	var rows []LoadRow
	if err := s.tx.LoadRows(load.N, func(r LoadRow) error {
		if wanted(r.Key) && (everybody || people[r.Key] != nil) {
			r.Cells, r.Subject = slices.Clone(r.Cells), slices.Clone(r.Subject)
			rows = append(rows, r)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, r := range rows {
		cells := map[string]string{}
		for i, c := range set.Columns {
			cells[c.Name] = r.Cells[i]
		}
		if err := s.hand(people[r.Key], r.Subject, cells, r.Key, code, fn); err != nil {
			return err
		}
	}
	return nil
}

// hand makes a row of a person: as he is on record, or as a department named him.
func (s *sharing) hand(p *casework.PoolPerson, subject syncproto.Raw, cells map[string]string, key, dataset string, fn func(SharedRow) error) error {
	row := SharedRow{Key: key}
	if p != nil {
		row.person, row.root = syncproto.Ref{Kind: "person", ID: p.ID}, syncproto.Ref{Kind: "household", ID: p.Household}
		if err := s.onRecord(p, cells); err != nil {
			return err
		}
	} else {
		if subject == nil {
			s.unnamed++
			return nil
		}
		who, err := s.l.openSubject(dataset, key, subject)
		if err != nil {
			return err
		}
		for _, c := range casework.WhoColumns {
			cells[c.Name] = who.Str(c.Name)
		}
	}
	for _, c := range s.columns {
		row.Cells = append(row.Cells, cells[c.Name])
	}
	return fn(row)
}

// onRecord fills in who a person is.
func (s *sharing) onRecord(p *casework.PoolPerson, cells map[string]string) error {
	home := s.homes[p.Household]
	ring := s.rings[p.Household]
	if ring == nil {
		var err error
		if ring, err = s.l.openRing(s.tx, home.Root, home.Bucket); err != nil {
			return err
		}
		s.rings[p.Household] = ring
	}
	rec, err := s.tx.Record(syncproto.Ref{Kind: "person", ID: p.ID})
	if err != nil {
		return err
	}
	body, err := syncproto.ParseObject(rec.Body)
	if err != nil {
		return err
	}
	fields := opened(ring, rec.Ref, body)
	for _, name := range []string{"id_no", "name"} {
		cells[name], _ = fields[name].(string)
	}
	for name, code := range map[string]string{"village": p.Region, "town": casework.TownOf(p.Region)} {
		if _, known := s.names[code]; !known {
			if s.names[code], err = placeName(s.tx, code); err != nil {
				return err
			}
		}
		cells[name] = s.names[code]
	}
	return nil
}

// placeName is a region's own name; its code where that is not on record.
func placeName(tx ReadTx, code string) (string, error) {
	s, err := tx.Record(syncproto.Ref{Kind: "region", ID: code})
	if errors.Is(err, ErrNotFound) {
		return code, nil
	}
	if err != nil {
		return "", err
	}
	b, err := syncproto.ParseObject(s.Body)
	return strings.Clone(b.Str("name")), err
}

// openSubject opens who a row of a dataset is about.
func (l *Loop) openSubject(dataset, key string, sealed syncproto.Raw) (syncproto.Object, error) {
	ring := &syncproto.Keyring{}
	ring.Add(l.secrets.DatasetKey())
	open, err := ring.Open(subjectRef(dataset), key, sealed)
	if err != nil {
		return nil, err
	}
	return syncproto.ParseObject(open)
}
