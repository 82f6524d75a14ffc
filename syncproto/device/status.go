package device

import (
	"aidloop/syncproto"
)

// Status is what a person should know about the phone.
type Status struct {
	OnlyHere   int   // groups that the server does not have
	OnlyBytes  int64 // with the photos that wait
	Photos     int   // photos that wait
	Stuck      int   // those of them that cannot be sent: damaged on this phone, or closed with a key that is not here
	Oldest     int64 // when the oldest of those groups was captured, milliseconds
	Seconds    int64 // how long sending takes at the given speed
	Held       []Entry
	Rejected   []Entry
	Incidents  []Incident     // the newest, oldest first
	Trouble    syncproto.Code // needs a person: fork, revoked, …
	SyncedAt   int64          // the last whole exchange, milliseconds
	Order      string         // what the server asks for: hand_over, erase
	ErasedAt   int64          // when rows and keys were erased, milliseconds by the phone's clock; 0: they were not
	Have, Next uint64
	Lost       []LostRange // what this phone had to declare lost after a restore of the server
	// ClockOffset is how far the phone's clock was ahead of the server's when they last spoke, milliseconds; ClockOff says
	// that its owner should set it right. Nothing is refused for it.
	ClockOffset int64
	ClockOff    bool
}

// Status sums up what is only on this phone, at so many bytes per second, and what needs attention.
func (e *Engine) Status(bytesPerSecond int64) (s Status, err error) {
	err = e.store.View(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		s = Status{Trouble: syncproto.Code(st.Trouble), SyncedAt: st.SyncedAt, Have: st.Have, Next: st.Next, Order: st.Order,
			ClockOffset: st.Offset, ClockOff: syncproto.ClockOff(st.Offset)}
		if st.Erased != nil {
			s.ErasedAt = st.Erased.At
		}
		err = entries(t, func(x *Entry) (bool, error) {
			if x.Last > st.Have {
				if s.OnlyHere++; s.Oldest == 0 || x.Captured < s.Oldest {
					s.Oldest = x.Captured
				}
				s.OnlyBytes += int64(x.Size)
			}
			switch x.State {
			case Held:
				s.Held = append(s.Held, *x)
			case Rejected:
				s.Rejected = append(s.Rejected, *x)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		err = e.eachWaiting(t, func(b *Blob, stuck bool) {
			if s.Photos++; stuck {
				s.Stuck++
			}
			s.OnlyBytes += b.Size - b.Offset
		})
		if err != nil {
			return err
		}
		if bytesPerSecond > 0 {
			s.Seconds = (s.OnlyBytes + bytesPerSecond - 1) / bytesPerSecond
		}
		err = t.Scan("gap/", func(_ string, value []byte) (bool, error) {
			var g LostRange
			err := unmarshal(value, &g)
			s.Lost = append(s.Lost, g)
			return true, err
		})
		if err != nil {
			return err
		}
		_, err = getJSON(t, keyIncidents, &s.Incidents)
		return err
	})
	return s, err
}

// Conflicts are the conflict records that the phone holds and nobody has settled, here or elsewhere.
func (e *Engine) Conflicts() ([]*View, error) {
	all, err := e.List("conflict")
	var open []*View
	for _, v := range all {
		if v.Body.Str("state") == "open" && len(v.Acts) == 0 {
			open = append(open, v)
		}
	}
	return open, err
}

// Bucket is what the phone holds of one bucket, by its own count.
type Bucket struct {
	Name   string
	Cursor string
	Count  int64
	Digest string
}

// Row is what the server last said of a record in a bucket, or nil.
func (e *Engine) Row(bucket string, ref syncproto.Ref) (row *syncproto.Row, err error) {
	err = e.store.View(func(t Tx) error {
		b, err := t.Get(keyRow(bucket, ref))
		if err != nil || len(b) == 0 {
			return err
		}
		r, err := syncproto.ParseRow(b)
		row = &r
		return err
	})
	return row, err
}

// Buckets lists what the phone holds, in order of names.
func (e *Engine) Buckets() (list []Bucket, err error) {
	err = e.store.View(func(t Tx) error {
		return t.Scan("cursor/", func(key string, value []byte) (bool, error) {
			var c cursor
			err := unmarshal(value, &c)
			list = append(list, Bucket{key[len("cursor/"):], c.String(), c.Count, c.Digest})
			return true, err
		})
	})
	return list, err
}
